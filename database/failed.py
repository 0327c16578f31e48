"""Queue items that BigQuery can't take: shown, tried again, or given up.

Only `failed` items are changed: no worker touches those, so no lease is needed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, select, update

from database.schema import queue
from delivery.ledger import ItemStatus

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
    chosen = _failed_of(tables) if before is None else (*_failed_of(tables), queue.c.id < before)
    columns = (
        queue.c.id,
        queue.c.table_name,
        queue.c.record_id,
        queue.c.operation,
        queue.c.last_error,
        queue.c.retry_count,
        queue.c.created_at,
    )
    rows = connection.execute(select(*columns).where(*chosen).order_by(queue.c.id.desc()).limit(limit))
    return [FailedItem(*row[:-1], row.created_at.replace(tzinfo=UTC)) for row in rows]


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
    changed = 0
    with engine.connect() as connection:
        # Items that fail from now on are others: whoever asks hasn't seen them.
        last = connection.scalar(select(queue.c.id).order_by(queue.c.id.desc()).limit(1)) or 0
    while True:
        with engine.begin() as connection:
            query = select(queue.c.id).where(*_failed_of(tables), queue.c.id <= last)
            some = connection.scalars(query.limit(AT_ONCE).with_for_update()).all()
            if not some:
                return changed
            changed += _update(connection, some, values)


def _change(engine: Engine, ids: Collection[int], values: Mapping[str, object]) -> int:
    with engine.begin() as connection:
        query = select(queue.c.id, queue.c.sync_status).where(queue.c.id.in_(ids)).with_for_update()
        found = {row.id: ItemStatus(row.sync_status) for row in connection.execute(query)}
        if missing := set(ids) - found.keys():
            raise NoSuchItemsError(missing)
        if others := {item: status for item, status in found.items() if status is not ItemStatus.FAILED}:
            raise NotFailedError(others)
        return _update(connection, tuple(found), values)


def _failed_of(tables: Collection[str]) -> tuple[ColumnElement[bool], ...]:
    return queue.c.table_name.in_(tables), queue.c.sync_status == ItemStatus.FAILED


def _update(connection: Connection, ids: Collection[int], values: Mapping[str, object]) -> int:
    failed = update(queue).where(queue.c.id.in_(ids), queue.c.sync_status == ItemStatus.FAILED)
    return connection.execute(failed.values(**values)).rowcount
