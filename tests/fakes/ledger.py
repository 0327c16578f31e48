"""`delivery.ledger` over a database in memory, with the failures that a real one has."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Batch, BatchState, Extent, ItemStatus, Lookups, OrphanItem, Stream, TakenCommand
from delivery.rows import Key, SentRows
from tests.fakes.database import MemoryDatabase, StoredBatch, StoredItem, StoredStream, next_id


@dataclass(frozen=True, slots=True)
class FailAt:
    """The n-th operation of the transaction fails; 0: entering it. Everything is rolled back."""

    operation: int = 0


@dataclass(frozen=True, slots=True)
class FailCommit:
    """COMMIT is answered with an error, after it happened or without."""

    happened: bool


Fault = FailAt | FailCommit


class MemoryLedger:
    """Transactions over `database`: all of it or nothing, and only under the lease that was granted last.

    `faults` are for the next transactions, one each; None is no fault.
    """

    def __init__(self, database: MemoryDatabase) -> None:
        self.database = database
        self.faults: deque[Fault | None] = deque()
        self.transactions = 0  # so far

    def grant(self, lease: Lease) -> None:
        """Make the lease the table's; its connection holds the lock."""
        self.database.token = lease.token
        self.database.lock_holder = lease.connection_id

    def take_away(self) -> None:
        """Another worker takes the table over."""
        self.database.token = "somebody else's"
        self.database.lock_holder = -1

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator["MemoryTransaction"]:
        self.transactions += 1
        fault = self.faults.popleft() if self.faults else None
        if fault == FailAt(0):
            raise LedgerError("the database can't be reached", outcome_unknown=False)
        if (self.database.token, self.database.lock_holder) != (lease.token, lease.connection_id):
            raise LeaseLost("another worker has taken the table over")
        copy = self.database.copy()
        yield MemoryTransaction(copy, fails_at=fault.operation if isinstance(fault, FailAt) else None)
        if fault == FailCommit(happened=False):
            raise LedgerError("the connection was lost at COMMIT", outcome_unknown=True)
        self.database.become(copy)
        if fault == FailCommit(happened=True):
            raise LedgerError("the connection was lost after COMMIT", outcome_unknown=True)


class MemoryTransaction:
    """See `delivery.ledger.Transaction`."""

    def __init__(self, db: MemoryDatabase, fails_at: int | None) -> None:
        self._db = db
        self._fails_at = fails_at
        self._operations = 0

    @property
    def database(self) -> MemoryDatabase:
        """As this transaction sees and changes it."""
        return self._db

    # streams

    def add_stream(self, name: str) -> int:
        self._operate()
        id_ = next_id(self._db.streams)
        self._db.streams[id_] = StoredStream(id_, name)
        return id_

    def open_streams(self) -> Sequence[Stream]:
        self._operate()
        return [Stream(s.id, s.name) for s in self._db.streams.values() if not s.final]

    def close_stream(self, stream_id: int, row_count: int | None) -> None:
        self._operate()
        self._db.streams[stream_id] = replace(self._db.streams[stream_id], final=True, row_count=row_count)

    def extents(self, stream_id: int) -> Sequence[Extent]:
        self._operate()
        return [
            Extent(batch.id, batch.state, batch.offset or 0, len(batch.rows))
            for batch in self._db.batches.values()
            if batch.stream_id == stream_id
        ]

    # batches

    def add_batch(self, state: BatchState, stream_id: int | None, offset: int | None, rows: SentRows) -> int:
        self._operate()
        id_ = next_id(self._db.batches)
        self._db.batches[id_] = StoredBatch(id_, state, stream_id, offset, rows)
        return id_

    def batches(self, state: BatchState) -> Sequence[Batch]:
        self._operate()
        return [
            Batch(batch.id, batch.state, batch.stream_id, batch.offset, batch.rows)
            for batch in self._db.batches.values()
            if batch.state is state
        ]

    def set_state(self, batch_id: int, state: BatchState, *, was: BatchState) -> bool:
        self._operate()
        if batch_id not in self._db.batches or self._db.batches[batch_id].state is not was:
            return False  # also where the database went back behind the batch's begin
        self._db.batches[batch_id] = replace(self._db.batches[batch_id], state=state)
        return True

    def has_batch(self, batch_id: int, stream_id: int) -> bool:
        self._operate()
        return batch_id in self._db.batches and self._db.batches[batch_id].stream_id == stream_id

    def are_completed(self, batch_ids: Collection[int]) -> bool:
        self._operate()
        known = (self._db.batches.get(batch_id) for batch_id in batch_ids)
        return all(batch is not None and batch.state is BatchState.COMPLETED for batch in known)

    def detach(self, batch_id: int) -> None:
        self._operate()
        self._db.batches[batch_id] = replace(self._db.batches[batch_id], stream_id=None, offset=None)

    # items

    def lock_pending(self, items: Collection[int]) -> Mapping[int, str]:
        self._operate()
        known = (self._db.items[item] for item in items if item in self._db.items)
        return {item.id: item.record_id for item in known if item.status is ItemStatus.PENDING}

    def tie(self, items: Collection[int], batch_id: int) -> None:
        self._operate()
        self._db.change_items(items, status=ItemStatus.SYNCING, batch_id=batch_id)

    def respell(self, item: int, key: Key) -> None:
        self._operate()
        self._db.change_items([item], record_id=str(key))

    def count_retry(self, batch_id: int) -> bool:
        self._operate()
        for item in self._of_batch(batch_id):
            self._db.items[item.id] = replace(item, retry_count=item.retry_count + 1)
        return any(item.retry_count >= item.max_retries for item in self._of_batch(batch_id))

    def move_items(self, batch_id: int, keys: Sequence[Key], to: int) -> None:
        self._operate()
        record_ids = {str(key) for key in keys}
        moved = [item.id for item in self._of_batch(batch_id) if item.record_id in record_ids]
        self._db.change_items(moved, batch_id=to)

    def free_items(self, batch_id: int) -> None:
        self._operate()
        freed = [item.id for item in self._of_batch(batch_id) if item.status is ItemStatus.SYNCING]
        self._db.change_items(freed, status=ItemStatus.PENDING, batch_id=None)

    def free_orphans(self, items: Collection[int]) -> None:
        self._operate()
        self._db.change_items(items, status=ItemStatus.PENDING)

    def complete_items(self, batch_id: int) -> None:
        self._operate()
        done = [item.id for item in self._of_batch(batch_id) if item.status is ItemStatus.SYNCING]
        self._db.change_items(done, status=ItemStatus.COMPLETED, last_error=None)

    def settle_items(self, items: Collection[int], status: ItemStatus, reason: str | None) -> None:
        self._operate()
        pending = [item for item in items if self._db.items[item].status is ItemStatus.PENDING]
        self._db.change_items(pending, status=status, last_error=reason)

    def fail_row(self, key: Key, reason: str) -> None:
        self._operate()
        inserts = [item for item in self._db.items.values() if (item.record_id, item.operation) == (str(key), "INSERT")]
        if not any(item.status is ItemStatus.FAILED for item in inserts):
            id_ = self._db.add_item(key, status=ItemStatus.FAILED)
            self._db.change_items([id_], last_error=reason)

    def orphan_items(self, limit: int) -> Sequence[OrphanItem]:
        self._operate()
        orphans = [
            OrphanItem(item.id, item.operation, item.record_id, item.payload)
            for item in sorted(self._db.items.values(), key=lambda item: item.id)
            if item.status is ItemStatus.SYNCING and item.batch_id is None
        ]
        return orphans[:limit]

    # rows and the table

    def set_flags(self, keys: Sequence[Key]) -> None:
        self._operate()
        if self._db.has_flag:
            there = {key for key in keys if key in self._db.values}
            self._db.flags |= there
            self._db.history -= there

    def count_synced(self, rows: int) -> None:
        self._operate()
        self._db.synced_rows += rows

    def lookups(self) -> Lookups:
        self._operate()
        return self._db.lookups

    def begin_lookups(self) -> None:
        self._operate()
        last = max(self._db.items, default=0)
        self._db.lookups = Lookups(first=True, items_to=max(self._db.lookups.items_to, last))

    def end_lookups(self) -> Lookups:
        self._operate()
        last = max(self._db.items, default=0)
        self._db.lookups = Lookups(first=False, items_to=max(self._db.lookups.items_to, last))
        return self._db.lookups

    # what an operator sees and asks for

    def note_state(self, state: str, reason: str | None, *, error: bool) -> None:
        self._operate()
        self._db.state, self._db.reason = state, reason
        if error:
            self._db.last_error = reason

    def take_command(self, command_id: int) -> bool:
        self._operate()
        if self._db.commands.get(command_id) != "waiting":
            return False
        self._db.commands[command_id] = "taken"
        return True

    def taken_commands(self) -> Sequence[TakenCommand]:
        self._operate()
        taken = [command_id for command_id, state in self._db.commands.items() if state == "taken"]
        return [TakenCommand(command_id, *self._db.asked.get(command_id, ("flush", {}))) for command_id in taken]

    def finish_command(self, command_id: int, result: Mapping[str, object]) -> None:
        self._operate()
        self._db.commands[command_id] = "done"
        self._db.results[command_id] = dict(result)

    def is_paused(self) -> bool:
        self._operate()
        return self._db.paused

    def _of_batch(self, batch_id: int) -> list[StoredItem]:
        return [item for item in self._db.items.values() if item.batch_id == batch_id]

    def _operate(self) -> None:
        self._operations += 1
        if self._operations == self._fails_at:
            raise LedgerError("a lock wasn't free in time", outcome_unknown=False)
