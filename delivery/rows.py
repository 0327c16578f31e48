"""The rows of a batch, as the ledger keeps them and as they are sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, Self

TIMED_ROWS = 500  # of a batch, at most, are known by the time since which they wait: enough to measure by

Key = int | str  # of a source row, as the database returned it


class SentRow(NamedTuple):
    """What identifies a sent row: its source key, and its identity and partitioning columns in BigQuery."""

    key: Key
    identity: tuple[object, ...]
    partition: object = None


@dataclass(frozen=True, slots=True)
class SentRows:
    """The rows of one batch in the order they were sent, with the names that their values had in BigQuery then.

    Kept in the ledger, so that a look-up asks for what was sent, whatever became of source row and configuration.
    """

    identity_columns: tuple[str, ...]
    partition_column: str | None
    rows: tuple[SentRow, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def keys(self) -> tuple[Key, ...]:
        return tuple(row.key for row in self.rows)

    def take(self, places: Sequence[int]) -> Self:
        return type(self)(self.identity_columns, self.partition_column, tuple(self.rows[place] for place in places))


class Encoded(Protocol):
    """Rows in the form in which they go over the wire."""

    @property
    def nbytes(self) -> int: ...

    def take(self, places: Sequence[int]) -> "Encoded":
        """The same with the rows at these places only, in this order."""
        ...


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A batch on its way: what the ledger keeps of it, the queue item behind each row (or None), and what is sent.

    `since`: of at most TIMED_ROWS rows, evenly spread, by their place: since when they wait, in Unix time.
    """

    rows: SentRows
    items: tuple[int | None, ...]
    encoded: Encoded
    since: Mapping[int, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, places: Sequence[int]) -> "Outgoing":
        return Outgoing(
            self.rows.take(places),
            tuple(self.items[place] for place in places),
            self.encoded.take(places),
            {now: self.since[before] for now, before in enumerate(places) if before in self.since},
        )
