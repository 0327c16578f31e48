from delivery.steps import LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Gentle
from tests.fakes.clock import FakeClock


def pause_after(gentle: Gentle, clock: FakeClock, seconds: float, kind: str = "deleting") -> float:
    started = gentle.start()
    clock.now += seconds
    return gentle.rest(started, kind).seconds


def test_the_database_has_nine_tenths_of_the_time_to_itself() -> None:
    clock = FakeClock()
    gentle = Gentle(clock.monotonic)
    for _ in range(3):
        assert pause_after(gentle, clock, 0.5) == 5.0
    assert pause_after(gentle, clock, 0.0) == LEAST_PAUSE_SECONDS


def test_it_has_more_where_it_answers_slower_than_usual() -> None:
    clock = FakeClock()
    gentle = Gentle(clock.monotonic)
    pause_after(gentle, clock, 0.01)
    assert pause_after(gentle, clock, 0.02) > 10 * 0.02 * 1.9
    assert pause_after(gentle, clock, 8.0) == LONGEST_PAUSE_SECONDS
    for _ in range(100):  # then that is what is usual
        pause_after(gentle, clock, 0.02)
    assert pause_after(gentle, clock, 0.02) < 0.21


def test_a_step_of_another_kind_may_take_longer() -> None:
    clock = FakeClock()
    gentle = Gentle(clock.monotonic)
    pause_after(gentle, clock, 0.01)
    assert pause_after(gentle, clock, 0.5, "reading") == 5.0
