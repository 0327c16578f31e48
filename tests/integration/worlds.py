"""One table with what bq-sync keeps beside it, on MariaDB and in memory, for tests that hold of both."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import Connection, Engine, Insert, func, insert, select, text

from config.settings import TableSettings
from database import schema
from database.catalogue import read_source_table
from database.commands import set_paused
from database.engine import connect_unpooled
from database.leases import grant
from database.ledger import SqlLedger
from database.locks import Locks
from database.sent_rows import unpack
from database.source import SqlSource
from database.source_columns import SourceColumns
from delivery.lease import Lease, new_token
from delivery.ledger import BatchState, ItemStatus, Ledger, Lookups
from delivery.rows import Key
from delivery.source import Source
from mapping.key import key_of
from mapping.schema import SourceTable
from tests.fakes.database import MemoryDatabase, StoredBatch, StoredItem, StoredStream
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import SETTINGS
from tests.fakes.source import MemorySource

LOGS = """
CREATE TABLE logs (
  id BIGINT PRIMARY KEY, label VARCHAR(255), synced_to_bq TINYINT(1) DEFAULT 0, INDEX (synced_to_bq, id)
) ENGINE=InnoDB
"""


class World(Protocol):
    """A table that this process owns."""

    ledger: Ledger
    source: Source
    lease: Lease

    def add_rows(self, *keys: Key, flag: bool | None = False, label: str = "some") -> None: ...

    def add_item(
        self,
        record_id: Key,
        *,
        operation: str = "INSERT",
        payload: str | None = None,
        status: ItemStatus = ItemStatus.PENDING,
        batch_id: int | None = None,
        resend: bool = False,
        age_seconds: float = 0.0,
    ) -> int: ...

    def add_command(
        self, state: str = "waiting", kind: str = "flush", arguments: Mapping[str, object] | None = None
    ) -> int: ...

    def pause(self, *, paused: bool = True) -> None:
        """An operator wants nothing sent, or no longer wants that."""
        ...

    def read(self) -> MemoryDatabase:
        """All that is committed."""
        ...

    def take_away(self) -> None:
        """Another worker takes the table over."""
        ...


class MemoryWorld:
    """In memory."""

    def __init__(self) -> None:
        self._db = MemoryDatabase()
        self._ledger = MemoryLedger(self._db)
        self.ledger: Ledger = self._ledger
        self.source: Source = MemorySource(self._db)
        self.lease = Lease("logs", new_token(), 1)
        self._ledger.grant(self.lease)

    def add_rows(self, *keys: Key, flag: bool | None = False, label: str = "some") -> None:
        self._db.add_rows(*keys, label=label)
        if flag is not False:
            (self._db.history if flag is None else self._db.flags).update(keys)

    def add_item(
        self,
        record_id: Key,
        *,
        operation: str = "INSERT",
        payload: str | None = None,
        status: ItemStatus = ItemStatus.PENDING,
        batch_id: int | None = None,
        resend: bool = False,
        age_seconds: float = 0.0,
    ) -> int:
        return self._db.add_item(
            record_id,
            operation=operation,
            payload=payload,
            status=status,
            batch_id=batch_id,
            resend=resend,
            age_seconds=age_seconds,
        )

    def add_command(
        self, state: str = "waiting", kind: str = "flush", arguments: Mapping[str, object] | None = None
    ) -> int:
        id_ = len(self._db.commands) + 1
        self._db.commands[id_] = state
        self._db.asked[id_] = (kind, dict(arguments or {}))
        return id_

    def pause(self, *, paused: bool = True) -> None:
        self._db.paused = paused

    def read(self) -> MemoryDatabase:
        return self._db

    def take_away(self) -> None:
        self._ledger.take_away()


class SqlWorld:
    """On MariaDB, in an empty database. `close` frees its lock."""

    def __init__(
        self, engine: Engine, create: str = LOGS, settings: TableSettings = SETTINGS, name: str = "logs"
    ) -> None:
        self.engine = engine
        schema.metadata.create_all(engine)
        with engine.begin() as connection:
            connection.execute(text(create.replace(":", "\\:")))
            source = read_source_table(connection, name)
        assert source is not None
        self.described: SourceTable = source
        self.columns = SourceColumns(settings, source, None, lambda: datetime.now(UTC))
        self.ledger: Ledger = SqlLedger(engine, self.columns.flagging)
        key = source.columns[settings.primary_key]
        others = [column for column in source.columns if column != key.name]
        self.source: Source = SqlSource(engine, name, self.columns, [key.name, others[0]], key_of(key))
        self.locks = Locks(connect_unpooled(engine.url), on_lost=lambda *_: None)
        self.lease = self.take()

    def take(self) -> Lease:
        """Take the lock and a new lease."""
        connection_id = self.locks.take(self.described.name)
        assert connection_id is not None
        lease = Lease(self.described.name, new_token(), connection_id)
        grant(self.engine, lease)
        return lease

    def close(self) -> None:
        self.locks.close()

    def add_rows(self, *keys: Key, flag: bool | None = False, label: str = "some") -> None:
        with self.engine.begin() as connection:
            connection.execute(
                text("INSERT INTO logs (id, label, synced_to_bq) VALUES (:id, :label, :flag)"),
                [{"id": key, "label": label, "flag": flag} for key in keys],
            )

    def add_item(
        self,
        record_id: Key,
        *,
        operation: str = "INSERT",
        payload: str | None = None,
        status: ItemStatus = ItemStatus.PENDING,
        batch_id: int | None = None,
        resend: bool = False,
        age_seconds: float = 0.0,
    ) -> int:
        statement = insert(schema.queue).values(
            table_name=self.described.name,
            record_id=str(record_id),
            operation=operation,
            payload=payload,
            sync_status=status,
            batch_id=batch_id,
            resend=resend,
            created_at=func.timestampadd(text("MICROSECOND"), -int(age_seconds * 1e6), func.now(6)),
        )
        return self._insert(statement)

    def add_command(
        self, state: str = "waiting", kind: str = "flush", arguments: Mapping[str, object] | None = None
    ) -> int:
        given = None if arguments is None else json.dumps(arguments)
        command = {"table_name": self.described.name, "kind": kind, "state": state, "arguments": given}
        return self._insert(insert(schema.command).values(command))

    def pause(self, *, paused: bool = True) -> None:
        with self.engine.begin() as connection:
            set_paused(connection, [self.described.name], paused)

    def _insert(self, statement: Insert) -> int:
        with self.engine.begin() as connection:
            key = connection.execute(statement).inserted_primary_key
        assert key is not None
        return int(key[0])

    def read(self) -> MemoryDatabase:
        db = MemoryDatabase()
        with self.engine.connect() as connection:
            self._read_rows(connection, db)
            for item in connection.execute(select(schema.queue).order_by(schema.queue.c.id)):
                db.items[item.id] = StoredItem(
                    item.id,
                    item.record_id,
                    item.operation,
                    item.payload,
                    ItemStatus(item.sync_status),
                    item.batch_id,
                    item.resend,
                    item.last_error,
                    retry_count=item.retry_count,
                )
            for batch in connection.execute(select(schema.batch).order_by(schema.batch.c.id)):
                db.batches[batch.id] = StoredBatch(
                    batch.id, BatchState(batch.state), batch.stream_id, batch.stream_offset, unpack(batch.sent_rows)
                )
            for stream in connection.execute(select(schema.stream).order_by(schema.stream.c.id)):
                db.streams[stream.id] = StoredStream(stream.id, stream.name, stream.final, stream.row_count)
            for command in connection.execute(select(schema.command)):
                db.commands[command.id] = command.state
            state = connection.execute(select(schema.table)).one()
        db.lookups = Lookups(state.lookup_first, state.lookup_items_to)
        db.synced_rows, db.state, db.reason, db.last_error = (
            state.synced_rows,
            state.state,
            state.reason,
            state.last_error,
        )
        return db

    def _read_rows(self, connection: Connection, db: MemoryDatabase) -> None:
        key, flag = self.columns.key, self.columns.flag
        assert flag is not None
        for id_, synced in connection.execute(select(key, flag).select_from(self.columns.table)):
            db.values[id_] = (id_,)
            if synced is None:
                db.history.add(id_)
            elif synced:
                db.flags.add(id_)

    def take_away(self) -> None:
        with self.engine.begin() as connection:
            connection.execute(schema.lease.update().values(token=new_token()))


@contextmanager
def sql_world(
    engine: Engine, create: str = LOGS, settings: TableSettings = SETTINGS, name: str = "logs"
) -> Iterator[SqlWorld]:
    """A world that is closed in the end."""
    world = SqlWorld(engine, create, settings, name)
    try:
        yield world
    finally:
        world.close()
