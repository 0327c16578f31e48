"""The SQL of every write to the database: `delivery.ledger.Transaction` on MariaDB / MySQL."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Update, func, literal_column, select, update
from sqlalchemy.dialects.mysql import insert

from database.in_lists import chunks
from database.schema import batch, command, queue, stream, table
from database.sent_rows import pack, unpack
from delivery.ledger import OPEN, Batch, BatchState, Extent, ItemStatus, Lookups, OrphanItem, Stream, TakenCommand
from delivery.rows import Key, SentRows

ERROR_LENGTH = 1000  # characters of last_error that are kept

_NOW: ColumnElement[Any] = literal_column("CURRENT_TIMESTAMP(6)")

# The optimizer may else walk all items of one status, and wait for those that a producer, or another table's owner,
# has not committed.
_BY_ID = "FORCE INDEX (PRIMARY)"
_BY_BATCH = "FORCE INDEX (bq_sync_queue_batch)"

# The UPDATEs that mark source rows as synced.
Flagging = Callable[[Sequence[Key]], Iterable[Executable]]


class SqlTransaction:
    """Row operations of one table in one open transaction; errors of SQLAlchemy pass through to `database.ledger`."""

    def __init__(self, connection: Connection, table_name: str, flagging: Flagging) -> None:
        self._connection = connection
        self._table = table_name
        self._flagging = flagging

    # streams

    def add_stream(self, name: str) -> int:
        return self._inserted(insert(stream).values(table_name=self._table, name=name))

    def open_streams(self) -> Sequence[Stream]:
        query = select(stream.c.id, stream.c.name).where(stream.c.table_name == self._table, ~stream.c.final)
        return [Stream(*row) for row in self._connection.execute(query.order_by(stream.c.id))]

    def close_stream(self, stream_id: int, row_count: int | None) -> None:
        self._connection.execute(update(stream).where(stream.c.id == stream_id).values(final=True, row_count=row_count))

    def extents(self, stream_id: int) -> Sequence[Extent]:
        query = select(batch.c.id, batch.c.state, batch.c.stream_offset, batch.c.row_count)
        rows = self._connection.execute(query.where(batch.c.stream_id == stream_id).order_by(batch.c.id))
        return [Extent(id_, BatchState(state), offset, count) for id_, state, offset, count in rows]

    # batches

    def add_batch(self, state: BatchState, stream_id: int | None, offset: int | None, rows: SentRows) -> int:
        return self._inserted(
            insert(batch).values(
                table_name=self._table,
                state=state,
                stream_id=stream_id,
                stream_offset=offset,
                row_count=len(rows),
                sent_rows=pack(rows),
            )
        )

    def batches(self, state: BatchState) -> Sequence[Batch]:
        query = select(batch.c.id, batch.c.stream_id, batch.c.stream_offset, batch.c.sent_rows)
        query = query.where(batch.c.table_name == self._table, batch.c.state == state).order_by(batch.c.id)
        return [Batch(row[0], state, row[1], row[2], unpack(row[3])) for row in self._connection.execute(query)]

    def set_state(self, batch_id: int, state: BatchState, *, was: BatchState) -> bool:
        ended = None if state in OPEN else _NOW
        statement = update(batch).where(batch.c.id == batch_id, batch.c.state == was)
        return self._connection.execute(statement.values(state=state, ended_at=ended)).rowcount == 1

    def has_batch(self, batch_id: int, stream_id: int) -> bool:
        query = select(batch.c.id).where(batch.c.id == batch_id, batch.c.stream_id == stream_id)
        return self._connection.scalar(query) is not None

    def are_completed(self, batch_ids: Collection[int]) -> bool:
        query = select(func.count()).where(batch.c.id.in_(batch_ids), batch.c.table_name == self._table)
        return self._connection.scalar(query.where(batch.c.state == BatchState.COMPLETED)) == len(batch_ids)

    def detach(self, batch_id: int) -> None:
        self._connection.execute(update(batch).where(batch.c.id == batch_id).values(stream_id=None, stream_offset=None))

    # items

    def lock_pending(self, items: Collection[int]) -> Mapping[int, str]:
        query = select(queue.c.id, queue.c.record_id).where(queue.c.sync_status == ItemStatus.PENDING)
        query = query.with_hint(queue, _BY_ID).with_for_update()
        pending: dict[int, str] = {}
        for some in chunks(list(items)):
            pending |= {row[0]: row[1] for row in self._connection.execute(query.where(queue.c.id.in_(some)))}
        return pending

    def tie(self, items: Collection[int], batch_id: int) -> None:
        self._update_items(items, update(queue), sync_status=ItemStatus.SYNCING, batch_id=batch_id)

    def respell(self, item: int, key: Key) -> None:
        self._update_items([item], update(queue), record_id=str(key))

    def count_retry(self, batch_id: int) -> bool:
        self._update_syncing(batch_id, retry_count=queue.c.retry_count + 1)
        used_up = select(queue.c.id).with_hint(queue, _BY_BATCH).where(queue.c.batch_id == batch_id)
        used_up = used_up.where(queue.c.retry_count >= queue.c.max_retries)
        return self._connection.scalar(used_up.limit(1)) is not None

    def move_items(self, batch_id: int, keys: Sequence[Key], to: int) -> None:
        tied = select(queue.c.id, queue.c.record_id).with_hint(queue, _BY_BATCH).where(queue.c.batch_id == batch_id)
        for some in chunks([str(key) for key in keys]):
            wanted = set(some)  # the column's collation takes two that differ by spaces at their ends for one
            found = self._connection.execute(tied.where(queue.c.record_id.in_(some)))
            self._update_items([id_ for id_, key in found if key in wanted], update(queue), batch_id=to)

    def free_items(self, batch_id: int) -> None:
        self._update_syncing(batch_id, sync_status=ItemStatus.PENDING, batch_id=None)

    def free_orphans(self, items: Collection[int]) -> None:
        self._update_items(items, update(queue), sync_status=ItemStatus.PENDING)

    def complete_items(self, batch_id: int) -> None:
        self._update_syncing(batch_id, sync_status=ItemStatus.COMPLETED, synced_at=_NOW, last_error=None)

    def settle_items(self, items: Collection[int], status: ItemStatus, reason: str | None) -> None:
        still_pending = update(queue).where(queue.c.sync_status == ItemStatus.PENDING)
        self._update_items(items, still_pending, sync_status=status, last_error=_shortened(reason))

    def fail_row(self, key: Key, reason: str) -> None:
        # Asked first, since this is repeated after a COMMIT whose answer was lost.
        failed = select(queue.c.record_id).where(
            queue.c.table_name == self._table,
            queue.c.record_id == str(key),
            queue.c.operation == "INSERT",
            queue.c.sync_status == ItemStatus.FAILED,
        )
        if str(key) in self._connection.scalars(failed).all():  # others may differ by spaces at their ends
            return
        self._connection.execute(
            insert(queue).values(
                table_name=self._table,
                record_id=str(key),
                sync_status=ItemStatus.FAILED,
                last_error=_shortened(reason),
            )
        )

    def orphan_items(self, limit: int) -> Sequence[OrphanItem]:
        query = select(queue.c.id, queue.c.operation, queue.c.record_id, queue.c.payload).where(
            queue.c.table_name == self._table,
            queue.c.sync_status == ItemStatus.SYNCING,
            queue.c.batch_id.is_(None),
        )
        return [OrphanItem(*row) for row in self._connection.execute(query.order_by(queue.c.id).limit(limit))]

    # rows and the table

    def set_flags(self, keys: Sequence[Key]) -> None:
        for statement in self._flagging(keys):
            self._connection.execute(statement)

    def count_synced(self, rows: int) -> None:
        self._update_table(synced_rows=table.c.synced_rows + rows, last_sync_at=_NOW)

    def lookups(self) -> Lookups:
        query = select(table.c.lookup_first, table.c.lookup_items_to).where(table.c.table_name == self._table)
        row = self._connection.execute(query).one_or_none()
        return Lookups() if row is None else Lookups(bool(row[0]), row[1])

    def begin_lookups(self) -> None:
        self._update_table(lookup_first=True, lookup_items_to=self._last_item())

    def end_lookups(self) -> Lookups:
        self._update_table(lookup_first=False, lookup_items_to=self._last_item())
        return self.lookups()

    # what an operator sees and asks for

    def note_state(self, state: str, reason: str | None, *, error: bool) -> None:
        """Keep the table's state for whoever asks for its status; `error` makes the reason its last error too."""
        values: dict[str, object] = {"state": state, "reason": _shortened(reason), "state_since": _NOW}
        if error:
            values |= {"last_error": _shortened(reason), "last_error_at": _NOW}
        self._update_table(**values)

    def take_command(self, command_id: int) -> bool:
        """Make a waiting command ours; False where it was withdrawn meanwhile."""
        taken = update(command).where(command.c.id == command_id, command.c.state == "waiting").values(state="taken")
        return self._connection.execute(taken).rowcount == 1

    def taken_commands(self) -> Sequence[TakenCommand]:
        query = select(command.c.id, command.c.kind, command.c.arguments).where(
            command.c.state == "taken", command.c.table_name == self._table
        )
        return [
            TakenCommand(id_, kind, json.loads(arguments) if arguments else {})
            for id_, kind, arguments in self._connection.execute(query.order_by(command.c.id))
        ]

    def finish_command(self, command_id: int, result: Mapping[str, object]) -> None:
        done = {"state": "done", "ended_at": _NOW, "result": json.dumps(result)}
        self._connection.execute(update(command).where(command.c.id == command_id).values(done))

    def is_paused(self) -> bool:
        return bool(self._connection.scalar(select(table.c.paused).where(table.c.table_name == self._table)))

    def _last_item(self) -> ColumnElement[int]:
        """The last item that the look-ups concern, however far back the database went."""
        return func.greatest(table.c.lookup_items_to, self._connection.scalar(select(func.max(queue.c.id))) or 0)

    def _inserted(self, statement: object) -> int:
        key = self._connection.execute(statement).inserted_primary_key  # type: ignore[call-overload]  # any insert
        return int(key[0])

    def _update_items(self, items: Collection[int], statement: Update, **values: object) -> None:
        statement = statement.with_hint(_BY_ID)
        for some in chunks(list(items)):
            self._connection.execute(statement.where(queue.c.id.in_(some)).values(**values))

    def _update_syncing(self, of_batch: int, **values: object) -> None:
        syncing = update(queue).with_hint(_BY_BATCH).where(queue.c.batch_id == of_batch)
        self._connection.execute(syncing.where(queue.c.sync_status == ItemStatus.SYNCING).values(**values))

    def _update_table(self, **values: object) -> None:
        self._connection.execute(update(table).where(table.c.table_name == self._table).values(**values))


def _shortened(reason: str | None) -> str | None:
    return reason[:ERROR_LENGTH] if reason else None
