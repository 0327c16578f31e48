"""Items that wait for rows which aren't there: which, for how long, and what becomes of them."""

from dataclasses import dataclass

from sqlalchemy import Connection, and_, column, exists, literal, select, table
from sqlalchemy.sql import quoted_name

from database.schema import queue
from delivery.ledger import ItemStatus
from delivery.triage import PATIENCE_SECONDS

LOOKED_AT = 100  # pending items, those with the lowest ids: they are the ones that wait for long
ASKED_FOR = 20  # rows, of those items


@dataclass(frozen=True, slots=True)
class Rowless:
    """Pending items without payload, of the oldest, whose rows aren't there.

    Attributes:
        items: how many, up to ASKED_FOR.
        first_item, first_record: the id of the oldest, and the record that it names.
        has_flag: such an item is completed as gone once its time is over, since the flag would find its row; else it
            fails.
    """

    items: int
    first_item: int
    first_record: str
    has_flag: bool

    def __str__(self) -> str:
        which = f"item {self.first_item} names record {self.first_record}, which isn't in the table"
        more = (
            "" if self.items == 1 else f" ({'at least ' * (self.items == ASKED_FOR)}{self.items} items are like that)"
        )
        end = "is completed as gone" if self.has_flag else "fails"
        return f"{which}{more}; such an item waits {PATIENCE_SECONDS / 60:.0f} min for its row, then it {end}"


def find_rowless(connection: Connection, table_name: str, primary_key: str, *, has_flag: bool) -> Rowless | None:
    """In two statements: however many items wait, few are looked at."""
    oldest = (
        select(queue.c.id, queue.c.record_id, (queue.c.payload.is_(None)).label("reads"), queue.c.operation)
        .with_hint(queue, "FORCE INDEX (bq_sync_queue_table_status)", "mysql")
        .where(queue.c.table_name == table_name, queue.c.sync_status == ItemStatus.PENDING)
        .order_by(queue.c.id)
        .limit(LOOKED_AT)
        .subquery()
    )
    reading = select(oldest.c.id, oldest.c.record_id).where(and_(oldest.c.reads, oldest.c.operation == "INSERT"))
    items = connection.execute(reading.order_by(oldest.c.id).limit(ASKED_FOR)).all()
    if not items:
        return None
    source = table(quoted_name(table_name, quote=True), column(quoted_name(primary_key, quote=True)))
    # Each a constant: the server compares it as the key's own type and collation say, by the key's index.
    there = connection.execute(
        select(*(exists().where(source.c[primary_key] == literal(item.record_id)) for item in items))
    ).one()
    without = [item for item, is_there in zip(items, there, strict=True) if not is_there]
    return Rowless(len(without), without[0].id, without[0].record_id, has_flag) if without else None
