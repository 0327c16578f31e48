"""BigQuery is killed and comes back with its rows, but knows none of its streams any more."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.one_site import Site, died_at, thorough

pytestmark = pytest.mark.chaos


@pytest.fixture
def own_emulator(tmp_path: Path) -> Iterator[Emulator]:
    with Emulator(tmp_path / "emulator", persistent=True) as emulator:
        yield emulator


# BigQuery doesn't have the batch; it has it
@pytest.mark.parametrize("point", [pytest.param(Point.BEGUN, marks=thorough), Point.SENT])
def test_streams_forgotten_after_a_kill(
    make_site: Callable[..., Site], mariadb: MariaDB, own_emulator: Emulator, point: Point
) -> None:
    site = make_site(mariadb, own_emulator, stream_settle_seconds=1)
    site.fill()
    with site.producing():
        died_at(site.doomed(point, Fate.KILL, 2), point)
        own_emulator.kill()
        own_emulator.start()
        owners = site.tokens()
        site.worker()
        site.taken_over(owners)
    site.finish()


def test_streams_forgotten_under_a_worker(
    make_site: Callable[..., Site], mariadb: MariaDB, own_emulator: Emulator
) -> None:
    site = make_site(mariadb, own_emulator, stream_settle_seconds=1, batch_size=50, max_batch_rows=100)
    site.fill()
    with site.producing():
        site.worker()
        site.carried_on()
        own_emulator.kill()
        own_emulator.start()
        site.carried_on()
    site.finish()
