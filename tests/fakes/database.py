"""The database in memory: one source table, and what bq-sync keeps beside it.

`MemoryLedger` and `MemorySource` work on it. Single-threaded: nobody else reads or writes while a transaction is open.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace

from delivery.ledger import BatchState, ItemStatus, Lookups
from delivery.rows import Key, SentRows
from tests.fakes.clock import FakeClock


@dataclass(frozen=True, slots=True)
class StoredItem:
    """A row of bq_sync_queue."""

    id: int
    record_id: str
    operation: str = "INSERT"
    payload: str | None = None
    status: ItemStatus = ItemStatus.PENDING
    batch_id: int | None = None
    resend: bool = False
    last_error: str | None = None
    created_at: float = 0.0
    retry_count: int = 0
    max_retries: int = 5


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """A row of bq_sync_batch."""

    id: int
    state: BatchState
    stream_id: int | None
    offset: int | None
    rows: SentRows


@dataclass(frozen=True, slots=True)
class StoredStream:
    """A row of bq_sync_stream."""

    id: int
    name: str
    final: bool = False
    row_count: int | None = None


@dataclass
class MemoryDatabase:
    """What is committed.

    `values` holds the source rows (in the order of the mapping's columns, the key first); the flag of each is in
    `flags` (TRUE), in `history` (NULL) or in neither (FALSE). `settling`: rows that are too young to be sent.
    """

    clock: FakeClock = field(default_factory=FakeClock)
    has_flag: bool = True
    values: dict[Key, tuple[object, ...]] = field(default_factory=dict)
    flags: set[Key] = field(default_factory=set)
    history: set[Key] = field(default_factory=set)
    settling: set[Key] = field(default_factory=set)
    items: dict[int, StoredItem] = field(default_factory=dict)
    batches: dict[int, StoredBatch] = field(default_factory=dict)
    streams: dict[int, StoredStream] = field(default_factory=dict)
    commands: dict[int, str] = field(default_factory=dict)  # id: waiting, taken, withdrawn or done
    asked: dict[int, tuple[str, dict[str, object]]] = field(default_factory=dict)  # kind and arguments; else a flush
    results: dict[int, dict[str, object]] = field(default_factory=dict)  # of commands
    lookups: Lookups = field(default_factory=Lookups)
    synced_rows: int = 0
    paused: bool = False
    state: str = "stopped"
    reason: str | None = None
    last_error: str | None = None
    token: str | None = None  # of the lease
    lock_holder: int | None = None  # the connection that holds the advisory lock
    item_ids: "Counter" = field(default_factory=lambda: Counter())  # the same one for all copies: it never goes back

    # what producers and older programs do

    def add_rows(self, *keys: Key, label: str | None = "some") -> None:
        for key in keys:
            self.values[key] = (key, label)

    def add_item(
        self,
        record_id: Key,
        *,
        operation: str = "INSERT",
        payload: str | None = None,
        status: ItemStatus = ItemStatus.PENDING,
        batch_id: int | None = None,
        resend: bool = False,
        age_seconds: float = 0.0,
        id: int | None = None,
    ) -> int:
        """Add a queue item with the next id, or with this one: transactions commit in any order."""
        id_ = self.next_item() if id is None else id
        created_at = self.clock.time() - age_seconds
        item = StoredItem(id_, str(record_id), operation, payload, status, batch_id, resend, None, created_at)
        self.items[id_] = item
        return id_

    def next_item(self) -> int:
        """The id of the next item, for the transaction that asks for it, whether that commits or not."""
        self.item_ids.last = max(self.item_ids.last, *self.items, 0) + 1
        return self.item_ids.last

    # what tests ask

    def statuses(self, *items: int) -> list[ItemStatus]:
        return [self.items[item].status for item in items]

    def states(self) -> list[BatchState]:
        """Of all batches, in the order they were begun."""
        return [batch.state for batch in self.batches.values()]

    # transactions

    def copy(self) -> "MemoryDatabase":
        """A copy that can be changed without changing this: what is in the containers is immutable."""
        copied = {f.name: getattr(self, f.name) for f in fields(self)}
        containers = {name: value.copy() for name, value in copied.items() if isinstance(value, dict | set)}
        return MemoryDatabase(**copied | containers)

    def become(self, other: "MemoryDatabase") -> None:
        for f in fields(self):
            setattr(self, f.name, getattr(other, f.name))

    def change_items(self, items: Iterable[int], **changes: object) -> None:
        for item in items:
            self.items[item] = replace(self.items[item], **changes)  # type: ignore[arg-type]  # fields of StoredItem


@dataclass
class Counter:
    """Ids that were given out."""

    last: int = 0


def next_id(rows: Iterable[int]) -> int:
    return max(rows, default=0) + 1
