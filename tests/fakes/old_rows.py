"""`delivery.old_rows` over a database in memory, and a BigQuery that holds a set of rows."""

from collections import deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from delivery.errors import DestinationError, Failure
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import (
    BatchToClean,
    Deleted,
    Identities,
    ItemToClean,
    OldPage,
    OldRow,
    Position,
    RecordedBatch,
    Survey,
)
from delivery.retention_report import Refusal
from delivery.rows import Key, SentRow, SentRows
from delivery.source import QueuedItem
from delivery.steps import Ask, Pause, Steps
from delivery.triage import Item
from tests.fakes.database import MemoryDatabase, StoredItem
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import event_id

NOW = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
DAY = timedelta(days=1)
OPEN = {ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED}


def old(days: float = 90) -> datetime:
    return NOW - timedelta(days=days)


def sent(key: Key, partition: object = None) -> SentRow:
    return SentRow(key, (event_id(key), "T1"), partition)


@dataclass
class MemoryBigQuery:
    """What BigQuery has, as (identity, partition); `asked` are the rows of each query. Implements `Confirming`."""

    there: set[tuple[tuple[object, ...], object]] = field(default_factory=set)
    ahead: timedelta = timedelta()
    expiration_days: float | None = None
    failures: deque[Failure] = field(default_factory=deque)
    asked: list[SentRows] = field(default_factory=list)

    def hold(self, *rows: SentRow) -> None:
        self.there |= {(row.identity, row.partition) for row in rows}

    def survey(self) -> Survey:
        return Survey(self.ahead, self.expiration_days)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        if self.failures:
            raise DestinationError(self.failures.popleft())
        self.asked.append(rows)
        return frozenset(place for place, row in enumerate(rows.rows) if (row.identity, row.partition) in self.there)


@dataclass
class MemoryOldRows:
    """Rows of `database`, with their ages. `needed`: rows that a foreign key forbids to delete.

    `partitions`: what a row's partitioning column is by the mapping; NULL where it isn't said.
    """

    database: MemoryDatabase
    ledger: MemoryLedger
    ages: dict[Key, datetime] = field(default_factory=dict)
    partitions: dict[Key, object] = field(default_factory=dict)
    needed: set[Key] = field(default_factory=set)
    ended: dict[int, datetime] = field(default_factory=dict)  # of batches
    blocked: list[str] = field(default_factory=list)
    database_ahead: timedelta = timedelta()
    unreadable: set[Key] = field(default_factory=set)  # BigQuery couldn't take them as they are

    # what tests do

    def add(self, *keys: Key, age: datetime | None = None, flag: bool | None = True) -> None:
        """Rows of that age (default: old enough)."""
        self.database.add_rows(*keys)
        self.ages |= dict.fromkeys(keys, age or old())
        if flag is not False:
            (self.database.history if flag is None else self.database.flags).update(keys)

    def add_batch(self, *rows: SentRow, ended: datetime | None = None, state: BatchState = BatchState.COMPLETED) -> int:
        with self.ledger.transaction(self.lease) as tx:
            id_ = tx.add_batch(state, None, None, SentRows(("event_id", "tid"), "at", rows))
        self.ended[id_] = ended or old(89)
        return id_

    @property
    def lease(self) -> Lease:
        assert self.database.token is not None
        assert self.database.lock_holder is not None
        return Lease("logs", self.database.token, self.database.lock_holder)

    def identities(self) -> Identities:
        def read(values: Sequence[object]) -> SentRow | None:
            key: Key = values[0]  # type: ignore[assignment]  # the key stands first
            return None if key in self.unreadable else sent(key, self.partitions.get(key))

        return Identities(("event_id", "tid"), "at", read)

    # the port

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.database.clock.now - 1000.0) + self.database_ahead

    def obstacles(self) -> Sequence[str]:
        return self.blocked

    def notes(self) -> Sequence[str]:
        return ()

    def staying(self, cutoff: datetime) -> Mapping[Refusal, Sequence[Key]]:
        old, db = self._old(cutoff), self.database
        return {
            Refusal.HISTORY: [key for key in old if key in db.history],
            Refusal.NOT_SYNCED: [key for key in old if key not in db.history | db.flags],
        }

    def old(self, cutoff: datetime, after: Position | None, limit: int) -> OldPage:
        keys = [key for key in self._old(cutoff) if key in self.database.flags]
        page = [key for key in keys if after is None or key > after[0]][:limit]  # type: ignore[operator]  # integers
        rows = [OldRow(key, self.ages[key]) for key in page]
        return OldPage(rows, (page[-1],) if len(page) == limit else None)

    def old_unsynced(self, keys: Collection[Key], cutoff: datetime) -> Mapping[Key, datetime]:
        db = self.database
        unsynced = [key for key in self._old(cutoff) if key not in db.flags and key not in db.history]
        return {key: self.ages[key] for key in unsynced if key in keys}

    def any_there(self, keys: Sequence[Key]) -> bool:
        return any(key in self.database.values for key in keys)

    def sent_items(self, keys: Collection[Key]) -> Mapping[Key, datetime]:
        completed = [item for item in self.database.items.values() if item.status is ItemStatus.COMPLETED]
        records = {item.record_id: item for item in completed if item.batch_id is not None}
        return {key: self._made(records[str(key)]) for key in keys if str(key) in records}

    def recorded(self, since: datetime, after: int, limit: int, keys: Collection[Key]) -> Sequence[RecordedBatch]:
        found = [
            RecordedBatch(
                batch.id,
                self.ended[batch.id],
                batch.rows.take([place for place, row in enumerate(batch.rows.rows) if row.key in keys]),
            )
            for batch in self.database.batches.values()
            if batch.state is BatchState.COMPLETED and batch.id > after and self.ended[batch.id] >= since
        ]
        return found[:limit]

    def items_to_clean(
        self, status: ItemStatus, before: datetime | None, after: int, limit: int
    ) -> Sequence[ItemToClean]:
        items = sorted(self.database.items.values(), key=lambda item: item.id)
        return [
            ItemToClean(
                QueuedItem(Item(item.id, item.operation, status, sent=item.batch_id is not None), item.record_id, None),
                self._made(item),
            )
            for item in items
            if item.status is status and item.id > after and (before is None or self._made(item) < before)
        ][:limit]

    def batches_to_clean(self, before: datetime, after: int, limit: int) -> Sequence[BatchToClean]:
        named = {item.batch_id for item in self.database.items.values()}
        return [
            BatchToClean(id_, batch.rows.keys if batch.state is BatchState.COMPLETED else ())
            for id_, batch in self.database.batches.items()
            if id_ > after and id_ not in named and self.ended[id_] < before
        ][:limit]

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator["MemoryRetentionTransaction"]:
        with self.ledger.transaction(lease) as tx:
            yield MemoryRetentionTransaction(self, tx.database)

    def _old(self, cutoff: datetime) -> list[Key]:
        return [key for key in self.database.values if self.ages[key] < cutoff]

    def _made(self, item: StoredItem) -> datetime:
        return NOW - timedelta(seconds=self.database.clock.now - item.created_at)


class MemoryRetentionTransaction:
    """See `delivery.old_rows.RetentionTransaction`."""

    def __init__(self, rows: MemoryOldRows, database: MemoryDatabase) -> None:
        self._rows = rows
        self._db = database

    def delete_synced(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        return self._delete([key for key in keys if key in self._db.flags and not self._statuses(key) & OPEN], cutoff)

    def delete_abandoned(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        free = [key for key in keys if key not in self._db.flags | self._db.history]
        given_up = [
            key for key in free if self._statuses(key) & {ItemStatus.ABANDONED, *OPEN} == {ItemStatus.ABANDONED}
        ]
        return self._delete(given_up, cutoff)

    def delete_items(self, ids: Collection[int], status: ItemStatus) -> int:
        return sum(self._db.items.pop(id_, None) is not None for id_ in ids if self._db.items[id_].status is status)

    def delete_batches(self, ids: Collection[int]) -> int:
        return sum(self._db.batches.pop(id_, None) is not None for id_ in ids)

    def delete_streams(self, before: datetime, limit: int) -> int:
        return 0

    def delete_commands(self, before: datetime, limit: int) -> int:
        return 0

    def _statuses(self, key: Key) -> set[ItemStatus]:
        items = self._db.items.values()
        return {item.status for item in items if (item.record_id, item.operation) == (str(key), "INSERT")}

    def _delete(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        ages, needed = self._rows.ages, self._rows.needed
        went = [key for key in keys if key in self._db.values and ages[key] < cutoff and key not in needed]
        for key in went:
            del self._db.values[key]
            self._db.flags.discard(key)
        return Deleted(len(went), {key: Refusal.FOREIGN_KEY for key in keys if key in needed}, ["picture_of"])


def drive(steps: Steps[object]) -> list[float]:
    """Do all steps at once; how long the pauses would have been. What the work raises, the caller sees."""
    pauses: list[float] = []
    answer: object = None
    error: Exception | None = None
    while True:
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration:
            return pauses
        answer = error = None
        match step:
            case Pause(seconds):
                pauses.append(seconds)
            case Ask(call):
                try:
                    answer = call()
                except DestinationError as failed:
                    error = failed
