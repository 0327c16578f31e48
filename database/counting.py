"""Counting without reading it all: exact up to CAP rows, the server's own estimate above."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Select, func, literal_column, select

from database.schema import queue
from delivery.ledger import ItemStatus

CAP = 10_000

# The server might otherwise merge two indexes, and read rows to do so.
_BY_STATUS = "FORCE INDEX (bq_sync_queue_table_status)"


_NAMES = 100


@dataclass(frozen=True, slots=True)
class Count:
    """A number of rows."""

    rows: int = 0
    is_estimate: bool = False

    def __add__(self, other: "Count") -> "Count":
        return Count(self.rows + other.rows, self.is_estimate or other.is_estimate)


NONE = Count()


def count(connection: Connection, query: Select[Any]) -> Count:
    """How many rows a query has that reads one range of an index; the rows themselves are not read."""
    places: Select[Any] = query.with_only_columns(literal_column("1"), maintain_column_froms=True)
    counted = connection.execute(select(func.count()).select_from(places.limit(CAP + 1).subquery())).scalar_one()
    if counted <= CAP:
        return Count(counted)
    return Count(max(counted, _estimate(connection, places)), is_estimate=True)


def count_items(connection: Connection, table_name: str, status: ItemStatus) -> Count:
    """The table's queue items in that status."""
    return count(connection, _items(table_name, status))


def count_unconfigured(connection: Connection, configured: Collection[str]) -> dict[str, Count]:
    """The pending items of tables that aren't configured, by table_name; of many such names, some."""
    # Without the status the server jumps through the index from name to name.
    named = select(queue.c.table_name).distinct().with_hint(queue, _BY_STATUS, "mysql")
    others = connection.scalars(named.where(queue.c.table_name.not_in(configured)).limit(_NAMES)).all()
    counts = {name: count_items(connection, name, ItemStatus.PENDING) for name in others}
    return {name: count for name, count in counts.items() if count.rows}


def oldest_item(connection: Connection, table_name: str) -> datetime | None:
    """When the pending item with the lowest id was made; ids are given out in that order."""
    lowest = _items(table_name, ItemStatus.PENDING).order_by(queue.c.id).limit(1).scalar_subquery()
    made = connection.execute(select(queue.c.created_at).where(queue.c.id == lowest)).scalar()
    return None if made is None else made.replace(tzinfo=UTC)


def _items(table_name: str, status: ItemStatus) -> Select[Any]:
    return (
        select(queue.c.id)
        .with_hint(queue, _BY_STATUS, "mysql")
        .where(queue.c.table_name == table_name, queue.c.sync_status == status)
    )


def _estimate(connection: Connection, query: Select[Any]) -> int:
    """How many rows the server expects to read: for one range of an index a good guess that costs nothing."""
    compiled = query.compile(connection)
    plan = connection.exec_driver_sql(f"EXPLAIN {compiled}", dict(compiled.params))
    return int(plan.mappings().one()["rows"])
