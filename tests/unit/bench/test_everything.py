"""What a whole run says at its end, and what two of them say beside each other."""

import json

from bench.compare_runs import compared
from bench.everything import Failed, as_json, summary
from bench.figures import Figure, Report, at_least, at_most
from bench.machine import processor

FAST = Report("Fast", "python -m bench.fast", [Figure("rate", 200, "rows/s", at_least(100)), Figure("peak", 3, "MB")])
GENTLE = Report("Gentle", "python -m bench.gentle", [Figure("longest wait", 60, "ms", at_most(50))], ["A note."])
FACTS = {"cores": 2, "python": "3.11.7", "dlt": None}


def test_the_end_is_one_table_with_what_it_was_taken_on_and_what_failed() -> None:
    said = summary(FACTS, [FAST, GENTLE], [Failed("wire", "it ended with 1:\nTraceback ...\nOSError: no space")])
    assert said.splitlines() == [
        "cores 2, python 3.11.7",
        "figure        value  unit    goal    reached",
        "Fast: python -m bench.fast",
        "rate            200  rows/s  >= 100  yes, by 100 %",
        "peak              3  MB",
        "Gentle: python -m bench.gentle",
        "longest wait   60.0  ms      <= 50   NO, by 20 %",
        "Gentle: A note.",
        "1 of 2 goals reached",
        "wire FAILED: OSError: no space",
    ]


def test_two_runs_are_compared_by_what_both_have() -> None:
    slower = Report("Fast", "python -m bench.fast", [Figure("rate", 150, "rows/s"), Figure("another", 1, "")])
    before = json.loads(json.dumps(as_json(FACTS, [FAST, GENTLE], [])))
    after = json.loads(json.dumps(as_json(FACTS | {"cores": 4}, [slower], [])))
    assert compared(before, after).splitlines() == [
        "cores: 2, then 4",
        "figure      before  after  ratio",
        "Fast: rate     200  150    0.75",
    ]


def test_a_processor_is_named_where_the_kernel_does() -> None:
    assert processor("processor\t: 0\nmodel name\t: Some CPU 3000\nflags\t: a b\n") == "Some CPU 3000"
    assert processor("processor\t: 0\nBogoMIPS\t: 108.00\n") is None
