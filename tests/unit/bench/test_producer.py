"""What a producer is told to do, as it reaches its process; and what a case of freshness makes of its commits."""

from bench.freshness import freshness
from bench.producer import Commit, Order


def test_an_order_names_what_it_asks_for() -> None:
    assert Order(None, 5.0, warm_up=0.5).arguments() == ["--seconds", "5.0", "--warm-up", "0.5"]
    assert Order(50.0, 5.0, history=True, enqueued=True, touch=(3, 9)).arguments() == [
        *("--seconds", "5.0", "--warm-up", "1.0", "--rate", "50.0", "--history", "--enqueued", "--touch", "3", "9"),
    ]


def test_freshness_counts_from_the_answer_of_the_commit() -> None:
    assert freshness([Commit(1.0, 1.5, 7), Commit(2.0, 2.5, 8)], {8: 2.75, 7: 2.0, 9: 3.0}) == [0.5, 0.25]
