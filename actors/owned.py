"""What a TableOwner owns a table with: the lock, the table once it is opened, and the pipeline that carries it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from actors.parts import Recipient
from delivery.doubts import Doubts
from delivery.lease import Lease
from delivery.ledger import Batch, Lookups
from delivery.rows import Key


class TableBlockedError(Exception):
    """The table can't be carried as things are; `problems` has a line for each thing that somebody has to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Locks(Protocol):
    """The advisory locks of this process. `take` raises LedgerError when the database doesn't answer."""

    def take(self, table: str) -> int | None: ...

    def release(self, table: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Start:
    """What a pipeline starts with: the lease, what is appended but not completed, and what has to be looked up.

    `aside`: keys that aren't to be found until they are settled.
    """

    lease: Lease
    appended: tuple[Batch, ...]
    lookups: Lookups
    next_rows: int | None
    aside: tuple[Key, ...] = ()

    @property
    def in_flight(self) -> Iterator[Key]:
        """What is in the pipeline from the start."""
        yield from (key for batch in self.appended for key in batch.rows.keys)


class Pipeline(Protocol):
    """The actors of one table, started."""

    @property
    def poller(self) -> Recipient: ...

    @property
    def batcher(self) -> Recipient: ...

    @property
    def writer(self) -> Recipient: ...

    @property
    def marker(self) -> Recipient: ...

    @property
    def retention(self) -> Recipient | None:
        """Takes RunRetention; None: nothing is ever deleted."""
        ...

    def stop(self) -> None:
        """Drop it: its actors end once they have done with their inboxes, in which no write of theirs can succeed."""
        ...

    def stop_finding(self) -> None:
        """End the actors that find, gather or delete rows; what is with the writer goes on."""
        ...


class Table(Protocol):
    """What this process has of a table once it owns it: everything that recovery and a pipeline work with."""

    def recover(self, lease: Lease, lookup_first: bool, doubts: Doubts) -> tuple[tuple[Batch, ...], Lookups]:
        """See `delivery.recovery`; `doubts` are this process's, kept by the owner."""
        ...

    def start(self, start: Start, upstream: Recipient) -> Pipeline: ...

    def close(self) -> None: ...
