"""What is done with in bq-sync's own tables: found, and deleted under the table's lease. See `delivery.cleaning`."""

from collections.abc import Collection
from datetime import UTC, datetime

from sqlalchemy import Connection, and_, case, delete, exists, func, or_, select

from database.in_lists import chunks
from database.retention_reports import last_report_id
from database.schema import batch, command, queue, stream
from database.sent_rows import unpack_keys
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import BatchToClean, ItemToClean
from delivery.source import QueuedItem
from delivery.triage import Item

# The table's last batches stay whatever their age: the writer asks for those that were completed since it began one.
LAST_BATCHES = 10

_ENDED = (BatchState.COMPLETED, BatchState.REFUSED, BatchState.RELEASED)
_BY_STATUS = "FORCE INDEX (bq_sync_queue_table_status)"
_BY_END = "FORCE INDEX (bq_sync_batch_ended)"


class Leftovers:
    """Reads what one table may be rid of."""

    def __init__(self, table_name: str) -> None:
        self._table = table_name

    def items(
        self, connection: Connection, status: ItemStatus, before: datetime | None, after: int, limit: int
    ) -> list[ItemToClean]:
        """Of the next `limit` items of that status, those that were made before then."""
        done_at = func.coalesce(queue.c.synced_at, queue.c.created_at)
        sent = and_(queue.c.sync_status == ItemStatus.COMPLETED, queue.c.batch_id.is_not(None))
        query = (
            select(
                queue.c.id,
                queue.c.operation,
                queue.c.record_id,
                queue.c.created_at,
                done_at,
                sent,
                case((batch.c.row_count == 0, 1), else_=0),
            )
            .select_from(queue.outerjoin(batch, batch.c.id == queue.c.batch_id))
            .with_hint(queue, _BY_STATUS, "mysql")
            .where(queue.c.table_name == self._table, queue.c.sync_status == status, queue.c.id > after)
            .order_by(queue.c.id)
            .limit(limit)
        )
        return [
            ItemToClean(
                QueuedItem(Item(id_, operation, status, sent=bool(was_sent)), record_id, None),
                done.replace(tzinfo=UTC),
                bool(evidence),
            )
            for id_, operation, record_id, made, done, was_sent, evidence in connection.execute(query)
            if before is None or made.replace(tzinfo=UTC) < before
        ]

    def batches(self, connection: Connection, before: datetime, after: int, limit: int) -> list[BatchToClean]:
        """The next ended batches that no item names and whose stream is final, but for the last ones."""
        kept_from = self._kept_from(connection)
        if kept_from is None:
            return []
        query = (
            select(batch.c.id, batch.c.state)
            .select_from(batch.outerjoin(stream, stream.c.id == batch.c.stream_id))
            .with_hint(batch, _BY_END, "mysql")
            .where(
                batch.c.table_name == self._table,
                batch.c.state.in_(_ENDED),
                batch.c.ended_at < _utc(before),
                batch.c.id > after,
                batch.c.id < kept_from,
                or_(stream.c.id.is_(None), stream.c.final),
                ~exists().where(queue.c.batch_id == batch.c.id),
            )
            .order_by(batch.c.id)
            .limit(limit)
        )
        states = {row.id: row.state for row in connection.execute(query)}
        completed = [id_ for id_, state in states.items() if state == BatchState.COMPLETED]
        packed = select(batch.c.id, batch.c.sent_rows).where(batch.c.id.in_(completed))
        keys = {row.id: unpack_keys(row.sent_rows) for row in connection.execute(packed)} if completed else {}
        return [BatchToClean(id_, keys.get(id_, ())) for id_ in states]

    def _kept_from(self, connection: Connection) -> int | None:
        """The lowest of the ids that stay: the last batch, and the last that were completed; None: there is none."""
        of_table = batch.c.table_name == self._table
        last_completed = (
            select(batch.c.id)
            .where(of_table, batch.c.state == BatchState.COMPLETED)
            .with_hint(batch, "FORCE INDEX (bq_sync_batch_table_state)", "mysql")
            .order_by(batch.c.id.desc())
            .limit(LAST_BATCHES)
        )
        ids = [*connection.scalars(last_completed), connection.scalar(select(func.max(batch.c.id)).where(of_table))]
        return min((id_ for id_ in ids if id_ is not None), default=None)


class OwnTables:
    """Deletes from bq-sync's own tables in an open transaction; what has changed since it was found stays."""

    def __init__(self, connection: Connection, table_name: str) -> None:
        self._connection = connection
        self._table = table_name

    def delete_items(self, ids: Collection[int], status: ItemStatus) -> int:
        still = and_(queue.c.table_name == self._table, queue.c.sync_status == status)
        return sum(
            self._connection.execute(delete(queue).where(queue.c.id.in_(some), still)).rowcount
            for some in chunks(list(ids))
        )

    def delete_batches(self, ids: Collection[int]) -> int:
        free = and_(
            batch.c.id.in_(ids),
            batch.c.table_name == self._table,
            batch.c.state.in_(_ENDED),
            ~exists().where(queue.c.batch_id == batch.c.id),
        )
        return self._connection.execute(delete(batch).where(free)).rowcount

    def delete_streams(self, before: datetime, limit: int) -> int:
        empty = (
            select(stream.c.id)
            .where(
                stream.c.table_name == self._table,
                stream.c.final,
                stream.c.created_at < _utc(before),
                ~exists().where(batch.c.stream_id == stream.c.id),
            )
            .limit(limit)
        )
        ids = self._connection.scalars(empty).all()
        return self._connection.execute(delete(stream).where(stream.c.id.in_(ids))).rowcount if ids else 0

    def delete_commands(self, before: datetime, limit: int) -> int:
        last_report = self._connection.scalar(last_report_id(self._table))
        old = (
            select(command.c.id)
            .where(
                command.c.state.in_(("done", "withdrawn")),
                command.c.table_name == self._table,
                command.c.ended_at < _utc(before),
                command.c.id != (last_report or 0),
            )
            .limit(limit)
        )
        ids = self._connection.scalars(old).all()
        return self._connection.execute(delete(command).where(command.c.id.in_(ids))).rowcount if ids else 0


def _utc(instant: datetime) -> datetime:
    """As our TIMESTAMP columns compare it: UTC in our sessions."""
    return instant.astimezone(UTC).replace(tzinfo=None)
