"""A worker is frozen (SIGSTOP) at each point for longer than its lock lives, and goes on beside its successor."""

from collections.abc import Callable

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.one_site import LARGE, SMALL, TAKE_OVER_SECONDS, Site, died_at, froze_at, said, thorough, until

pytestmark = pytest.mark.chaos


@pytest.mark.parametrize(
    ("point", "nth", "batch_size"),
    [
        pytest.param(Point.BEGINNING, 1, SMALL, marks=thorough),
        pytest.param(Point.BEGUN, 2, SMALL, marks=thorough),
        (Point.SENT, 2, SMALL),
        pytest.param(Point.ANSWERED, 2, SMALL, marks=thorough),
        (Point.BETWEEN_FLAGS, 1, LARGE),
        (Point.COMPLETING, 2, SMALL),
    ],
)
def test_frozen_with_a_batch_in_hand(
    make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator, point: Point, nth: int, batch_size: int
) -> None:
    site = make_site(mariadb, emulator, batch_size=batch_size)
    site.fill()
    with site.producing():
        go_on_beside_the_successor(site, point, nth)
    site.finish()


@pytest.mark.parametrize(
    ("first", "second"),
    [pytest.param(Point.BEGUN, Point.FINALIZED, marks=thorough), (Point.SENT, Point.COUNT_KEPT)],
)
def test_frozen_in_recovery(site: Site, first: Point, second: Point) -> None:
    site.fill()
    with site.producing():
        died_at(site.doomed(first, Fate.KILL, 2), first)
        go_on_beside_the_successor(site, second, 1)
    site.finish()


def go_on_beside_the_successor(site: Site, point: Point, nth: int) -> None:
    frozen = site.doomed(point, Fate.FREEZE, nth)
    froze_at(frozen, point)
    owners = site.tokens()
    site.worker()
    seconds = site.taken_over(owners)
    print(f"frozen at {point}: every table was taken over after {seconds:.1f} s")
    assert seconds < TAKE_OVER_SECONDS
    frozen.thaw()
    until(lambda: said(frozen, "standing by"), 30, "the thawed worker stands by", site.logs)
