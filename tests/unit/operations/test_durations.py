"""Lengths of time in words."""

import pytest

from operations.durations import in_words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (172_800, "2 days"), (-3, "-3 s"), (-300, "-5 min")],
)
def test_a_length_of_time_is_said_in_its_largest_unit(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
