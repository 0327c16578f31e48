"""How batches grow with the backlog, and shrink with line and quota."""

import pytest

from delivery.pace import APPEND_SECONDS, FEWEST_BYTES, FIRST_BYTES, SLOWEST_INTERVAL, Pace

MB = 1_000_000


@pytest.fixture
def pace() -> Pace:
    return Pace.start(100, most_rows=1000, most_bytes=8 * MB)


def test_it_starts_with_batches_as_configured(pace: Pace) -> None:
    assert (pace.rows, pace.stretch) == (100, 1.0)
    assert Pace.start(100, most_rows=10, most_bytes=MB).rows == 10


def test_the_first_batch_is_small_enough_for_a_slow_line_whatever_its_rows(pace: Pace) -> None:
    assert pace.bytes == FIRST_BYTES
    assert Pace.start(100, most_rows=1000, most_bytes=FIRST_BYTES - 1).bytes == FIRST_BYTES - 1


def test_full_batches_grow_to_the_limit(pace: Pace) -> None:
    sizes = []
    for _ in range(5):
        pace = pace.measured(pace.rows, 10_000, 0.1)
        sizes.append(pace.rows)
    assert sizes == [200, 400, 800, 1000, 1000]


def test_a_batch_that_wasnt_full_lets_none_grow(pace: Pace) -> None:
    assert pace.measured(99, 10_000, 0.1).rows == 100


def test_an_append_takes_about_ten_seconds_at_most_on_a_slow_line(pace: Pace) -> None:
    for _ in range(10):
        pace = pace.measured(100, 50_000, 5.0)  # 10 kB/s
    assert pace.bytes == pytest.approx(10_000 * APPEND_SECONDS)


def test_even_the_slowest_line_carries_something(pace: Pace) -> None:
    for _ in range(10):
        pace = pace.measured(1, 1000, 100.0)
    assert pace.bytes == FEWEST_BYTES


def test_a_line_that_gets_faster_is_used(pace: Pace) -> None:
    for _ in range(10):
        pace = pace.measured(1, 1000, 100.0)
    for _ in range(20):
        pace = pace.measured(1, 1000_000, 0.1)
    assert pace.bytes == 8 * MB


def test_an_append_that_took_no_time_divides_by_nothing(pace: Pace) -> None:
    assert pace.measured(1, 1000, 0.0).bytes == 8 * MB


def test_a_quota_halves_batches_and_stretches_the_interval_within_limits(pace: Pace) -> None:
    eased = pace.eased()
    assert (eased.rows, eased.stretch) == (50, 2.0)
    for _ in range(20):
        eased = eased.eased()
    assert (eased.rows, eased.stretch) == (1, SLOWEST_INTERVAL)


def test_it_eases_off_step_by_step(pace: Pace) -> None:
    eased = pace.eased().eased()
    stretches = []
    for _ in range(3):
        eased = eased.measured(eased.rows, 1000, 0.1)
        stretches.append(eased.stretch)
    assert stretches == [2.0, 1.0, 1.0]
