"""What a bench's figures say of themselves, and that they come back from JSON as they were."""

import json

import pytest

from bench.figures import Figure, Report, at_least, at_most, command_of, table

RATE = Figure("rate", 12_345.6, "rows/s", at_least(10_000))
MEMORY = Figure("memory", 300.0, "MB", at_most(250))
RATIO = Figure("ratio", 1.234, "")
NONE_SENT = Figure("bytes sent at rest", 7.0, "bytes", at_most(0))


@pytest.mark.parametrize(
    ("figure", "reached", "verdict"),
    [
        (RATE, True, "yes, by 23 %"),
        (MEMORY, False, "NO, by 20 %"),
        (RATIO, None, ""),
        (NONE_SENT, False, "NO, by 7"),
        (Figure("as far as it goes", 250.0, "MB", at_most(250)), True, "yes, by 0 %"),
    ],
)
def test_a_figure_knows_whether_its_goal_is_reached_and_by_how_much(
    figure: Figure, reached: bool | None, verdict: str
) -> None:
    assert (figure.reached, figure.verdict) == (reached, verdict)


def test_the_table_is_in_columns() -> None:
    assert table([RATE, MEMORY, RATIO]).splitlines() == [
        "figure   value  unit    goal       reached",
        "rate    12,346  rows/s  >= 10,000  yes, by 23 %",
        "memory     300  MB      <= 250     NO, by 20 %",
        "ratio     1.23",
    ]


def test_a_report_comes_back_from_json_as_it_was() -> None:
    report = Report("Some bench", "python -m bench.some", [RATE, RATIO], ["A note."], {"rows": [1, 2]})
    assert Report.from_json(json.loads(json.dumps(report.as_json()))) == report


def test_the_json_says_whether_the_goal_is_reached() -> None:
    figures = Report("Some bench", "python -m bench.some", [RATE, MEMORY, RATIO]).as_json()["figures"]
    assert [figure["reached"] for figure in figures] == [True, False, None]


def test_the_command_is_the_one_given_but_for_where_the_json_goes() -> None:
    assert command_of("some", ["--rows", "5", "--json", "a.json", "--small"]) == "python -m bench.some --rows 5 --small"
    assert command_of("some", ["--json=a.json"]) == "python -m bench.some"
