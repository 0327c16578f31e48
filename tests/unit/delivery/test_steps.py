import pytest

from delivery.steps import LEAST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, Gentle, Pause, Steps, ask, run
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


def test_who_may_wait_does_it_all_at_once() -> None:
    def refuse() -> int:
        raise KeyError("asked")

    def work() -> Steps[str]:
        yield Pause(1.5)
        answer = yield from ask(lambda: 7)
        with pytest.raises(KeyError):
            yield from ask(refuse)
        yield Pause(answer)
        return "done"

    waits: list[float] = []
    assert run(work(), waits.append) == "done"
    assert waits == [1.5, 7]
