"""`delivery.source` over a database in memory."""

from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from delivery.ledger import OPEN, ItemStatus
from delivery.rows import Key
from delivery.source import PageTooLong, QueuedItem, SourceError, SourceRow
from delivery.triage import Item, RowState
from mapping.key import key_of
from tests.fakes.database import MemoryDatabase, StoredItem
from tests.fakes.mapping import SOURCE


@dataclass(frozen=True, slots=True)
class MemoryColumns:
    """`delivery.source.ReadByColumns` of rows that are there one by one."""

    keys: Sequence[Key]
    row_values: Sequence[Sequence[object]]
    since: Mapping[int, datetime] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        return 1000 * len(self.keys)

    def texts(self, place: int) -> Any:
        return pa.array([None if value is None else str(value) for value in self.values(place)], pa.utf8())

    def values(self, place: int) -> Sequence[object]:
        return [values[place] for values in self.row_values]

    def rows(self) -> Sequence[Sequence[object]]:
        return self.row_values


class MemorySource:
    """Reads rows and items of `database`.

    `failures` are for the next calls, one each: True fails it. `by_columns_from`: so many rows are read so, if they
    aren't more than `longest_page`.
    """

    def __init__(self, database: MemoryDatabase, *, by_columns_from: int | None = None) -> None:
        self._db = database
        self._by_columns_from = by_columns_from
        self._read_key = key_of(SOURCE.columns["id"])
        self.longest_page: int | None = None
        self.failures: deque[bool] = deque()

    def anything_waits(self) -> bool:
        self._answer()
        return bool(self._pending(0) or self._unsynced())

    def waiting_keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        self._answer()
        return sorted(key for key in self._unsynced() if after is None or key > after)[:limit]  # type: ignore[operator]  # keys of one table are of one type

    def pending_items(self, after: int, limit: int) -> Sequence[QueuedItem]:
        self._answer()
        return [
            QueuedItem(self._item(item), item.record_id, item.payload, datetime.fromtimestamp(item.created_at, UTC))
            for item in sorted(self._pending(after), key=lambda item: item.id)[:limit]
        ]

    def _unsynced(self) -> set[Key]:
        if not self._db.has_flag:
            return set()
        return set(self._db.values) - self._db.flags - self._db.history - self._db.settling

    def _pending(self, after: int) -> list[StoredItem]:
        return [item for item in self._db.items.values() if item.status is ItemStatus.PENDING and item.id > after]

    def resolve(self, items: Sequence[QueuedItem]) -> Mapping[int, Key]:
        self._answer()
        keys = {queued.item.id: self._read_key(queued.record_id) for queued in items}
        return {item: key for item, key in keys.items() if key is not None}

    def inserts_of(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Item]]:
        self._answer()
        by_record = {str(key): key for key in keys}
        inserts: dict[Key, list[Item]] = {}
        for item in self._db.items.values():
            if item.operation == "INSERT" and item.record_id in by_record:
                inserts.setdefault(by_record[item.record_id], []).append(self._item(item))
        return inserts

    def open_batches(self) -> Collection[int]:
        self._answer()
        return [id_ for id_, batch in self._db.batches.items() if batch.state in OPEN]

    def rows(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]:
        self._answer()
        there = [key for key in keys if key in self._db.values]
        return {key: SourceRow(self._state(key), self._db.values[key], key in self._db.settling) for key in there}

    @property
    def by_columns(self) -> bool:
        return self._by_columns_from is not None

    def waiting_by_columns(self, keys: Sequence[Key]) -> MemoryColumns | None:
        if self._by_columns_from is None or len(keys) < self._by_columns_from:
            return None
        self._answer()
        if self.longest_page is not None and len(keys) > self.longest_page:
            raise PageTooLong(len(keys))
        waiting = self._unsynced()
        there = [key for key in keys if key in waiting]
        return MemoryColumns(there, [self._db.values[key] for key in there])

    def _state(self, key: Key) -> RowState:
        if not self._db.has_flag:
            return RowState.UNFLAGGED
        if key in self._db.flags:
            return RowState.SYNCED
        return RowState.HISTORY if key in self._db.history else RowState.WAITING

    def _item(self, item: StoredItem) -> Item:
        return Item(
            item.id,
            item.operation,
            item.status,
            sent=item.status is ItemStatus.COMPLETED and item.batch_id is not None,
            resend=item.resend,
            has_payload=item.payload is not None,
            age_seconds=self._db.clock.time() - item.created_at,
        )

    def _answer(self) -> None:
        if self.failures and self.failures.popleft():
            raise SourceError("the database can't be reached")
