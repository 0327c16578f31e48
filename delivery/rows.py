"""The rows of a batch, as the ledger keeps them and as they are sent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate, chain
from math import ceil
from typing import Any, NamedTuple, Protocol, Self, TypeVar

TIMED_ROWS = 500  # of a batch, at most, are known by the time since which they wait: enough to measure by

T = TypeVar("T")

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
        return type(self)(self.identity_columns, self.partition_column, _taken(self.rows, places))


class Encoded(Protocol):
    """Rows in the form in which they go over the wire."""

    @property
    def nbytes(self) -> int: ...

    def take(self, places: Sequence[int]) -> "Encoded":
        """The same with the rows at these places only, in this order."""
        ...

    def join(self, others: Sequence[Any]) -> "Encoded":
        """These rows, and behind them those of others of the same kind and shape."""
        ...


@dataclass(frozen=True, slots=True)
class Converted:
    """Rows of one shape as BigQuery will have them: encoded, and what the ledger will keep of each.

    `row_bytes`: what each takes on the wire, about.
    """

    shape: tuple[str, ...]
    rows: SentRows
    encoded: Encoded
    row_bytes: Sequence[int]


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
            _taken(self.items, places),
            self.encoded.take(places),
            {now: self.since[before] for now, before in enumerate(places) if before in self.since},
        )

    @classmethod
    def join(cls, pieces: Sequence[Self]) -> Self:
        """Pieces of one shape, one at least, as one batch."""
        first, *others = pieces
        if not others and len(first.since) <= TIMED_ROWS:
            return first
        return cls(
            replace(first.rows, rows=tuple(chain.from_iterable(piece.rows.rows for piece in pieces))),
            tuple(chain.from_iterable(piece.items for piece in pieces)),
            first.encoded.join([piece.encoded for piece in others]) if others else first.encoded,
            _timed(pieces),
        )


def _taken(values: tuple[T, ...], places: Sequence[int]) -> tuple[T, ...]:
    if isinstance(places, range) and places.step == 1:
        return values[places.start : places.stop]
    return tuple(values[place] for place in places)


def _timed(pieces: Sequence[Outgoing]) -> dict[int, float]:
    starts = accumulate(map(len, pieces[:-1]), initial=0)
    timed = [
        (start + place, since)
        for start, piece in zip(starts, pieces, strict=True)
        for place, since in piece.since.items()
    ]
    return dict(timed[:: max(1, ceil(len(timed) / TIMED_ROWS))])
