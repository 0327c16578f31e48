"""Which days differ, by counts of both sides; and into which spans the days to be compared fall."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from delivery import verify
from delivery.both_sides import ONLY_TIMELESS, Day, DayCount, Scope, Span
from delivery.day_counts import DayDifference, Tally, at_least_and_at_most, differences, first_kept
from delivery.verify import runs

DAY, NEXT = date(2026, 11, 1), date(2026, 11, 2)
T1: Scope = ("T1",)
T2: Scope = ("T2",)


@pytest.mark.parametrize(
    ("tally", "there", "differs", "surely"),
    [
        (Tally(5, 0), DayCount(DAY, T1, 5, 5), False, False),
        (Tally(5, 0), DayCount(DAY, T1, 4, 4), True, True),
        (Tally(5, 0), DayCount(DAY, T1, 6, 6), True, True),
        (Tally(5, 0), DayCount(DAY, T1, 5, 4), True, True),  # one is missing, one doubled
        (Tally(5, 2), DayCount(DAY, T1, 5, 5), False, False),
        (Tally(5, 2), DayCount(DAY, T1, 6, 6), True, False),  # of those that wait one may have arrived, or one is extra
        (Tally(5, 2), DayCount(DAY, T1, 8, 8), True, True),
    ],
)
def test_a_day(tally: Tally, there: DayCount, differs: bool, surely: bool) -> None:
    assert bool(differences({(DAY, T1): tally}, [there], surely=False)) == differs
    assert bool(differences({(DAY, T1): tally}, [there], surely=True)) == surely


def test_scopes_do_not_make_up_for_each_other() -> None:
    tallies: dict[tuple[Day, Scope], Tally] = {(DAY, T1): Tally(5), (DAY, T2): Tally(5), (NEXT, T1): Tally(1)}
    counts = [DayCount(DAY, T1, 4, 4), DayCount(DAY, T2, 7, 6), DayCount(None, T1, 1, 1)]
    assert differences(tallies, counts, surely=True) == [
        DayDifference(None, 0, 0, 1, 0),
        DayDifference(DAY, 10, 0, 11, 1),
        DayDifference(NEXT, 1, 0, 0, 0),
    ]


def test_what_came_or_went_while_bigquery_counted_is_no_difference() -> None:
    before: dict[tuple[Day, Scope], Tally] = {(DAY, T1): Tally(5, 1), (NEXT, T1): Tally(3)}
    after: dict[tuple[Day, Scope], Tally] = {(DAY, T1): Tally(8, 1), (NEXT, T1): Tally(2), (NEXT, T2): Tally(4)}
    assert at_least_and_at_most(before, after) == {
        (DAY, T1): Tally(5, 4),
        (NEXT, T1): Tally(2, 1),
        (NEXT, T2): Tally(0, 4),
    }


@pytest.mark.parametrize(
    ("retention_days", "first"), [(None, None), (60, date(2026, 9, 4)), (3, date(2026, 10, 31)), (1, DAY)]
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "America/Los_Angeles"])
def test_days_of_which_rows_may_be_deleted_by_tomorrow_are_left_out(
    retention_days: int | None, first: date | None, zone: str
) -> None:
    assert first_kept(retention_days, DAY) == first
    if retention_days is not None and retention_days > 1 and first is not None:
        begins = datetime.combine(first, time(), ZoneInfo(zone))  # as a DATETIME in BigQuery has it
        assert begins >= datetime.combine(NEXT, time(), UTC) - timedelta(days=retention_days)  # all day long


def test_days_are_compared_in_spans_of_days_that_follow_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "ROWS_A_QUERY", 10)
    rows_of: dict[date | None, int] = {date(2026, 11, day): 4 for day in (1, 2, 3, 5)}
    assert list(runs(rows_of | {None: 3, date(2026, 11, 6): 50})) == [
        ONLY_TIMELESS,
        Span(date(2026, 11, 1), date(2026, 11, 2)),
        Span(date(2026, 11, 3), date(2026, 11, 3)),
        Span(date(2026, 11, 5), date(2026, 11, 5)),
        Span(date(2026, 11, 6), date(2026, 11, 6)),
    ]


def test_a_span_holds_its_days_and_a_wider_one_those_around() -> None:
    span = Span(DAY, NEXT)
    assert [span.holds(day) for day in (None, date(2026, 10, 31), DAY, NEXT, date(2026, 11, 3))] == [
        False, False, True, True, False,
    ]  # fmt: skip
    assert span.wider() == Span(date(2026, 10, 31), date(2026, 11, 3))
    assert Span(None, date.max).wider() == Span(None, date.max)
    assert ONLY_TIMELESS.wider() == ONLY_TIMELESS
    assert [ONLY_TIMELESS.holds(day) for day in (None, date.min, DAY, date.max)] == [True, False, False, False]
