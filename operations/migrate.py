"""`bq-sync migrate`: bq-sync's own tables, then what the configured tables lack; up, down, or as SQL for a DBA.

MariaDB commits each DDL statement by itself, so nothing here relies on a transaction: every step looks at what is there
first, and a migration that was cut is finished by running it again.
"""

import io
import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, Select, func, inspect, select, text, update
from sqlalchemy.exc import DBAPIError

import migrations
from config.settings import Settings
from database.catalogue import read_source_table
from database.changes import ChangeError, Changes, Report, ScriptChanges, ServerChanges, connect, said_of
from database.counting import Count, count
from database.leases import grant
from database.locks import lock_name
from database.prepared import lacking
from database.schema import batch, metadata, queue
from database.source_columns import SourceColumns
from delivery.errors import LedgerError
from delivery.lease import Lease, new_token
from delivery.rows import Key
from mapping.schema import SourceColumn
from migrations.former_queue import QUEUE, is_former
from operations.source_changes import History, SourceChange, find_changes, make_change, read_notes, undo_changes

LOCK_SECONDS = 1
ITEMS_AT_ONCE = 1000


class MigrationError(Exception):
    """The database couldn't be migrated. What was done stays; running again goes on from there."""


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What is to do. `revision` is that of bq-sync's own tables (None: there are none), `head` what it will be."""

    revision: str | None
    head: str
    changes: tuple[SourceChange, ...]
    problems: tuple[str, ...]  # with configured tables, which are left out

    @property
    def is_empty(self) -> bool:
        return self.revision == self.head and not self.changes


def plan(engine: Engine, settings: Settings) -> MigrationPlan:
    """What `migrate_up` would do; nothing is changed.

    Raises:
        MigrationError: the database can't be read, or a way down was cut.
    """
    with _connection(engine) as connection:
        return _plan(connection, settings)


def migrate_up(engine: Engine, settings: Settings, history: History | None, report: Report) -> tuple[str, ...]:
    """Bring the database to what this version and configuration need.

    Args:
        engine: says where the database is; connections are made anew, since these statements may take long.
        history: whether rows that are there when their table gets its flag column are sent, or skipped as history.
        report: is told what is being done, a line at a time.

    Returns:
        Problems with configured tables, a line each; everything else was done.

    Raises:
        MigrationError: with the fix: a worker runs, history isn't said, a table stayed busy, the database refused.
    """
    with _connection(engine) as connection:
        planned = _plan(connection, settings)
        _demand_history(planned, history)
        _take_locks(connection, settings.tables)
        changes = ServerChanges(connection, report)
        command.upgrade(_alembic(changes, settings), "head")
        _take_leases(connection, settings.tables)
        lacking = _plan(connection, settings)
        for change in lacking.changes:
            make_change(changes, change, history)
        flagged = [_flag_what_was_sent(connection, settings, name, report) for name in settings.tables]
        if planned.is_empty and not any(flagged) and not lacking.problems:
            report("nothing to do")
        return lacking.problems


def what_goes(engine: Engine) -> tuple[str, ...]:
    """What `migrate_down` would take away, a line each; empty: `migrate_up` was never here, or all is gone.

    Raises:
        MigrationError: the database can't be read.
    """
    with _connection(engine) as connection:
        there = inspect(connection)
        if not there.has_table(migrations.VERSION_TABLE):
            return ()
        own = {name for name in metadata.tables if there.has_table(name)}
        lines = [f"{name}: {', '.join(added.values())}" for name, added in read_notes(connection).items()]
        if {QUEUE, "bq_sync_table"} <= own and is_former(connection):
            own.remove(QUEUE)
            lines.append(f"{QUEUE} gets its former shape back, with its items")
        elif QUEUE in own and not _has_our_queue(connection):
            own.remove(QUEUE)  # it has its former shape back, from a way down that was cut
        elif QUEUE in own:
            pending, failed = (_words(count(connection, _items(status))) for status in ("pending", "failed"))
            lines.append(f"in {QUEUE}: {pending} pending and {failed} failed items")
        return (
            f"bq-sync's tables: {', '.join(sorted(own)) or 'none'}",
            *lines,
            "which rows were sent is forgotten: a later `migrate --history send` sends them a second time",
        )


def _items(status: str) -> Select[Any]:
    return select(queue.c.id).where(queue.c.sync_status == status)


def _words(counted: Count) -> str:
    return f"{'about ' if counted.is_estimate else ''}{counted.rows:,}"


def migrate_down(engine: Engine, settings: Settings, report: Report) -> None:
    """Remove what `migrate_up` made and nothing else; a queue of an older shape gets that shape back, with its items.

    Which rows were sent is forgotten with the flags: another `migrate_up` with history "send" sends them twice.

    Raises:
        MigrationError: with the fix: a worker runs, a table stayed busy, the database refused.
    """
    with _connection(engine) as connection:
        tables = {*settings.tables, *read_notes(connection)}
        _take_locks(connection, tables)
        if inspect(connection).has_table("bq_sync_lease"):
            _take_leases(connection, tables)
        changes = ServerChanges(connection, report)
        undo_changes(changes)
        command.downgrade(_alembic(changes, settings), "base")
        changes.execute(f"DROP TABLE IF EXISTS {migrations.VERSION_TABLE}")


def migration_sql(engine: Engine, settings: Settings, history: History | None) -> str:
    """What `migrate_up` would run now, as SQL for a DBA; nothing is changed.

    The flags of rows that a former program sent aren't in it: the next `migrate`, or the worker row by row, sets them.

    Raises:
        MigrationError: as `migrate_up`.
    """
    script = io.StringIO()
    with _connection(engine) as connection:
        planned = _plan(connection, settings)
        _demand_history(planned, history)
        script.write(f"-- bq-sync {planned.revision or 'none'} to {planned.head}. Stop the worker first.\n")
        script.writelines(f"-- Left out: {problem}\n" for problem in planned.problems)
        changes = ScriptChanges(connection, script)
        command.upgrade(
            _alembic(changes, settings, script), f"{planned.revision}:head" if planned.revision else "head", sql=True
        )
        for change in planned.changes:
            make_change(changes, change, history)
    return script.getvalue()


@contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    try:
        with connect(engine.url).connect() as connection:
            yield connection
    except DBAPIError as error:
        raise MigrationError(said_of(error)) from error
    except (ChangeError, LedgerError) as error:
        raise MigrationError(str(error)) from error


def _plan(connection: Connection, settings: Settings) -> MigrationPlan:
    context = MigrationContext.configure(connection, opts={"version_table": migrations.VERSION_TABLE})
    revision = context.get_current_revision()
    head = ScriptDirectory.from_config(_alembic(None, settings)).get_current_head()
    if revision is not None:
        there = inspect(connection)
        made = metadata.tables.keys() - migrations.tables_made_after(revision)
        whole = all(there.has_table(name) for name in made) and _has_our_queue(connection)
        if not whole or (revision == head and lacking(connection)):
            raise MigrationError("a migration down was cut: run it again to its end, then migrate up")
    changes, problems = find_changes(connection, settings)
    return MigrationPlan(revision, str(head), tuple(changes), tuple(problems))


def _has_our_queue(connection: Connection) -> bool:
    return any(column["name"] == "sync_status" for column in inspect(connection).get_columns(QUEUE))


def _demand_history(planned: MigrationPlan, history: History | None) -> None:
    asking = [change for change in planned.changes if change.needs_history]
    if asking and history is None:
        tables = "\n".join(f"  {change.table}: {change.size}" for change in asking)
        raise MigrationError(
            "these tables hold rows and get their flag column now: say --history send to send those rows to BigQuery,"
            f" or --history skip to leave them out:\n{tables}"
        )


def _alembic(changes: Changes | None, settings: Settings, script: TextIO | None = None) -> Config:
    config = Config()
    folder = Path(migrations.__file__).parent
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes.update(changes=changes, zone=settings.zone, script=script)
    return config


def _take_locks(connection: Connection, tables: Collection[str]) -> None:
    """The advisory locks that workers own their tables by; freed with the connection."""
    database = connection.engine.url.database or ""
    for name in tables:
        taken = connection.scalar(
            text("SELECT GET_LOCK(:name, :seconds)"), {"name": lock_name(database, name), "seconds": LOCK_SECONDS}
        )
        if taken != 1:
            raise MigrationError(f"a worker owns {name}: stop the worker first, then migrate again")


def _take_leases(connection: Connection, tables: Collection[str]) -> None:
    """Waits for what a frozen worker may have open: from here on it can't commit."""
    mine = int(connection.scalar(text("SELECT CONNECTION_ID()")) or 0)
    for name in tables:
        grant(connection.engine, Lease(name, new_token(), mine))


def _flag_what_was_sent(connection: Connection, settings: Settings, name: str, report: Report) -> bool:
    """Set the flags of rows that a former program sent (migrations.former_queue), also where they'd read NULL.

    False: there was nothing to set.
    """
    source = read_source_table(connection, name)
    table = settings.tables[name]
    needed = [each for each in (table.primary_key, table.synced_flag, table.synced_at) if each is not None]
    if source is None or any(each not in source.columns for each in needed):
        return False  # `check` says what is missing; the next `migrate` comes back to it
    columns = SourceColumns(table, source, settings.zone, lambda: datetime.now(UTC))
    former = (
        batch.c.table_name == name,
        batch.c.state == "completed",
        batch.c.stream_id.is_(None),
        batch.c.row_count == 0,
        batch.c.ended_at.is_(None),
    )
    batch_ids = connection.scalars(select(batch.c.id).where(*former)).all()
    for batch_id in batch_ids:
        rows = 0
        for keys in _keys_of(connection, batch_id, source.columns[table.primary_key]):
            for statement in columns.flagging(keys):
                connection.execute(statement)
            rows += len(keys)
        connection.execute(update(batch).where(batch.c.id == batch_id).values(ended_at=func.now(6)))
        report(f"{name}: the flags of {rows:,} rows are set, which a former program sent")
    return bool(batch_ids)


def _keys_of(connection: Connection, batch_id: int, key_column: SourceColumn) -> Iterator[list[Key]]:
    after = 0
    query = select(queue.c.id, queue.c.record_id).order_by(queue.c.id).limit(ITEMS_AT_ONCE)
    query = query.where(queue.c.batch_id == batch_id, queue.c.operation == "INSERT")
    while items := connection.execute(query.where(queue.c.id > after)).all():
        keys = (_key(record_id, key_column) for _, record_id in items)
        yield [key for key in keys if key is not None]
        after = items[-1][0]


def _key(record_id: str, column: SourceColumn) -> Key | None:
    """The record id in the key's own type, so that its index serves; None where it can't be such a key."""
    if not column.is_integer:
        return record_id
    return int(record_id) if re.fullmatch(r"-?[0-9]{1,20}", record_id) else None
