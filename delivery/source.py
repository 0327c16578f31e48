"""The port to what is waiting: source rows and queue items, read without locks and without a lease."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from delivery.rows import Key
from delivery.triage import Item, RowState


@dataclass(frozen=True, slots=True)
class QueuedItem:
    """A pending item with all that it says. `since`: when it was enqueued, with its zone."""

    item: Item
    record_id: str
    payload: str | None
    since: datetime | None = None


class SourceRow(NamedTuple):
    """A source row as it was read: its state, and its values in the order of the mapping's columns, the key first.

    `settling`: it is younger than the table's settle_seconds, and is left alone. `since`: what its age column says,
    with its zone; None where there is none, where it doesn't say, and of most rows where many are read at once.
    """

    state: RowState
    values: Sequence[object]
    settling: bool = False
    since: datetime | None = None


class ReadByColumns(Protocol):
    """Some waiting rows as they were read together, each column as one value: nothing is made for a single row.

    A column is known by its place among the mapping's columns.
    """

    @property
    def keys(self) -> Sequence[Key]: ...

    @property
    def nbytes(self) -> int:
        """How much memory the values take."""
        ...

    @property
    def since(self) -> Mapping[int, datetime]:
        """Of some rows, by their places: what their age column says."""
        ...

    def texts(self, place: int) -> Any:
        """A column as the server writes it: a `pyarrow.Array` of strings, or of bytes where it is a binary column."""
        ...

    def values(self, place: int) -> Sequence[object]:
        """A column with the values that `Source.rows` has."""
        ...

    def rows(self) -> Iterable[Sequence[object]]:
        """The same rows one by one, with the values that `Source.rows` has."""
        ...


class SourceError(Exception):
    """The database didn't answer a read; its text says why, without values."""


class SourceChangedError(Exception):
    """The table was altered: its values are no longer of the types that the mapping was compiled for."""


class PageTooLong(Exception):
    """So many rows can't be read by columns at once: fewer can.

    Attributes:
        rows: how many they were.
    """

    def __init__(self, rows: int) -> None:
        super().__init__(f"{rows} rows are too long to be read by columns at once")
        self.rows = rows


class Source(Protocol):
    """One table's rows and items. Every method may raise SourceError, and those that read rows SourceChangedError."""

    def anything_waits(self) -> bool:
        """Whether there is a pending item, or a row that `waiting_keys` would tell of: one question in a quiet time."""
        ...

    def waiting_keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        """Keys of rows whose flag is FALSE and that aren't settling, in the key's own order, behind `after`."""
        ...

    def pending_items(self, after: int, limit: int) -> Sequence[QueuedItem]:
        """Pending items in the order of their ids, behind `after`."""
        ...

    def resolve(self, items: Sequence[QueuedItem]) -> Mapping[int, Key]:
        """The key that each item means (by item id), as the database spells it; one that can't mean any is missing."""
        ...

    def inserts_of(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Item]]:
        """All INSERT items of the keys, whatever their status; a key without any is missing."""
        ...

    def open_batches(self) -> Collection[int]:
        """Some of the table's batches that the ledger holds as begun or appended, if there are any."""
        ...

    def rows(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]:
        """The rows that are there."""
        ...

    @property
    def by_columns(self) -> bool:
        """Whether `waiting_by_columns` is worth asking."""
        ...

    def waiting_by_columns(self, keys: Sequence[Key]) -> ReadByColumns | None:
        """Those of the rows that still wait and aren't settling, in any order; None: they have to be read as `rows`.

        `keys` stand in the order of `waiting_keys`, and most rows that wait between the first and the last are theirs.

        Raises:
            PageTooLong: nothing was read.
        """
        ...
