"""Asking for rows to be sent again: items with `resend`, which the worker looks up in BigQuery before it sends any."""

from collections.abc import Collection

from sqlalchemy import Engine, insert, select
from sqlalchemy.exc import SQLAlchemyError

from database.failures import explain
from database.in_lists import chunks
from database.schema import queue
from delivery.ledger import ItemStatus
from delivery.rows import Key
from delivery.source import SourceError

# Such an item decides about the row: another one would only wait for it, or fail as it did.
UNDECIDED = (ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED)


def ask_again(engine: Engine, table: str, keys: Collection[Key]) -> int:
    """Ask for these rows, but for those of which an item is undecided; how many were asked for.

    Chunks are committed one by one. Asking twice doubles nothing.

    Raises:
        SourceError: the database didn't take all of it.
    """
    asked = 0
    try:
        for some in chunks([str(key) for key in keys]):
            with engine.begin() as connection:
                undecided = select(queue.c.record_id).where(
                    queue.c.table_name == table,
                    queue.c.record_id.in_(some),
                    queue.c.operation == "INSERT",
                    queue.c.sync_status.in_(UNDECIDED),
                )
                decided = set(connection.execute(undecided).scalars())
                items = [{"table_name": table, "record_id": key, "resend": True} for key in some if key not in decided]
                if items:
                    connection.execute(insert(queue), items)
                    asked += len(items)
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error
    return asked
