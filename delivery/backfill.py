"""Give rows queue items with `resend`, which the worker looks up and sends: history, or a range of time again.

An item that is made twice, or of a row that BigQuery has, doubles nothing, since the worker looks each up first. So
nothing is kept of a run: one that was cut is begun anew, and finds what is left.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Protocol, TypeVar

from delivery.backfill_report import BackfillReport, Fate, Total
from delivery.backoff import Backoff
from delivery.confirm import LooksUp, looked_up
from delivery.ledger import ItemStatus
from delivery.old_rows import Identities, Position
from delivery.patience import patiently
from delivery.rows import Key
from delivery.source import Source
from delivery.steps import Gentle, Pause, Steps, ask
from delivery.triage import Item

ROWS_AT_ONCE = 1000  # read, and asked for in one query
ITEMS_AT_ONCE = 200  # of one transaction
LOOK_SECONDS = 1.0  # between two looks at items, at least: more often, and the worker would make room for us

T = TypeVar("T")


class BackfillError(Exception):
    """Nothing, or nothing more, can be done as things are; its text says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows: history (flag NULL), or `again` those that are marked as synced, of this range of their age.

    `since`, `until`: with their zone; the latter is excluded.
    """

    again: bool = False
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Stretch:
    """The next rows in the order of an index: `passed` were read, of which those with these keys are selected.

    `next`: where the next stretch begins; None: this was the last.
    """

    keys: Sequence[Key]
    passed: int
    next: Position | None


class SelectedRows(Protocol):
    """The selected rows of one table. Each may raise SourceError."""

    def count(self) -> Total:
        """How many rows will be passed."""
        ...

    def stretch(self, after: Position | None, limit: int) -> Stretch: ...


class Items(Protocol):
    """One table's queue items. Each may raise SourceError."""

    def add(self, keys: Sequence[Key]) -> Collection[int]:
        """Make pending items with `resend`; their ids. After an error they may be there."""
        ...

    def decided(self, ids: Collection[int]) -> Mapping[int, Fate]:
        """Those of them that are decided by now."""
        ...

    def open(self, at_most: int) -> int:
        """How many of the table's items are pending or on their way, counted so far."""
        ...

    def obstacle(self) -> str | None:
        """Why nobody sends items of this table at this moment; None: somebody does."""
        ...


@dataclass(frozen=True, slots=True)
class AskFirst:
    """BigQuery is asked which rows it lacks, and only these get items."""

    destination: LooksUp
    identities: Identities


@dataclass
class Backfill:
    """One run. `steps` does it; `report` says how far it is, at any time.

    Args:
        ask_first: None: every selected row gets an item.
        most_waiting: how many items of the table may be open while rows are added to them.
    """

    rows: SelectedRows
    items: Items
    source: Source
    ask_first: AskFirst | None
    most_waiting: int
    gentle: Gentle
    report: BackfillReport
    dry_run: bool = False
    backoff: Callable[[], Backoff] = Backoff
    _open: set[int] = field(default_factory=set, init=False)  # our items that aren't decided
    _room: int = field(default=0, init=False)  # for further ones, when it was looked last

    def steps(self) -> Steps[None]:
        """Go through all selected rows, and wait until the last of their items is decided.

        Raises:
            SourceError, DestinationError: the run ends here, and may be begun again at any time.
        """
        self.report.total = yield from self._patiently(lambda: ask(self.rows.count))
        after = None
        while True:
            stretch = yield from self._patiently(partial(self._read, after))
            missing = yield from self._patiently(partial(self._missing, stretch.keys))
            self.report.passed += stretch.passed - len(missing)
            for some in _chunks(missing, ITEMS_AT_ONCE):
                yield from self._send(some)
            if stretch.next is None:
                break
            after = stretch.next
        yield from self._patiently(self._look)
        while self._open:
            yield from self._patiently(self._wait)

    # rows

    def _read(self, after: Position | None) -> Steps[Stretch]:
        """The next rows that no item decides about."""
        started = self.gentle.start()
        stretch = self.rows.stretch(after, ROWS_AT_ONCE)
        free = free_of_items(self.source, stretch.keys, self.report)
        yield self.gentle.rest(started, "reading rows")
        return Stretch(free, stretch.passed, stretch.next)

    def _missing(self, keys: Sequence[Key]) -> Steps[Sequence[Key]]:
        if self.ask_first is None or not keys:
            return keys
        identities = self.ask_first.identities
        rows = self.source.rows(keys)
        read = (identities.read(row.values) for row in rows.values())
        known = [row for row in read if row is not None]  # the others fail as items, with the reason
        there = yield from looked_up(self.ask_first.destination, identities.of(known))
        self.report.decide(Fate.THERE, len(there))
        return [key for key in rows if key not in there]

    # items

    def _send(self, keys: Sequence[Key]) -> Steps[None]:
        if self.dry_run:
            self.report.decide(Fate.WOULD_SEND, len(keys))
            self.report.passed += len(keys)
            return
        left = list(keys)
        while left:
            if self._room <= 0:
                yield from self._patiently(self._look)
            while self._room <= 0:
                yield from self._patiently(self._wait)
            some, left = left[: self._room], left[self._room :]
            self._open |= yield from self._patiently(partial(self._add, some))
            self._room -= len(some)
            self.report.passed += len(some)
            self.report.under_way = len(self._open)

    def _add(self, keys: Sequence[Key]) -> Steps[set[int]]:
        started = self.gentle.start()
        ids = set(self.items.add(keys))
        yield self.gentle.rest(started, "adding items")
        return ids

    def _look(self) -> Steps[None]:
        """What has become of our items, and how many more there may be."""
        for id_, fate in self.items.decided(self._open).items():
            self._open.remove(id_)
            self.report.decide(fate)
        self.report.under_way = len(self._open)
        self._room = self.most_waiting - (yield from ask(partial(self.items.open, self.most_waiting)))

    def _wait(self) -> Steps[None]:
        """For somebody to send items."""
        started = self.gentle.start()
        yield from self._look()
        self.report.wait_for(self.items.obstacle())
        rest = self.gentle.rest(started, "looking at items")
        yield Pause(max(LOOK_SECONDS, rest.seconds))

    def _patiently(self, attempt: Callable[[], Steps[T]]) -> Steps[T]:
        return (yield from patiently(attempt, self.backoff(), self.report.wait_for))


def free_of_items(source: Source, keys: Collection[Key], report: BackfillReport) -> list[Key]:
    """Those of the rows that no item decides about; the others are reported. Raises SourceError."""
    inserts = source.inserts_of(keys) if keys else {}
    fates = {key: _left_to_item(inserts.get(key, ())) for key in keys}
    for fate in fates.values():
        if fate is not None:
            report.decide(fate)
    return [key for key, fate in fates.items() if fate is None]


def _left_to_item(inserts: Sequence[Item]) -> Fate | None:
    """What the INSERT items of its key say of a row that isn't to be sent beside them; None: they say nothing."""
    statuses = {item.status for item in inserts}
    if statuses & {ItemStatus.PENDING, ItemStatus.SYNCING}:
        return Fate.WAITS
    if ItemStatus.FAILED in statuses:
        return Fate.FAILED_BEFORE
    return Fate.GIVEN_UP if ItemStatus.ABANDONED in statuses else None


def _chunks(keys: Sequence[Key], size: int) -> Iterator[Sequence[Key]]:
    return (keys[start : start + size] for start in range(0, len(keys), size))
