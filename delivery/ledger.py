"""The port to the database: row operations inside a transaction that holds the table's lease."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from delivery.lease import Lease
from delivery.rows import Key, SentRows


class BatchState(StrEnum):
    """What has become of an append request."""

    BEGUN = "begun"  # may or may not be in BigQuery
    APPENDED = "appended"  # is in BigQuery; flags and items may not say so yet
    COMPLETED = "completed"  # is in BigQuery, and everything says so
    REFUSED = "refused"  # BigQuery refused every attempt: nothing was written
    RELEASED = "released"  # recovery found that nothing was written: its rows are sent anew


IN_BIGQUERY = frozenset({BatchState.APPENDED, BatchState.COMPLETED})
OPEN = frozenset({BatchState.BEGUN, BatchState.APPENDED})  # somebody has to go on with it


class ItemStatus(StrEnum):
    """Where a queue item stands."""

    PENDING = "pending"
    SYNCING = "syncing"
    COMPLETED = "completed"
    FAILED = "failed"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch as the ledger has it."""

    id: int
    state: BatchState
    stream_id: int | None
    offset: int | None
    rows: SentRows


@dataclass(frozen=True, slots=True)
class Extent:
    """Where in its stream a batch lies, without its rows."""

    id: int
    state: BatchState
    offset: int
    row_count: int

    @property
    def end(self) -> int:
        return self.offset + self.row_count


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream that isn't known to be final."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class OrphanItem:
    """An item that is `syncing` without a batch: left so by an older program, its outcome in doubt."""

    id: int
    operation: str
    record_id: str
    payload: str | None


@dataclass(frozen=True, slots=True)
class Lookups:
    """When rows have to be looked up before they are sent: fact 8.

    `first`: the database went back in time, and not every waiting row has been looked up since. `items_to` stays
    for ever: an item up to this id was there by then, and may have been sent in the time that was lost.
    """

    first: bool = False
    items_to: int = 0


@dataclass(frozen=True, slots=True)
class TakenCommand:
    """What an operator asked for, and an owner took and never finished."""

    id: int
    kind: str
    arguments: Mapping[str, object] = field(default_factory=dict)


class Transaction(Protocol):
    """Row operations of one table, all or none of which happen. Each may raise LedgerError."""

    # streams
    def add_stream(self, name: str) -> int: ...

    def open_streams(self) -> Sequence[Stream]: ...

    def close_stream(self, stream_id: int, row_count: int | None) -> None: ...

    def extents(self, stream_id: int) -> Sequence[Extent]: ...

    # batches
    def add_batch(self, state: BatchState, stream_id: int | None, offset: int | None, rows: SentRows) -> int: ...

    def batches(self, state: BatchState) -> Sequence[Batch]: ...

    def set_state(self, batch_id: int, state: BatchState, *, was: BatchState) -> bool:
        """Turn the batch; False where it wasn't in the state it was taken for, and nothing was changed."""
        ...

    def has_batch(self, batch_id: int, stream_id: int) -> bool:
        """Whether the ledger holds this batch of this stream, in whatever state."""
        ...

    def are_completed(self, batch_ids: Collection[int]) -> bool:
        """Whether the ledger holds each of these batches of this table as completed."""
        ...

    def detach(self, batch_id: int) -> None:
        """Forget the batch's stream, so that only a look-up can decide it."""
        ...

    # items
    def lock_pending(self, items: Collection[int]) -> Mapping[int, str]:
        """Those of the items that are still pending, with their record ids, locked until the transaction ends."""
        ...

    def tie(self, items: Collection[int], batch_id: int) -> None:
        """Make items `syncing` as part of the batch, whatever they were."""
        ...

    def respell(self, item: int, key: Key) -> None:
        """Give the item the record id as the database spells the key."""
        ...

    def count_retry(self, batch_id: int) -> bool:
        """Count one more attempt that failed for no known reason on the batch's items.

        Returns:
            Whether one of them has used up its max_retries.
        """
        ...

    def move_items(self, batch_id: int, keys: Sequence[Key], to: int) -> None:
        """Make the batch's items of these keys part of another batch."""
        ...

    def free_items(self, batch_id: int) -> None:
        """Make the batch's items `pending` again, part of no batch."""
        ...

    def free_orphans(self, items: Collection[int]) -> None:
        """Make `syncing` items without a batch `pending` again."""
        ...

    def complete_items(self, batch_id: int) -> None: ...

    def settle_items(self, items: Collection[int], status: ItemStatus, reason: str | None) -> None:
        """Decide items that are still pending, without a batch."""
        ...

    def fail_row(self, key: Key, reason: str) -> None:
        """Add a failed item for a row that has none; repeated, it changes nothing."""
        ...

    def orphan_items(self, limit: int) -> Sequence[OrphanItem]: ...

    # rows and the table
    def set_flags(self, keys: Sequence[Key]) -> None:
        """Mark the source rows as synced; a table without flag column has nothing to mark."""
        ...

    def count_synced(self, rows: int) -> None: ...

    def lookups(self) -> Lookups: ...

    def begin_lookups(self) -> None:
        """Note that the database went back in time."""
        ...

    def end_lookups(self) -> Lookups:
        """Note that every waiting row was looked up; items that exist by now are still looked up when retried."""
        ...

    # what an operator sees and asks for
    def note_state(self, state: str, reason: str | None, *, error: bool) -> None:
        """Keep the table's state for whoever asks for its status; `error`: the reason is its last error too."""
        ...

    def take_command(self, command_id: int) -> bool:
        """Make a waiting command ours; False where it was withdrawn, or taken before."""
        ...

    def taken_commands(self) -> Sequence[TakenCommand]: ...

    def finish_command(self, command_id: int, result: Mapping[str, object]) -> None: ...

    def is_paused(self) -> bool:
        """Whether an operator wants nothing sent."""
        ...


class Ledger(Protocol):
    """The database, as the owner of one table's lease writes to it."""

    def transaction(self, lease: Lease) -> AbstractContextManager[Transaction]:
        """A transaction that commits at the end of the `with` block, and rolls back on any exception.

        Raises:
            LeaseLost: the lease is no longer ours.
            LedgerError: from entering, any operation, or the commit (then with `outcome_unknown`).
        """
        ...
