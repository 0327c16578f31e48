"""Sites to attack. Each has a database and a dataset of its own."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import Site


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites on any servers: `make_site(mariadb, emulator, batch_size=50)`."""
    with ExitStack() as sites:

        def make(mariadb: MariaDB, emulator: Emulator, **settings: object) -> Site:
            name = f"site_{uuid.uuid4().hex[:12]}"
            directory = tmp_path / name
            directory.mkdir()
            site = Site(mariadb, emulator, name, directory, None, **settings)
            sites.callback(site.close)
            return site

        yield make


@pytest.fixture
def site(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> Site:
    """A site on the servers that all tests share: nobody may kill or freeze them."""
    return make_site(mariadb, emulator)
