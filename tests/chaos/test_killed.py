"""A worker is killed (SIGKILL) at each point of a batch's life, and in the middle of recovering from that."""

from collections.abc import Callable

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.one_site import LARGE, SMALL, Site, died_at

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
        (Point.BEGINNING, 2, SMALL),
        (Point.BEGUN, 1, SMALL),
        (Point.BEGUN, 2, SMALL),
        (Point.SENT, 2, SMALL),
        (Point.ANSWERED, 2, LARGE),
        (Point.BETWEEN_FLAGS, 1, LARGE),
        (Point.COMPLETING, 2, SMALL),  # in one transaction with its answer and its flags
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


@pytest.mark.parametrize("first", [Point.BEGUN, Point.SENT])  # BigQuery doesn't have the batch; it has it
@pytest.mark.parametrize("second", [Point.FINALIZED, Point.COUNT_KEPT])
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
