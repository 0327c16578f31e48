"""The port to BigQuery: four verbs. What follows from an answer is decided in `delivery`, not behind the port.

Each verb blocks, at most for its own deadline, and is called on a thread kept for that (`actors.background`).
"""

from dataclasses import dataclass
from typing import Protocol

from delivery.errors import Failure
from delivery.rows import Encoded, SentRows


@dataclass(frozen=True, slots=True)
class Appended:
    """The rows are in BigQuery by this very request."""


@dataclass(frozen=True, slots=True)
class AlreadyThere:
    """The stream already reaches beyond the offset: ALREADY_EXISTS."""


AppendResult = Appended | AlreadyThere | Failure


@dataclass(frozen=True, slots=True)
class Count:
    """A finalized stream holds this many rows, for ever."""

    rows: int


@dataclass(frozen=True, slots=True)
class NoCount:
    """The service answered that the stream takes no more rows, without telling how many it has."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The service knows no such stream (NOT_FOUND)."""


FinalizeResult = Count | NoCount | Missing | Failure


class Destination(Protocol):
    """One BigQuery table as a place to send rows to.

    A way of writing without streams (insert_all) has no offsets either: what became of a request that wasn't answered
    can only be looked up, and nothing shuts out one that is still on its way.
    """

    def open(self) -> str | None:
        """Create a stream and return its name; None: this way of writing has no streams.

        Raises:
            DestinationError: no stream is known to have been made; one that was made after all stays empty for ever.
        """
        ...

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        """Append the rows at this offset of the stream; repeating it with the same arguments is safe.

        Without a stream, repeating it is safe only after a definite refusal.
        """
        ...

    def finalize(self, stream: str) -> FinalizeResult:
        """Forbid further appends to the stream and tell how many rows it has."""
        ...

    def look_up(self, rows: SentRows) -> frozenset[int]:
        """The places of those rows that are in BigQuery: identity and partitioning columns all equal, NULL-safely.

        Raises:
            DestinationError: nothing is known.
        """
        ...

    def close(self) -> None:
        """Let go of the connection; a call under way fails."""
        ...
