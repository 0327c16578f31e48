"""The ports of verification: one table's rows here and what BigQuery has of them, each side in the order of keys.

Days are those of BigQuery's partitions: UTC. A row's time is what BigQuery has of its `age_column`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from delivery.rows import Key
from delivery.source import SourceRow

Scope = tuple[object, ...]  # a row's values of the identity columns that its key alone doesn't decide, such as tid, fid
Day = date | None  # None: of rows without time

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Span:
    """The days from the first to the last, both included; None: open at that end.

    `timeless`: rows without time belong to it. A first day behind the last leaves nothing else.
    """

    first: date | None = None
    last: date | None = None
    timeless: bool = False

    def holds(self, day: Day) -> bool:
        if day is None:
            return self.timeless
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def wider(self) -> "Span":
        """With a day more at each end."""
        if self == ONLY_TIMELESS:
            return self
        first = self.first if self.first in (None, date.min) else self.first - ONE_DAY
        last = self.last if self.last in (None, date.max) else self.last + ONE_DAY
        return Span(first, last, self.timeless)


ONLY_TIMELESS = Span(date.max, date.min, timeless=True)


@dataclass(frozen=True, slots=True)
class Bounds:
    """The keys from `lowest` to `highest`, both included; none, where that is lower."""

    lowest: Key
    highest: Key


@dataclass(frozen=True, slots=True)
class KeyPage:
    """Some keys that may be of rows of the span. `next`: what to go on behind; None: that was all."""

    keys: Sequence[Key]
    next: Key | None


class KeyWalk(Protocol):
    """Leads through a source table. Each may raise SourceError."""

    def bounds(self, span: Span) -> Bounds | None:
        """Between which keys the span's rows lie; None: that isn't cheap to tell, so look at all."""
        ...

    def keys(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        """Keys of rows of the span, and perhaps of days around it, in the table's own order.

        `limit` is how many rows are looked at.
        """
        ...

    def keys_in_order(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        """The same in the order in which BigQuery sorts them."""
        ...

    def next_key(self) -> int | None:
        """The key that the next row gets; None: the table doesn't number its rows."""
        ...


class Rows(Protocol):
    """Rows of the source table, as `delivery.source.Source.rows`."""

    def rows(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]: ...


@dataclass(frozen=True, slots=True)
class Reading:
    """What BigQuery should have of a source row: `values` of the mapping's columns, `time` among them."""

    key: Key
    identity: tuple[object, ...]
    scope: Scope
    time: object
    values: tuple[object, ...] = ()

    @property
    def day(self) -> Day:
        return day_of(self.time)


# Makes a Reading of a source row's values; None: BigQuery couldn't have taken such a row.
Read = Callable[[Sequence[object]], Reading | None]

# The columns in which two rows' values differ: as the source row has them, and as BigQuery has them.
Differing = Callable[[Sequence[object], Sequence[object]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class DayCount:
    """Rows that BigQuery has of a day and scope. `distinct`: by their ids; `highest` key among them, if integers."""

    day: Day
    scope: Scope
    rows: int
    distinct: int
    highest: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A row of BigQuery. `key`: what its id says; None: no key of this table makes such an id."""

    key: Key | None
    identity: tuple[object, ...]
    scope: Scope
    time: object
    values: tuple[object, ...]

    @property
    def day(self) -> Day:
        return day_of(self.time)


class FoundRows(Protocol):
    """The answer to a query, page by page, ascending by key; rows whose id says no key come first."""

    def next_page(self) -> Sequence[Found]:
        """Empty: that was all. Raises DestinationError."""
        ...


class There(Protocol):
    """BigQuery's side. Each blocks, and may raise DestinationError. Only rows of these scopes are looked at."""

    def counts(self, span: Span, scopes: Collection[Scope]) -> Sequence[DayCount]: ...

    def rows(self, span: Span, scopes: Collection[Scope]) -> FoundRows: ...

    def counts_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        """How many bytes `counts` will read."""
        ...

    def rows_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        """How many bytes `rows` will read."""
        ...


def day_of(time: object) -> Day:
    """The UTC day of a TIMESTAMP, DATETIME or DATE; a TIMESTAMP is in UTC already."""
    match time:
        case datetime():
            return (time.astimezone(UTC) if time.tzinfo else time).date()
        case date():
            return time
        case _:
            return None
