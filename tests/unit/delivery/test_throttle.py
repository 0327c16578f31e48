"""Throttle: a share of the database's time while others are there, all of it otherwise."""

from contextlib import suppress

import pytest

from delivery.throttle import JUDGE_SECONDS, LONGEST_REST_SECONDS, PATIENCE_SECONDS, Throttle
from tests.fakes.clock import FakeClock

HOUR = 3600.0


class World:
    """A Throttle that is to leave others four fifths of the time; `busy`: they are there."""

    def __init__(self, share: float = 0.2) -> None:
        self.clock = FakeClock()
        self.busy = True
        self.rests: list[float] = []
        self.throttle = Throttle(share, lambda: self.busy, self.clock.monotonic, self.rests.append)

    def work(self, seconds: float) -> None:
        with self.throttle.work():
            self.clock.now += seconds

    def share(self) -> float:
        """By what it demands after a second of work."""
        self.clock.now += LONGEST_REST_SECONDS
        self.work(1.0)
        return 1 / (1 + self.throttle.rest())

    def find(self, *waited: float, worked: float = 6.0) -> None:
        """Rows that have waited so long, each a while after the one before, of which so many seconds were work."""
        for each in waited:
            self.work(worked)
            self.clock.now += max(self.throttle.rest(), JUDGE_SECONDS - worked)
            self.throttle.found(each)


@pytest.fixture
def world() -> World:
    return World()


def test_beside_others_it_rests_four_times_as_long_as_it_worked(world: World) -> None:
    world.work(0.5)
    assert world.throttle.rest() == pytest.approx(2.0)
    world.clock.now += 1.5
    assert world.throttle.rest() == pytest.approx(0.5)
    world.clock.now += 0.5
    assert world.throttle.rest() == 0
    assert world.rests == pytest.approx([2.0, 0.5])


def test_all_that_share_it_rest_for_what_each_of_them_did(world: World) -> None:
    world.work(0.1)
    world.work(0.2)
    assert world.throttle.rest() == pytest.approx(4 * 0.3 - 0.2)


def test_work_that_fails_counts_too(world: World) -> None:
    with suppress(LookupError), world.throttle.work():
        world.clock.now += 0.5
        raise LookupError
    assert world.throttle.rest() == pytest.approx(2.0)


def test_what_took_very_long_isnt_followed_by_an_age(world: World) -> None:
    world.work(100.0)
    assert world.throttle.rest() == LONGEST_REST_SECONDS


def test_alone_it_takes_all(world: World) -> None:
    world.busy = False
    world.work(0.5)
    assert world.throttle.rest() == 0
    assert not world.throttle.gentle
    world.busy = True
    assert world.throttle.rest() == pytest.approx(2.0)
    assert world.throttle.gentle


@pytest.mark.parametrize("throttle", [World(share=1.0).throttle, Throttle.none()])
def test_with_a_share_of_all_it_never_rests(throttle: Throttle) -> None:
    with throttle.work():
        pass
    assert throttle.rest() == 0
    assert not throttle.gentle


def test_a_share_with_which_rows_wait_ever_longer_grows(world: World) -> None:
    world.find(HOUR)
    assert world.share() == pytest.approx(0.2)
    world.find(HOUR + 9)
    assert world.share() == pytest.approx(0.4)
    world.find(HOUR + 18, HOUR + 25)
    assert world.share() == 1.0
    assert not world.throttle.gentle
    world.find(HOUR + 20)
    assert world.share() == pytest.approx(0.5)
    world.find(HOUR, HOUR - 20)
    assert world.share() == pytest.approx(0.2)


def test_a_backlog_that_appears_or_shrinks_isnt_a_share_that_is_too_small(world: World) -> None:
    world.find(1.0, HOUR, HOUR - 30, HOUR - 60, 2 * HOUR)
    assert world.share() == pytest.approx(0.2)


def test_where_the_line_is_slow_the_share_doesnt_grow(world: World) -> None:
    world.find(HOUR, HOUR + 9, HOUR + 18, worked=0.1)
    assert world.share() == pytest.approx(0.2)


def test_rows_that_were_found_soon_enough_dont_make_it_grow(world: World) -> None:
    world.find(*range(0, int(PATIENCE_SECONDS), 5))
    assert world.share() == pytest.approx(0.2)
