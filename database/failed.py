"""Queue items that BigQuery can't take: shown, tried again, or given up.

Only `failed` items are changed: no worker touches those, so no lease is needed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import CompoundSelect, Connection, Engine, Select, select, union_all, update

from database.counting import NONE, Count, count
from database.schema import queue
from delivery.ledger import ItemStatus

# The server might otherwise walk all items of one status.
_BY_STATUS = "FORCE INDEX (bq_sync_queue_table_status)"
_BY_ID = "FORCE INDEX (PRIMARY)"

AT_ONCE = 1000  # items in one transaction: nobody else waits long for their locks


class NoSuchItemsError(Exception):
    """The queue has no items with these ids; nothing was changed."""

    def __init__(self, ids: Collection[int]) -> None:
        super().__init__(f"the queue has no item {', '.join(map(str, sorted(ids)))}")
        self.ids = frozenset(ids)


class NotFailedError(Exception):
    """These items haven't failed, by what they are; nothing was changed."""

    def __init__(self, statuses: Mapping[int, ItemStatus]) -> None:
        said = ", ".join(f"{item} is {status}" for item, status in sorted(statuses.items()))
        super().__init__(f"only failed items can be retried or given up: {said}")
        self.statuses = dict(statuses)


@dataclass(frozen=True, slots=True)
class FailedItem:
    """What an operator sees of a failed item. Its payload isn't shown."""

    id: int
    table: str
    record_id: str
    operation: str
    error: str | None
    retry_count: int
    created_at: datetime


def failed_items(
    connection: Connection, tables: Collection[str], limit: int, before: int | None = None
) -> list[FailedItem]:
    """Those of these tables with ids below `before` (None: all), the highest ids first."""
    chosen = _first_ids(tables, limit, before).subquery("chosen")
    columns = (
        queue.c.id,
        queue.c.table_name,
        queue.c.record_id,
        queue.c.operation,
        queue.c.last_error,
        queue.c.retry_count,
        queue.c.created_at,
    )
    query = select(*columns).join(chosen, queue.c.id == chosen.c.id).order_by(queue.c.id.desc()).limit(limit)
    return [FailedItem(*row[:-1], row.created_at.replace(tzinfo=UTC)) for row in connection.execute(query)]


def count_failed(connection: Connection, tables: Collection[str]) -> Count:
    """How many items of these tables have failed."""
    return sum((count(connection, _failed(table)) for table in tables), NONE)


def _first_ids(tables: Collection[str], limit: int, before: int | None) -> CompoundSelect[Any]:
    """So many of each table, each from the end of its part of the index: however many there are, few are read."""
    ids = select(queue.c.id).with_hint(queue, _BY_STATUS, "mysql").where(queue.c.sync_status == ItemStatus.FAILED)
    if before is not None:
        ids = ids.where(queue.c.id < before)
    return union_all(
        *(
            select(ids.where(queue.c.table_name == table).order_by(queue.c.id.desc()).limit(limit).subquery())
            for table in tables
        )
    )


def retry_all(engine: Engine, tables: Collection[str]) -> int:
    """Try all failed items of these tables again; how many they are."""
    return _change_all(engine, tables, _RETRIED)


def retry(engine: Engine, ids: Collection[int]) -> int:
    """Try these items again; how many they are.

    Raises:
        NoSuchItemsError, NotFailedError: nothing was changed.
    """
    return _change(engine, ids, _RETRIED)


def give_up_all(engine: Engine, tables: Collection[str]) -> int:
    """Never send the failed items of these tables; how many they are. Their source rows stay."""
    return _change_all(engine, tables, _GIVEN_UP)


def give_up(engine: Engine, ids: Collection[int]) -> int:
    """Never send these items. Raises what `retry` does."""
    return _change(engine, ids, _GIVEN_UP)


_RETRIED: Mapping[str, object] = {"sync_status": ItemStatus.PENDING, "retry_count": 0, "batch_id": None}
_GIVEN_UP: Mapping[str, object] = {"sync_status": ItemStatus.ABANDONED}


def _change_all(engine: Engine, tables: Collection[str], values: Mapping[str, object]) -> int:
    return sum(_change_table(engine, table, values) for table in tables)


def _change_table(engine: Engine, table: str, values: Mapping[str, object]) -> int:
    """From the lowest id up to the highest that there is now: each item once, though a retried one may fail again."""
    failed = _failed(table)
    with engine.connect() as connection:
        last = connection.scalar(failed.order_by(queue.c.id.desc()).limit(1))
    changed, after = 0, 0
    while last is not None and after < last:
        with engine.begin() as connection:
            some = failed.where(queue.c.id > after, queue.c.id <= last).order_by(queue.c.id).limit(AT_ONCE)
            ids = connection.scalars(some.with_for_update()).all()
            changed += _update(connection, ids, values)
        after = ids[-1] if ids else last
    return changed


def _change(engine: Engine, ids: Collection[int], values: Mapping[str, object]) -> int:
    with engine.begin() as connection:
        query = select(queue.c.id, queue.c.sync_status).with_hint(queue, _BY_ID, "mysql")
        query = query.where(queue.c.id.in_(ids)).with_for_update()
        found = {row.id: ItemStatus(row.sync_status) for row in connection.execute(query)}
        if missing := set(ids) - found.keys():
            raise NoSuchItemsError(missing)
        if others := {item: status for item, status in found.items() if status is not ItemStatus.FAILED}:
            raise NotFailedError(others)
        return _update(connection, tuple(found), values)


def _failed(table: str) -> Select[Any]:
    found = select(queue.c.id).with_hint(queue, _BY_STATUS, "mysql")
    return found.where(queue.c.table_name == table, queue.c.sync_status == ItemStatus.FAILED)


def _update(connection: Connection, ids: Collection[int], values: Mapping[str, object]) -> int:
    if not ids:
        return 0
    failed = update(queue).with_hint(_BY_ID, dialect_name="mysql")
    failed = failed.where(queue.c.id.in_(ids), queue.c.sync_status == ItemStatus.FAILED)
    return connection.execute(failed.values(**values)).rowcount
