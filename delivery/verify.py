"""Compare a table's rows with BigQuery's: counts by day first, then rows of the days that differ, or of all days.

Both sides are read in the order of keys, so that memory holds a page of each, and what was found. BigQuery is asked
first, and source rows are read then: a row that BigQuery has was here before. What seems to be missing is looked up
once more, by what it is known by today and by what the ledger recorded when it was sent.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import partial
from itertools import groupby

from delivery.both_sides import (
    ONE_DAY,
    ONLY_TIMELESS,
    Bounds,
    Day,
    Differing,
    Found,
    FoundRows,
    KeyWalk,
    Read,
    Reading,
    Rows,
    Scope,
    Span,
    There,
)
from delivery.confirm import Claim, Confirmation, looked_up
from delivery.day_counts import Counted, VerifyError, count_rows, differences
from delivery.old_rows import Identities
from delivery.rows import Key, SentRow, SentRows
from delivery.source import Source, SourceRow
from delivery.steps import Gentle, Steps, ask
from delivery.triage import RowState
from delivery.verify_report import Damage, Damaged, ReusedKeys, VerifyReport

ROWS_AT_ONCE = 2_000
ROWS_A_QUERY = 250_000  # that BigQuery sorts for one query, unless a single day has more
DOUBTFUL_AT_ONCE = 5_000
MOST_DAMAGED = 100_000  # rows that are named; with more something else is wrong

# Instants that the ledger can be asked for; a row's time may be any.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is about to be compared row by row, and how many bytes BigQuery will read for that."""

    days: int
    rows: int
    bytes: int


@dataclass
class Verification:
    """One table's comparison over one span. `steps` does it, and fills in `report`.

    Args:
        known: the rows with what they are known by, which `read_known` reads; and their items.
        whole: the rows with all that is carried, which `read_whole` reads.
        time_column: of BigQuery, that days are told by.
        confirmation: whether BigQuery has rows that seem to be missing.
        judges_keys: the span is all that is kept, so that BigQuery's highest key is in it.
        planned: is told before rows are compared.
    """

    walk: KeyWalk
    known: Source
    whole: Rows
    there: There
    read_known: Read
    read_whole: Read
    identities: Identities
    differing: Differing
    time_column: str
    confirmation: Confirmation
    gentle: Gentle
    report: VerifyReport
    judges_keys: bool = True
    planned: Callable[[Plan], None] = lambda _plan: None
    counted: Counted = field(default_factory=Counted)
    # By key: what is missing where it should be may turn up on another day.
    _missing: dict[Key, Damaged] = field(default_factory=dict)
    _different: dict[Key, Damaged] = field(default_factory=dict)
    _doubled: dict[Key, Damaged] = field(default_factory=dict)

    def steps(self) -> Steps[None]:
        """Compare.

        Raises:
            VerifyError: the table can't be compared as things are.
            DestinationError, SourceError, SourceChangedError: the comparison ends here; it may be begun again.
        """
        report, counted = self.report, self.counted
        yield from count_rows(self.walk, self.known, self.read_known, report.span, self.gentle, counted)
        report.rows_here = counted.rows
        report.waiting, report.history = counted.states[RowState.WAITING], counted.states[RowState.HISTORY]
        report.unreadable = counted.unreadable
        if not counted.scopes:
            report.empty = True  # nothing tells which of BigQuery's rows would be this table's
            return
        report.bytes += yield from ask(partial(self.there.counts_bytes, report.span, counted.scopes))
        counts = yield from ask(partial(self.there.counts, report.span, counted.scopes))
        report.rows_there = sum(count.rows for count in counts)
        report.days = differences(counted.tallies, counts, surely=False)
        if self.judges_keys:
            self._judge_keys([count.highest for count in counts if count.highest is not None])
        rows_of = dict.fromkeys(counted.bounds, 0)
        for count in counts:
            rows_of[count.day] = rows_of.get(count.day, 0) + count.rows
        if not report.deep:
            rows_of = {day.day: rows_of[day.day] for day in report.days}
        spans = list(runs(rows_of))
        yield from self._plan(spans, rows_of, counted.scopes)
        for span in spans:
            yield from self._compare(span, counted)
        report.damaged += [*self._missing.values(), *self._doubled.values(), *self._different.values()]

    def look_everywhere(self) -> Steps[None]:
        """Look up missing rows by what they are known by alone: BigQuery may have one at a time that wasn't compared.

        To be done before they are sent again: the worker looks them up only where they should be.

        Raises:
            DestinationError: nothing is known; nothing may be sent again.
        """
        names = self.identities.identity_columns
        missing = [SentRow(row.key, row.id) for row in self.report.damaged if _is_missing(row) and row.key is not None]
        there: set[Key | None] = set()
        for start in range(0, len(missing), DOUBTFUL_AT_ONCE):
            rows = SentRows(names, None, tuple(missing[start : start + DOUBTFUL_AT_ONCE]))
            there |= yield from looked_up(self.confirmation.destination, rows)
        self.report.damaged = [
            replace(row, damage=Damage.DIFFERENT, columns=(self.time_column,))
            if _is_missing(row) and row.key in there
            else row
            for row in self.report.damaged
        ]

    def _judge_keys(self, taken: Sequence[int]) -> None:
        following = self.walk.next_key()
        if following is not None and taken and following <= max(taken):
            self.report.reused = ReusedKeys(following, max(taken))

    def _plan(self, spans: Sequence[Span], rows_of: Mapping[Day, int], scopes: Collection[Scope]) -> Steps[None]:
        size = 0
        for span in spans:
            size += yield from ask(partial(self.there.rows_bytes, span.wider(), scopes))
        self.report.bytes += size
        self.report.to_compare = sum(rows_of.values())
        if spans:
            self.planned(Plan(len(rows_of), self.report.to_compare, size))

    # a span, row by row

    def _compare(self, span: Span, counted: Counted) -> Steps[None]:
        theirs = _Theirs((yield from ask(partial(self.there.rows, span.wider(), counted.scopes))))
        bounds = _bounds(counted.bounds, span)
        gone: list[Reading] = []  # rows that BigQuery doesn't seem to have
        strays: list[Found] = []  # rows of BigQuery that none of these here explains
        after: Key | None = None
        while bounds is not None:
            started = self.gentle.start()
            page = self.walk.keys_in_order(span, bounds, after, ROWS_AT_ONCE)
            rows = self.whole.rows(page.keys) if page.keys else {}
            pause = self.gentle.rest(started, "reading rows")
            upto = bounds.highest if page.next is None else page.next
            theirs_of_these: list[Found] = []
            while found := (yield from theirs.up_to(upto)):
                theirs_of_these += [row for row in found if row.key in rows]
                strays += [row for row in found if row.key not in rows and span.holds(row.day)]
                yield from self._decide(gone, strays, at_least=DOUBTFUL_AT_ONCE)
            self._put_side_by_side(self._read(rows, span), theirs_of_these, span, gone, strays)
            yield from self._decide(gone, strays, at_least=DOUBTFUL_AT_ONCE)
            if page.next is None:
                break
            after = page.next
            yield pause
        while found := (yield from theirs.rest()):
            strays += [row for row in found if span.holds(row.day)]
            yield from self._decide(gone, strays, at_least=DOUBTFUL_AT_ONCE)
        yield from self._decide(gone, strays, at_least=1)

    def _read(self, rows: Mapping[Key, SourceRow], span: Span) -> Iterator[tuple[Reading, RowState]]:
        for key, row in rows.items():
            reading = self.read_whole(row.values)
            if reading is not None:
                if span.holds(reading.day):
                    yield reading, row.state
            elif row.state is RowState.SYNCED:
                self._demand_few()
                self.report.unreadable.add(key)

    def _put_side_by_side(
        self,
        rows: Iterable[tuple[Reading, RowState]],
        found: Sequence[Found],
        span: Span,
        gone: list[Reading],
        strays: list[Found],
    ) -> None:
        """A page of these here, and BigQuery's rows with their keys, whose order is BigQuery's."""
        theirs = {key: list(group) for key, group in groupby(found, key=lambda row: row.key)}
        for ours, state in rows:
            group = theirs.pop(ours.key, [])
            same = [row for row in group if row.identity == ours.identity]
            chosen = min(same or group, key=lambda row: row.time != ours.time, default=None)
            if chosen is None:
                if state in (RowState.SYNCED, RowState.UNFLAGGED):
                    gone.append(ours)
                continue
            self.report.compared += 1
            if columns := self.differing(ours.values, chosen.values):
                self._say_different(ours, columns)
            if len(same) > 1:
                self._say_doubled(ours)
            strays += [row for row in group if row is not chosen and row not in same and span.holds(row.day)]
        strays += [row for group in theirs.values() for row in group if span.holds(row.day)]

    # what isn't clear at once

    def _decide(self, gone: list[Reading], strays: list[Found], at_least: int) -> Steps[None]:
        """Decide what is in doubt, and empty the lists, once there is so much of it."""
        if len(gone) >= at_least:
            yield from self._decide_gone({row.key: row for row in gone})
            gone.clear()
        if len(strays) >= at_least:
            yield from self._decide_strays(strays)
            strays.clear()

    def _decide_gone(self, gone: Mapping[Key, Reading]) -> Steps[None]:
        """Which of the rows that BigQuery doesn't seem to have are missing."""
        claims = {key: self._claim(row, gone[key].time) for key, row in self._still_there(gone).items()}
        there = yield from self.confirmation.by_today(claims)
        verdict = yield from self.confirmation.by_record({key: claims[key] for key in claims if key not in there})
        for key in verdict.confirmed:
            sent = claims[key].sent
            if sent is not None and self.confirmation.has_expired(sent.partition):
                self.report.expired += 1
            else:
                self._say_different(gone[key], ())  # BigQuery has it as it was when it was sent
        for key in verdict.refused:
            if key not in self._different:
                self._demand_few()
                self._missing[key] = Damaged(Damage.MISSING, gone[key].identity, key, gone[key].day)

    def _still_there(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]:
        """Those that are here and marked as sent even now; of a table without flag, those of which an item was sent."""
        rows = self.known.rows(keys)
        unflagged = [key for key, row in rows.items() if row.state is RowState.UNFLAGGED]
        inserts = self.known.inserts_of(unflagged) if unflagged else {}
        sent = {key for key in unflagged if any(item.sent for item in inserts.get(key, ()))}
        self.report.unsent += len(unflagged) - len(sent)
        return {key: row for key, row in rows.items() if row.state is RowState.SYNCED or key in sent}

    def _decide_strays(self, strays: Sequence[Found]) -> Steps[None]:
        """What the rows of BigQuery are of which none here is of that day: of another day, or of no row at all."""
        keys = {row.key for row in strays if row.key is not None}
        rows = self.known.rows(keys) if keys else {}
        ours = {key: reading for key, row in rows.items() if (reading := self.read_known(row.values)) is not None}
        there = yield from looked_up(self.confirmation.destination, self._at_their_times(rows, ours.values()))
        for row in strays:
            mine = ours.get(row.key) if row.key is not None else None
            if mine is None and row.key in rows:
                continue  # it is here, but can't be compared
            if mine is None or mine.identity != row.identity:
                self._say_extra(row)
            elif mine.time == row.time:
                continue  # it came while we compared
            elif mine.key in there:
                self._say_doubled(mine)
            else:
                self._missing.pop(mine.key, None)
                self._say_different(mine, (self.time_column,))

    def _at_their_times(self, rows: Mapping[Key, SourceRow], ours: Iterable[Reading]) -> SentRows:
        """Our rows by their times too, which needn't be what BigQuery's partitions go by."""
        known = self.identities
        sent = [
            SentRow(mine.key, (*mine.identity, mine.time), was.partition)
            for mine in ours
            if (was := known.read(rows[mine.key].values)) is not None
        ]
        return SentRows((*known.identity_columns, self.time_column), known.partition_column, tuple(sent))

    def _claim(self, row: SourceRow, time: object) -> Claim:
        return Claim(_instant(time), self.identities.read(row.values))

    # what is found

    def _say_different(self, row: Reading, columns: Sequence[str]) -> None:
        before = self._different.get(row.key)
        if before is None or not before.columns:
            self._demand_few()
            self._different[row.key] = Damaged(Damage.DIFFERENT, row.identity, row.key, row.day, tuple(columns))

    def _say_doubled(self, row: Reading) -> None:
        """Once, whichever of its copies are seen."""
        self._demand_few()
        self._doubled[row.key] = Damaged(Damage.DUPLICATE, row.identity, row.key, row.day)

    def _say_extra(self, row: Found) -> None:
        self._demand_few()
        self.report.damaged.append(Damaged(Damage.EXTRA, row.identity, row.key, row.day))

    def _demand_few(self) -> None:
        kept = (self._missing, self._different, self._doubled, self.report.damaged, self.report.unreadable)
        rows = sum(map(len, kept))
        if rows >= MOST_DAMAGED:
            raise VerifyError(
                f"more than {MOST_DAMAGED:,} rows are damaged: was BigQuery's table dropped or emptied, or `columns`"
                " changed? Compare fewer days (--from, --until), or send days again: bq-sync backfill --again"
            )


class _Theirs:
    """BigQuery's answer, taken as far as a key."""

    def __init__(self, rows: FoundRows) -> None:
        self._rows = rows
        self._taken: Sequence[Found] = ()

    def up_to(self, key: Key) -> Steps[Sequence[Found]]:
        """Some of the rows up to that key, it included, that weren't taken yet; none: that was all of them.

        Rows without a key come with the first.
        """
        page = yield from self.rest()
        behind = next((place for place, row in enumerate(page) if _is_behind(row.key, key)), len(page))
        self._taken = page[behind:]
        return page[:behind]

    def rest(self) -> Steps[Sequence[Found]]:
        """Some of the rows that weren't taken yet; none: that was all."""
        taken, self._taken = self._taken, ()
        return taken or (yield from ask(self._rows.next_page))


def _is_missing(row: Damaged) -> bool:
    return row.damage is Damage.MISSING


def _is_behind(key: Key | None, other: Key) -> bool:
    return key is not None and key > other  # type: ignore[operator]  # keys of one table are of one type


def runs(rows_of: Mapping[Day, int]) -> Iterator[Span]:
    """The days as spans of days that follow each other, none with more than ROWS_A_QUERY rows if that can be."""
    if None in rows_of:
        yield ONLY_TIMELESS
    first: date | None = None
    last: date | None = None
    rows = 0
    for day in sorted(day for day in rows_of if day is not None):
        if first is not None and last is not None and (day - last > ONE_DAY or rows + rows_of[day] > ROWS_A_QUERY):
            yield Span(first, last)
            first, rows = None, 0
        first, last, rows = first or day, day, rows + rows_of[day]
    if first is not None:
        yield Span(first, last)


def _bounds(of_days: Mapping[Day, Bounds], span: Span) -> Bounds | None:
    """Between which keys the rows of the span lie; None: it has none."""
    within = [bounds for day, bounds in of_days.items() if span.holds(day)]
    if not within:
        return None
    lowest = min(bounds.lowest for bounds in within)
    return Bounds(lowest, max(bounds.highest for bounds in within))


def _instant(moment: object) -> datetime:
    """When the row was made, as far as the ledger knows times."""
    match moment:
        case datetime():
            return max(EARLIEST, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        case date():
            return max(EARLIEST, datetime.combine(moment, time(), UTC))
    return EARLIEST
