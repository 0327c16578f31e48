"""A worker is killed (SIGKILL) at each point of a batch's life, and in the middle of recovering from that."""

from collections.abc import Callable

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.one_site import LARGE, SMALL, Site, died_at, thorough

pytestmark = pytest.mark.chaos

# The state in which the ledger then has a batch.
LEFT = {
    Point.BEGUN: "begun",
    Point.SENT: "begun",
    Point.ANSWERED: "begun",
    Point.BETWEEN_FLAGS: "appended",
}


@pytest.mark.parametrize(
    ("point", "nth", "batch_size"),
    [
        (Point.BEGINNING, 1, SMALL),  # with the stream's row in the same transaction
        pytest.param(Point.BEGINNING, 2, SMALL, marks=thorough),
        pytest.param(Point.BEGUN, 1, SMALL, marks=thorough),
        (Point.BEGUN, 2, SMALL),
        (Point.SENT, 2, SMALL),
        pytest.param(Point.ANSWERED, 2, LARGE, marks=thorough),  # leaves what SENT leaves
        (Point.BETWEEN_FLAGS, 1, LARGE),
        # in one transaction with its answer and its flags
        pytest.param(Point.COMPLETING, 2, SMALL, marks=thorough),
        (Point.COMPLETING, 2, LARGE),
    ],
)
def test_killed_with_a_batch_in_hand(
    make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator, point: Point, nth: int, batch_size: int
) -> None:
    site = make_site(mariadb, emulator, batch_size=batch_size)
    site.fill()
    with site.producing():
        died_at(site.doomed(point, Fate.KILL, nth), point)
        if point in LEFT:
            assert site.batches(LEFT[point])
        owners = site.tokens()
        site.worker()
        site.taken_over(owners)
    site.finish()


@pytest.mark.parametrize(
    ("first", "second"),  # BEGUN: BigQuery doesn't have the batch; SENT: it has it
    [
        (Point.BEGUN, Point.FINALIZED),
        (Point.SENT, Point.COUNT_KEPT),
        pytest.param(Point.BEGUN, Point.COUNT_KEPT, marks=thorough),
        pytest.param(Point.SENT, Point.FINALIZED, marks=thorough),
    ],
)
def test_killed_in_recovery(site: Site, first: Point, second: Point) -> None:
    site.fill()
    with site.producing():
        died_at(site.doomed(first, Fate.KILL, 2), first)
        died_at(site.doomed(second, Fate.KILL), second)
        assert site.batches("begun")
        owners = site.tokens()
        site.worker()
        site.taken_over(owners)
    site.finish()
