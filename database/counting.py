"""Counting without reading it all: exact up to CAP rows, the server's own estimate above."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, literal_column, null, select, union_all

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
    capped = _places(query).limit(CAP + 1).subquery()
    return _count(connection, query, connection.execute(select(func.count()).select_from(capped)).scalar_one())


def estimate(connection: Connection, query: Select[Any]) -> int:
    """How many rows the server expects such a query to have: a good guess that costs nothing."""
    compiled = _places(query).compile(connection)
    plan = connection.exec_driver_sql(f"EXPLAIN {compiled}", dict(compiled.params))
    return int(plan.mappings().one()["rows"])


@dataclass(frozen=True, slots=True)
class Items:
    """A table's queue items: how many by status, and when the pending one with the lowest id was made."""

    counts: Mapping[ItemStatus, Count]
    oldest_pending: datetime | None

    def total(self, statuses: Iterable[ItemStatus]) -> int:
        return sum(self.counts[status].rows for status in statuses)


def count_items(connection: Connection, tables: Collection[str]) -> dict[str, Items]:
    """The items of these tables, in one statement for all of them; one more for each count above CAP."""
    places = [(table, status) for table in tables for status in ItemStatus]
    counted = connection.execute(union_all(*(_counted(n, *place) for n, place in enumerate(places)))).all()
    counts: dict[str, dict[ItemStatus, Count]] = {table: {} for table in tables}
    oldest: dict[str, datetime | None] = {}
    for n, rows, made in counted:
        table, status = places[n]
        counts[table][status] = _count(connection, _items(table, status), rows)
        if status is ItemStatus.PENDING:
            oldest[table] = None if made is None else made.replace(tzinfo=UTC)
    return {table: Items(counts[table], oldest[table]) for table in tables}


def count_unconfigured(connection: Connection, configured: Collection[str]) -> dict[str, Count]:
    """The pending items of tables that aren't configured, by table_name; of many such names, some.

    One statement where there are none, else two, and one more for each count above CAP.
    """
    # Without the status the server jumps through the index from name to name.
    named = select(queue.c.table_name).distinct().with_hint(queue, _BY_STATUS, "mysql")
    others = connection.scalars(named.where(queue.c.table_name.not_in(configured)).limit(_NAMES)).all()
    if not others:
        return {}
    pending = ItemStatus.PENDING
    counted = connection.execute(union_all(*(_counted(n, name, pending) for n, name in enumerate(others)))).all()
    return {others[n]: _count(connection, _items(others[n], pending), rows) for n, rows, _ in counted if rows}


def _counted(n: int, table_name: str, status: ItemStatus) -> Select[Any]:
    """`n`, how many items have that status, up to CAP + 1 of them; and of pending ones when the oldest was made."""
    items = _items(table_name, status)
    made: ColumnElement[Any] = null()
    if status is ItemStatus.PENDING:
        lowest = items.order_by(queue.c.id).limit(1).scalar_subquery()  # ids are given out in that order
        made = select(queue.c.created_at).where(queue.c.id == lowest).scalar_subquery()
    capped = _places(items).limit(CAP + 1).subquery()
    return select(literal_column(str(n)), func.count(), made).select_from(capped)


def _items(table_name: str, status: ItemStatus) -> Select[Any]:
    return (
        select(queue.c.id)
        .with_hint(queue, _BY_STATUS, "mysql")
        .where(queue.c.table_name == table_name, queue.c.sync_status == status)
    )


def _count(connection: Connection, query: Select[Any], counted: int) -> Count:
    """Of a query with so many rows, counted up to CAP + 1."""
    if counted <= CAP:
        return Count(counted)
    return Count(max(counted, estimate(connection, query)), is_estimate=True)


def _places(query: Select[Any]) -> Select[Any]:
    """The query without its columns, so that the index alone is read."""
    places: Select[Any] = query.with_only_columns(literal_column("1"), maintain_column_froms=True)
    return places
