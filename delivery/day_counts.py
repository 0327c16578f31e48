"""How many rows of each day there are on both sides: what is compared first, and all that is compared every day."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from delivery.both_sides import ONE_DAY, Bounds, Day, DayCount, KeyWalk, Read, Rows, Scope, Span
from delivery.rows import Key
from delivery.steps import Gentle, Steps
from delivery.triage import RowState

ROWS_AT_ONCE = 2_000
MOST_SCOPES = 10_000  # of one source table; they are parameters of each query
MOST_UNREADABLE = 100_000


class VerifyError(Exception):
    """The table can't be compared as things are; its text says why, and what to do."""


@dataclass(slots=True)
class Tally:
    """Rows here: `synced`, which BigQuery should have, and `open`, which it may have: waiting ones, and history."""

    synced: int = 0
    open: int = 0


@dataclass(slots=True)
class Counted:
    """What a walk through the source rows of a span told.

    Attributes:
        tallies: by day and scope.
        scopes: of all these rows; where there are none, of others. Empty: the table has no row.
        bounds: the lowest and the highest key of each day.
        states: how many rows have which state.
        unreadable: rows that are marked as synced, but that BigQuery couldn't take as they are now.
    """

    tallies: dict[tuple[Day, Scope], Tally] = field(default_factory=dict)
    scopes: set[Scope] = field(default_factory=set)
    bounds: dict[Day, Bounds] = field(default_factory=dict)
    states: Counter[RowState] = field(default_factory=Counter)
    unreadable: set[Key] = field(default_factory=set)

    @property
    def rows(self) -> int:
        return self.states.total()


@dataclass(frozen=True, slots=True)
class DayDifference:
    """A day of which the two sides don't have the same: rows here that BigQuery should have, rows it has at all."""

    day: Day
    here: int
    open: int
    there: int
    doubled: int


def count_rows(walk: KeyWalk, rows: Rows, read: Read, span: Span, gentle: Gentle, counted: Counted) -> Steps[None]:
    """Walk through the source rows of the span, and count them into `counted`.

    Raises:
        SourceError, SourceChangedError: the walk ends here.
        VerifyError: the rows are of too many scopes, or too many of them can't be compared.
    """
    bounds, after = walk.bounds(span), None
    while True:
        started = gentle.start()
        page = walk.keys(span, bounds, after, ROWS_AT_ONCE)
        found = rows.rows(page.keys) if page.keys else {}
        pause = gentle.rest(started, "counting rows")
        for key in page.keys:
            if (row := found.get(key)) is None:
                continue
            reading = read(row.values)
            if reading is None:
                if row.state is RowState.SYNCED:
                    counted.unreadable.add(key)
            elif span.holds(reading.day):
                _count(key, row.state, reading.day, reading.scope, counted)
        if len(counted.scopes) > MOST_SCOPES:
            raise VerifyError(
                f"its rows have more than {MOST_SCOPES:,} different values in the identity columns besides the id:"
                " take those that vary from row to row out of `identity`"
            )
        if len(counted.unreadable) > MOST_UNREADABLE:
            raise VerifyError(
                f"more than {MOST_UNREADABLE:,} rows are marked as sent, but couldn't be sent as they are now: were"
                " `columns` or BigQuery's table changed?"
            )
        if page.next is None:
            break
        after = page.next
        yield pause
    if not counted.scopes:
        _learn_scopes(walk, rows, read, counted)


def _learn_scopes(walk: KeyWalk, rows: Rows, read: Read, counted: Counted) -> None:
    """Of other days: where these have no row here, BigQuery may have some all the same."""
    page = walk.keys(Span(timeless=True), None, None, ROWS_AT_ONCE)
    for row in (rows.rows(page.keys) if page.keys else {}).values():
        if (reading := read(row.values)) is not None:
            counted.scopes.add(reading.scope)


def _count(key: Key, state: RowState, day: Day, scope: Scope, counted: Counted) -> None:
    counted.states[state] += 1
    tally = counted.tallies.get((day, scope))
    if tally is None:
        tally = counted.tallies[day, scope] = Tally()
        counted.scopes.add(scope)
    if state is RowState.SYNCED:
        tally.synced += 1
    else:
        tally.open += 1
    known = counted.bounds.get(day) or Bounds(key, key)
    counted.bounds[day] = Bounds(min(known.lowest, key), max(known.highest, key))  # texts walk in a collation's order


def differences(
    tallies: Mapping[tuple[Day, Scope], Tally], counts: Sequence[DayCount], *, surely: bool
) -> list[DayDifference]:
    """The days that differ, in order; rows without time come first.

    Args:
        surely: only days that differ whatever becomes of rows that are on their way, or of history; else also days
            whose rows have to be looked at to know.
    """
    there = {(count.day, count.scope): count for count in counts}
    found: dict[Day, DayDifference] = {}
    for (day, _scope), tally, count in _side_by_side(tallies, there):
        most = tally.synced + (tally.open if surely else 0)
        if count.rows != count.distinct or not tally.synced <= count.rows <= most:
            found[day] = _sum(day, found.get(day), tally, count)
    return [found[day] for day in sorted(found, key=lambda day: (day is not None, day or 0))]


def at_least_and_at_most(
    before: Mapping[tuple[Day, Scope], Tally], after: Mapping[tuple[Day, Scope], Tally]
) -> dict[tuple[Day, Scope], Tally]:
    """Of tallies before and after BigQuery counted its rows: what it surely should have had, and what it may have."""
    tallies = {}
    for place in before.keys() | after.keys():
        first, second = before.get(place) or Tally(), after.get(place) or Tally()
        synced = min(first.synced, second.synced)
        tallies[place] = Tally(synced, max(first.synced + first.open, second.synced + second.open) - synced)
    return tallies


def first_kept(retention_days: int | None, today: date) -> date | None:
    """The first day of which retention deletes nothing yet, nor within a day; None: it deletes nothing.

    A DATE or DATETIME may be of a zone in which the day begins, and is old, much earlier than in UTC.
    """
    return None if retention_days is None else min(today, today - (retention_days - 2) * ONE_DAY)


def _side_by_side(
    tallies: Mapping[tuple[Day, Scope], Tally], there: Mapping[tuple[Day, Scope], DayCount]
) -> Iterator[tuple[tuple[Day, Scope], Tally, DayCount]]:
    for day, scope in tallies.keys() | there.keys():
        count = there.get((day, scope)) or DayCount(day, scope, 0, 0)
        yield (day, scope), tallies.get((day, scope)) or Tally(), count


def _sum(day: Day, before: DayDifference | None, tally: Tally, count: DayCount) -> DayDifference:
    doubled = count.rows - count.distinct
    if before is None:
        return DayDifference(day, tally.synced, tally.open, count.rows, doubled)
    return DayDifference(
        day,
        before.here + tally.synced,
        before.open + tally.open,
        before.there + count.rows,
        before.doubled + doubled,
    )
