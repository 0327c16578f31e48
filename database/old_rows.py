"""Old rows, what is kept beside them, and the DELETEs of retention: `delivery.old_rows` on MariaDB / MySQL."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Executable, and_, func, literal_column, select
from sqlalchemy.exc import SQLAlchemyError

from database.age_columns import AgeColumns
from database.cleaning import Leftovers, OwnTables
from database.delete_rows import RowDeletion
from database.engine import Engines
from database.failures import explain
from database.in_lists import chunks
from database.leases import begin
from database.referring import delete_triggers, lacks_delete, referring_keys
from database.schema import batch, queue
from database.sent_rows import unpack
from database.source_columns import FALSE
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import (
    BatchToClean,
    ItemToClean,
    OldPage,
    OldRow,
    Position,
    RecordedBatch,
)
from delivery.retention_report import Refusal
from delivery.rows import Key
from delivery.source import SourceError

NEAR = 1000  # batches by the time they ended, of which the lowest id is where to begin


class SqlOldRows:
    """One table's, by `delivery.old_rows.OldRows`.

    Args:
        ages: None for a table whose rows are never deleted: then only `now` and what cleans bq-sync's own tables work.
    """

    def __init__(self, engines: Engines, table_name: str, ages: AgeColumns | None) -> None:
        self._engines = engines
        self._table_name = table_name
        self._maybe_ages = ages
        self._leftovers = Leftovers(table_name)

    def now(self) -> datetime:
        now: datetime = self._read(select(func.utc_timestamp(literal_column("6"))))[0][0]
        return now.replace(tzinfo=UTC)

    def obstacles(self) -> Sequence[str]:
        with self._reading() as connection:
            keys = referring_keys(connection, self._table_name)
            lacking = lacks_delete(connection, self._table_name)
        return [*lacking, *(key.obstacle for key in keys if key.spreads)]

    def notes(self) -> Sequence[str]:
        with self._reading() as connection:
            keys = referring_keys(connection, self._table_name)
            triggers = delete_triggers(connection, self._table_name)
        notes = [key.note for key in keys if not key.spreads]
        return [*notes, f"DELETE triggers run for each row: {', '.join(triggers)}"] if triggers else notes

    def staying(self, cutoff: datetime) -> Mapping[Refusal, Sequence[Key]]:
        ages = self._ages
        queries = {
            Refusal.NOT_SYNCED: ages.old_with_flag(cutoff, ages.flag == FALSE),
            Refusal.HISTORY: ages.old_with_flag(cutoff, ages.flag.is_(None)),
            Refusal.NO_AGE: ages.without_age(),
        }
        found = {reason: self._read(query) for reason, query in queries.items() if query is not None}
        return {reason: [row[0] for row in rows] for reason, rows in found.items() if rows}

    def old(self, cutoff: datetime, after: Position | None, limit: int) -> OldPage:
        ages = self._ages
        end = self._read(ages.window_end(cutoff, after))
        query = ages.page(cutoff, after, limit)
        rows = self._read(ages.up_to(query, tuple(end[0])) if end else query)
        found = [OldRow(row[0], ages.instant(row[1])) for row in rows]
        if len(rows) == limit:
            return OldPage(found, ages.position(*rows[-1]))
        return OldPage(found, None if not end or ages.ends_at_young_rows(rows) else tuple(end[0]))

    def old_unsynced(self, keys: Collection[Key], cutoff: datetime) -> Mapping[Key, datetime]:
        ages = self._ages
        return {
            row[0]: ages.instant(row[1])
            for some in chunks(list(keys))
            for row in self._read(ages.old_among(some, cutoff, FALSE))
        }

    def any_there(self, keys: Sequence[Key]) -> bool:
        ages = self._ages
        found = select(ages.key).select_from(ages.table).limit(1)
        return any(self._read(found.where(ages.key.in_(some))) for some in chunks(keys))

    def sent_items(self, keys: Collection[Key]) -> Mapping[Key, datetime]:
        by_record = {str(key): key for key in keys}
        sent: dict[Key, datetime] = {}
        for some in chunks(list(by_record)):
            query = select(queue.c.record_id, func.max(func.coalesce(queue.c.synced_at, queue.c.created_at))).where(
                queue.c.table_name == self._table_name,
                queue.c.record_id.in_(some),
                queue.c.operation == "INSERT",
                queue.c.sync_status == ItemStatus.COMPLETED,
                queue.c.batch_id.is_not(None),
            )
            for record_id, at in self._read(query.group_by(queue.c.record_id)):
                if record_id in by_record:
                    sent[by_record[record_id]] = at.replace(tzinfo=UTC)
        return sent

    def recorded(self, since: datetime, after: int, limit: int, keys: Collection[Key]) -> Sequence[RecordedBatch]:
        ended = since.astimezone(UTC).replace(tzinfo=None)
        completed = and_(batch.c.table_name == self._table_name, batch.c.state == BatchState.COMPLETED)
        if not after:
            near = select(batch.c.id).where(completed, batch.c.ended_at >= ended)
            near = near.with_hint(batch, "FORCE INDEX (bq_sync_batch_ended)", "mysql")
            near = near.order_by(batch.c.ended_at).limit(NEAR)
            after = (self._read(select(func.min(near.subquery().c.id)))[0][0] or 0) - 1
        query = select(batch.c.id, batch.c.ended_at, batch.c.sent_rows)
        query = query.with_hint(batch, "FORCE INDEX (bq_sync_batch_table_state)", "mysql")
        query = query.where(completed, batch.c.id > after, batch.c.ended_at >= ended).order_by(batch.c.id).limit(limit)
        return [
            RecordedBatch(id_, at.replace(tzinfo=UTC), unpack(packed, only=keys))
            for id_, at, packed in self._read(query)
        ]

    def items_to_clean(
        self, status: ItemStatus, before: datetime | None, after: int, limit: int
    ) -> Sequence[ItemToClean]:
        with self._reading() as connection:
            return self._leftovers.items(connection, status, before, after, limit)

    def batches_to_clean(self, before: datetime, after: int, limit: int) -> Sequence[BatchToClean]:
        with self._reading() as connection:
            return self._leftovers.batches(connection, before, after, limit)

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator["SqlRetentionTransaction"]:
        with begin(self._engines.write, lease) as connection:
            yield SqlRetentionTransaction(connection, self._table_name, self._maybe_ages)

    @property
    def _ages(self) -> AgeColumns:
        if self._maybe_ages is None:
            raise ValueError(f"{self._table_name} has no age or no flag: its rows are never deleted")
        return self._maybe_ages

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        try:
            with self._engines.read.connect() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error

    def _read(self, query: Executable) -> Sequence[Any]:
        with self._reading() as connection:
            return connection.execute(query).all()


class SqlRetentionTransaction(OwnTables, RowDeletion):
    """`delivery.old_rows.RetentionTransaction`: bq-sync's own tables, and the source rows."""

    def __init__(self, connection: Connection, table_name: str, ages: AgeColumns | None) -> None:
        OwnTables.__init__(self, connection, table_name)
        RowDeletion.__init__(self, connection, table_name, ages)
