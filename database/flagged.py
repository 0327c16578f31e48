"""Rows that wait by their flag: how many, and since when."""

from dataclasses import dataclass
from datetime import date, datetime, time, tzinfo
from typing import Any

from sqlalchemy import (
    CHAR,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    Subquery,
    TableClause,
    and_,
    cast,
    collate,
    column,
    func,
    literal_column,
    select,
    table,
)
from sqlalchemy.sql import quoted_name

from database.counting import CAP, Count, count
from database.identifiers import quote
from database.schema import queue
from delivery.ledger import ItemStatus

# An INSERT item in one of these decides about its row (`delivery.triage`): the row isn't counted beside it.
DECIDING = (ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED, ItemStatus.ABANDONED)

AGED_ROWS = 1000  # so many with the smallest keys say how old the oldest is: each is read, beside the index


@dataclass(frozen=True, slots=True)
class Flagged:
    """A source table whose waiting rows can be found, by names that the catalogue has."""

    name: str
    primary_key: str
    flag: str
    index: str  # begins with the flag
    age_column: str | None
    age_zone: tzinfo  # of the age column's values

    def waiting(self) -> Select[Any]:
        """The key of each row whose flag is FALSE, in the order of the keys; the index alone is read."""
        return self._select(None)

    def aged(self) -> Select[Any]:
        """The same with each row's age, for which the row itself is read."""
        return self._select(self.age_column)

    def _select(self, age_column: str | None) -> Select[Any]:
        names = [name for name in (self.primary_key, self.flag, age_column) if name is not None]
        source: TableClause = table(
            quoted_name(self.name, quote=True),
            *(column(quoted_name(name, quote=True)) for name in dict.fromkeys(names)),
        )
        age = literal_column("NULL") if age_column is None else source.c[age_column]
        # The text of a hint is formatted twice, by SQLAlchemy and by the driver.
        index = quote(self.index).replace("%", "%%%%")
        return (
            select(source.c[self.primary_key].label("record"), age.label("age"))
            .with_hint(source, f"FORCE INDEX ({index})", "mysql")
            .where(source.c[self.flag] == literal_column("0"))
        )


def count_flagged(connection: Connection, flagged: Flagged, deciding: int) -> tuple[Count, datetime | None]:
    """How many rows wait by their flag, without those that an item decides about, and since when the oldest does.

    Up to CAP rows are counted one by one. Of more, the number is the estimated rows less the items. The age is that of
    the AGED_ROWS with the smallest keys. A row whose item spells its key in another way ('007') is counted beside it.

    Args:
        deciding: how many items the table has in a DECIDING status.
    """
    rows = count(connection, flagged.waiting())
    if not rows.rows:
        return rows, None
    aged = flagged.aged().limit(AGED_ROWS).subquery()
    if not deciding:
        return rows, _instant(connection.scalar(select(func.min(aged.c.age))), flagged.age_zone)
    keys = flagged.waiting().limit(AGED_ROWS if rows.is_estimate else CAP).subquery()
    undecided, age = connection.execute(
        select(
            _of_undecided(flagged, keys, func.count()),
            _of_undecided(flagged, aged, func.min(aged.c.age)),
        )
    ).one()
    if rows.is_estimate:
        undecided = max(rows.rows - deciding, undecided)
    return Count(undecided, rows.is_estimate), _instant(age, flagged.age_zone)


def _of_undecided(flagged: Flagged, rows: Subquery, wanted: ColumnElement[Any]) -> ScalarSelect[Any]:
    """An aggregate of those of the rows that no item decides about."""
    decides = and_(
        queue.c.table_name == flagged.name,
        queue.c.record_id == collate(cast(rows.c.record, CHAR), "utf8mb4_bin"),
        queue.c.operation == "INSERT",
        queue.c.sync_status.in_(DECIDING),
    )
    return (
        select(wanted)
        .select_from(rows.outerjoin(queue, decides))
        .with_hint(queue, "FORCE INDEX (bq_sync_queue_table_record)", "mysql")
        .where(queue.c.id.is_(None))
        .scalar_subquery()
    )


def _instant(value: object, zone: tzinfo) -> datetime | None:
    """The instant that a DATETIME, TIMESTAMP or DATE is; None for any other type of column."""
    match value:
        case datetime():
            return value.replace(tzinfo=zone)
        case date():
            return datetime.combine(value, time(), zone)
        case _:
            return None
