"""The ports of retention: the old rows of one table, and what confirms that BigQuery has them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from delivery.lease import Lease
from delivery.ledger import ItemStatus
from delivery.retention_report import Refusal
from delivery.rows import Key, SentRow, SentRows
from delivery.source import QueuedItem


class RetentionError(Exception):
    """Nothing, or nothing more, may be deleted as things are; its text says why, and what to do.

    `tomorrow`: trying again sooner would find the same.
    """

    def __init__(self, reason: str, *, tomorrow: bool = False) -> None:
        super().__init__(reason)
        self.tomorrow = tomorrow


# Where the next page of rows begins: the values of the columns that the rows are read in the order of.
Position = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class OldRow:
    """A row that is marked as synced and older than the cutoff."""

    key: Key
    age: datetime  # with its zone


@dataclass(frozen=True, slots=True)
class OldPage:
    """`next`: where the next page begins; None: this was the last."""

    rows: Sequence[OldRow]
    next: Position | None


@dataclass(frozen=True, slots=True)
class RecordedBatch:
    """A completed batch, and when it was completed."""

    id: int
    ended_at: datetime
    rows: SentRows


@dataclass(frozen=True, slots=True)
class ItemToClean:
    """An item that is done with, completed or abandoned.

    `evidence`: its batch lists no rows (another program sent them), so that the item alone says that its row was sent.
    """

    queued: QueuedItem
    done_at: datetime
    evidence: bool = False


@dataclass(frozen=True, slots=True)
class BatchToClean:
    """A batch that ended long ago and that nothing names; `keys` of its rows where it is completed."""

    id: int
    keys: Sequence[Key] = ()


@dataclass(frozen=True, slots=True)
class Deleted:
    """What a DELETE did: how many rows it deleted, and which it didn't, and why. `notes`: names of what forbade it."""

    rows: int
    refused: Mapping[Key, Refusal] = field(default_factory=dict)
    notes: Collection[str] = ()


class RetentionTransaction(Protocol):
    """Deletes under the table's lease, all or nothing. Each may raise LedgerError or RetentionError."""

    def delete_synced(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        """Delete those of these rows that are still marked as synced, older than the cutoff, and free of open items."""
        ...

    def delete_abandoned(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        """Delete those of these rows that are unsynced, older than the cutoff, and still given up."""
        ...

    def delete_items(self, ids: Collection[int], status: ItemStatus) -> int: ...

    def delete_batches(self, ids: Collection[int]) -> int:
        """Delete those of them that no item names."""
        ...

    def delete_streams(self, before: datetime, limit: int) -> int:
        """Delete final streams, made before then, that no batch is of."""
        ...

    def delete_commands(self, before: datetime, limit: int) -> int:
        """Delete commands that ended before then, but for the last report of retention."""
        ...


class OldRows(Protocol):
    """One table's old rows, and what is kept beside them. Every method may raise SourceError."""

    def now(self) -> datetime:
        """What time it is by the database's clock."""
        ...

    def obstacles(self) -> Sequence[str]:
        """Why no row of this table may be deleted, by its schema: each with the fix."""
        ...

    def notes(self) -> Sequence[str]:
        """What may forbid deleting some rows, by the schema."""
        ...

    def staying(self, cutoff: datetime) -> Mapping[Refusal, Sequence[Key]]:
        """Old rows that aren't marked as synced, and those whose age isn't known; of very many some."""
        ...

    def old(self, cutoff: datetime, after: Position | None, limit: int) -> OldPage:
        """The next rows that are marked as synced and older than the cutoff; a page may be empty and not the last."""
        ...

    def old_unsynced(self, keys: Collection[Key], cutoff: datetime) -> Mapping[Key, datetime]:
        """Those of these rows whose flag is FALSE and that are older than the cutoff, with their ages."""
        ...

    def any_there(self, keys: Sequence[Key]) -> bool:
        """Whether the table has a row of any of these keys."""
        ...

    def sent_items(self, keys: Collection[Key]) -> Mapping[Key, datetime]:
        """Those of the keys of which an INSERT item was sent, and when it was, at the latest."""
        ...

    def recorded(self, since: datetime, after: int, limit: int, keys: Collection[Key]) -> Sequence[RecordedBatch]:
        """Completed batches that ended at `since` or later, by their ids, behind `after`; of their rows those keys."""
        ...

    def items_to_clean(
        self, status: ItemStatus, before: datetime | None, after: int, limit: int
    ) -> Sequence[ItemToClean]:
        """Items of that status that were made before then (None: whenever), by their ids, behind `after`."""
        ...

    def batches_to_clean(self, before: datetime, after: int, limit: int) -> Sequence[BatchToClean]:
        """Batches that ended before then and that nothing rests on but perhaps their rows, by id, behind `after`."""
        ...

    def transaction(self, lease: Lease) -> AbstractContextManager[RetentionTransaction]:
        """As `delivery.ledger.Ledger.transaction`."""
        ...


@dataclass(frozen=True, slots=True)
class Survey:
    """What BigQuery says at the start of a run: how far its clock is ahead, and when it drops its partitions."""

    clock_ahead: timedelta
    expiration_days: float | None


class Confirming(Protocol):
    """BigQuery's table, as far as it is asked whether it has rows. Both block, and may raise DestinationError."""

    def survey(self) -> Survey: ...

    def look_up(self, rows: SentRows) -> frozenset[int]:
        """See `delivery.destination.Destination.look_up`."""
        ...


@dataclass(frozen=True, slots=True)
class Identities:
    """What a row is known by in BigQuery, as the mapping has it today.

    `read` makes it of a source row's values; None where BigQuery couldn't have taken such a row.
    """

    identity_columns: tuple[str, ...]
    partition_column: str | None
    read: Callable[[Sequence[object]], SentRow | None]

    def of(self, rows: Sequence[SentRow]) -> SentRows:
        return SentRows(self.identity_columns, self.partition_column, tuple(rows))
