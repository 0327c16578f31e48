"""Doubling delays with jitter."""

import random

from delivery.backoff import Backoff


def highest() -> random.Random:
    """A source of randomness whose uniform() gives its upper end."""
    chance = random.Random()
    chance.uniform = lambda a, b: b  # type: ignore[method-assign]
    return chance


def test_delays_double_from_5_to_300_seconds() -> None:
    backoff = Backoff(random=highest())
    assert [backoff.next() for _ in range(8)] == [5, 10, 20, 40, 80, 160, 300, 300]


def test_a_delay_lies_between_half_and_the_whole_of_its_step() -> None:
    delays = [Backoff(random=random.Random(seed)).next() for seed in range(200)]
    assert 2.5 <= min(delays) < 2.6
    assert 4.9 < max(delays) <= 5.0


def test_the_first_success_resets_it() -> None:
    backoff = Backoff(random=highest())
    for _ in range(5):
        backoff.next()
    backoff.reset()
    assert (backoff.attempts, backoff.next()) == (0, 5)


def test_an_outage_of_months_overflows_nothing() -> None:
    backoff = Backoff(random=highest(), attempts=10**6)
    assert backoff.next() == 300
