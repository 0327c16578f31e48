"""The database is restored from a dump that was taken before the last batches."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.one_site import Site, froze_at, said

pytestmark = pytest.mark.chaos

LOOKED_UP = "rows were in BigQuery already"


@pytest.fixture
def slow_site(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> Site:
    """Its backlog goes out in many small batches, so that there is time for a dump in the middle."""
    site = make_site(mariadb, emulator, batch_size=40, max_batch_rows=40)
    site.fill()
    return site


def test_restored_after_the_worker_was_killed(slow_site: Site, tmp_path: Path) -> None:
    """It is noticed: BigQuery's count is above the ledger's end."""
    worker = slow_site.worker()
    slow_site.carried_on()
    slow_site.dump(tmp_path / "dump.sql")
    slow_site.carried_on()
    worker.kill()
    slow_site.restore(tmp_path / "dump.sql")
    successor = slow_site.worker()
    slow_site.finish()
    assert said(successor, LOOKED_UP)


def test_restored_under_the_worker(slow_site: Site, tmp_path: Path) -> None:
    """Lease and lock are as they were at the dump, and still the worker notices."""
    worker = slow_site.worker()
    slow_site.carried_on()
    slow_site.dump(tmp_path / "dump.sql")
    slow_site.carried_on()
    slow_site.restore(tmp_path / "dump.sql")
    slow_site.finish()
    assert said(worker, LOOKED_UP)


def test_restored_to_when_the_last_batch_was_on_its_way(site: Site, tmp_path: Path) -> None:
    """The ledger lacks no batch, but has forgotten that the last one was completed: its row waits again."""
    site.add_a_row()
    worker = site.doomed(Point.BEGUN, Fate.FREEZE)
    froze_at(worker, Point.BEGUN)
    site.dump(tmp_path / "dump.sql")
    worker.thaw()
    site.drain()
    site.restore(tmp_path / "dump.sql")
    site.finish()


def test_restored_from_before_the_last_stream(slow_site: Site, tmp_path: Path) -> None:
    """Nothing in the dump tells of the stream that followed: the operator says so."""
    worker = slow_site.worker()
    slow_site.carried_on()
    assert worker.terminate() == 0
    slow_site.dump(tmp_path / "dump.sql")
    second = slow_site.worker()
    slow_site.carried_on()
    second.kill()
    slow_site.restore(tmp_path / "dump.sql")
    third = slow_site.worker("--lookup-first")
    slow_site.finish()
    assert said(third, LOOKED_UP)
