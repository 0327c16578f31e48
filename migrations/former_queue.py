"""A bq_sync_queue of an older shape, carried over in place with its items, and given back on the way down.

The older shape has queue_id, status (pending, processing, success, failed) and processed_at, DATETIMEs in the
database's zone, and whatever types its makers chose. What it was is noted in bq_sync_table before anything changes.

An item with `success` was sent by the program that was here before. It becomes `completed` and is tied to a batch
that stands for that program's work, one for each table: so the ordinary rule, completed and names its batch, holds for
it, and its row isn't sent again. That batch has no stream and no rows, and no end until `operations.migrate` has set
the flags of its rows. `processing` is in doubt: it becomes `syncing` without a batch, which recovery looks up.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, text

from database.changes import ChangeError, Changes
from database.identifiers import quote, quote_text
from migrations import zones
from migrations.reshape import Column, Replaced, Reshape, Shape, plan_reshape, read_shape

QUEUE = "bq_sync_queue"

OLDER_NAMES = {"id": "queue_id", "sync_status": "status", "synced_at": "processed_at"}
OUR_NAMES = {older: ours for ours, older in OLDER_NAMES.items()}

KNOWN_VALUES = {
    "status": {"pending", "processing", "success", "failed"},
    "operation": {"insert", "update", "delete"},
}

_OUR_STATUS = "CASE {0} WHEN 'processing' THEN 'syncing' WHEN 'success' THEN 'completed' ELSE {0} END"
_OLDER_STATUS = (
    "CASE {0} WHEN 'syncing' THEN 'processing' WHEN 'completed' THEN 'success'"
    " WHEN 'abandoned' THEN 'failed' ELSE {0} END"
)

# The batch that stands for what the former program sent of a table.
FORMER_BATCH = "state = 'completed' AND stream_id IS NULL AND row_count = 0"


def carry_over(changes: Changes, ours: Shape, zone: ZoneInfo | None) -> None:
    """Give the queue our shape; does nothing to one that has it.

    Raises:
        ChangeError: it isn't a queue that we know, holds values that we don't know, or its zone isn't known.
    """
    now = read_shape(changes.connection, QUEUE)
    if not {"id", "queue_id"} & now.columns.keys() or not {"status", "sync_status"} & now.columns.keys():
        raise ChangeError(f"{QUEUE} is no queue that bq-sync knows: rename it, then migrate again")
    if "sync_status" not in now.columns:
        _refuse_unknown_values(changes.connection, now)
        changes.explain(f"{QUEUE} has an older shape: it is carried over with its items")
        changes.execute(_note(now))
    if not _is_innodb(changes.connection):
        changes.alter(QUEUE, "ENGINE=InnoDB")  # a row and its item have to commit together
    plan = plan_reshape(now, ours, OLDER_NAMES)
    values = {name: _our_value(changes.connection, name, old, zone) for name, old in plan.replaced.items()}
    if plan.begin:
        changes.alter(QUEUE, plan.begin)
    if "sync_status" in plan.replaced:
        table_name = _table_name(plan)
        changes.execute(_insert_former_batches(table_name))
        values["batch_id"] = (
            f"CASE former_status WHEN 'success' THEN (SELECT MIN(b.id) FROM bq_sync_batch AS b"  # noqa: S608  quoted
            f" WHERE b.table_name = {table_name} AND {FORMER_BATCH}) END"
        )
    _finish(changes, plan, values, key="id")


def is_former(connection: Connection) -> bool:
    """Whether the queue had another shape, which it gets back on the way down."""
    return _noted(connection) is not None


def give_back(changes: Changes, ours: Shape, zone: ZoneInfo | None) -> bool:
    """Give the queue the shape that it had; False where bq-sync made it. A `syncing` item becomes `processing`.

    Raises:
        ChangeError: the zone isn't known.
    """
    noted = _noted(changes.connection)
    if noted is None:
        return False
    was = json.loads(noted)
    older = Shape({name: Column(*column) for name, column in was["columns"].items()}, was["indexes"])
    now = read_shape(changes.connection, QUEUE)
    renamed = {OUR_NAMES[name] for name in older.columns.keys() & OUR_NAMES.keys()}
    surplus = [
        *(name for name in ours.columns if name not in older.columns and name not in renamed),
        *(name for name in ours.indexes if name not in older.indexes and name in now.indexes),
    ]
    filled = Shape({name: _with_json_default(column) for name, column in older.columns.items()}, older.indexes)
    plan = plan_reshape(now, filled, OUR_NAMES, surplus)
    values = {
        name: _older_value(changes.connection, name, old, older.columns[name], zone)
        for name, old in plan.replaced.items()
    }
    changes.explain(f"{QUEUE} gets its older shape back, with its items")
    if plan.begin:
        changes.alter(QUEUE, plan.begin)
    _finish(changes, plan, values, key="queue_id" if "queue_id" in older.columns else "id")
    for name, column in older.columns.items():
        if filled.columns[name] != column:
            changes.alter(QUEUE, f"ALTER COLUMN {quote(name)} DROP DEFAULT")
    return True


def _finish(changes: Changes, plan: Reshape, values: Mapping[str, str], key: str) -> None:
    """Fill the new columns, where an item still has something in the former one, and drop the former."""
    if values:
        # An item that came meanwhile has nothing in the former columns, and its own values in the new ones.
        filled = (f"{quote(name)} = COALESCE({value}, {quote(name)})" for name, value in values.items())
        changes.update_all(QUEUE, key, ", ".join(filled))
    if plan.change_indexes:
        changes.alter(QUEUE, plan.change_indexes)
    if plan.drop_columns:
        changes.alter(QUEUE, plan.drop_columns)


def _our_value(connection: Connection, name: str, old: Replaced, zone: ZoneInfo | None) -> str:
    match name:
        case "sync_status":
            return _OUR_STATUS.format(_as_text(old.former))
        case "operation":
            return f"UPPER({_as_text(old.former)})"
        case "created_at" | "synced_at":
            if old.column.is_datetime:
                first, last = _range(connection, old.before)
                return zones.to_utc(quote(old.former), _zone(connection, zone), first, last)
            return quote(old.former)
        case "retry_count" | "max_retries" | "batch_id" | "resend":
            return quote(old.former)
        case _:
            return _as_text(old.former)


def _older_value(connection: Connection, name: str, old: Replaced, older: Column, zone: ZoneInfo | None) -> str:
    if name == "status":
        return _OLDER_STATUS.format(_as_text(old.former))
    if older.is_datetime and not old.column.is_datetime:
        first, last = _range(connection, old.before)
        return zones.to_local(quote(old.former), _zone(connection, zone), first, last)
    return quote(old.former) if old.column.collation is None else _as_text(old.former)


def _as_text(column: str) -> str:
    # An explicit collation, since two columns of different collations can't meet in one expression.
    return f"CONVERT({quote(column)} USING utf8mb4) COLLATE utf8mb4_bin"


def _table_name(plan: Reshape) -> str:
    replaced = plan.replaced.get("table_name")
    return _as_text("table_name" if replaced is None else replaced.former)


def _insert_former_batches(table_name: str) -> str:
    return (
        "INSERT INTO bq_sync_batch (table_name, state, row_count, sent_rows)"  # noqa: S608  quoted
        f" SELECT DISTINCT {table_name}, 'completed', 0, '' FROM {QUEUE} WHERE former_status = 'success' AND NOT EXISTS"
        f" (SELECT 1 FROM bq_sync_batch AS b WHERE b.table_name = {table_name} AND {FORMER_BATCH})"
    )


def _noted(connection: Connection) -> str | None:
    """Its former shape, as JSON."""
    query = text("SELECT added FROM bq_sync_table WHERE table_name = :queue")
    noted: str | None = connection.scalar(query, {"queue": QUEUE})
    return noted


def _note(shape: Shape) -> str:
    columns = {name: (column.definition, column.collation) for name, column in shape.columns.items()}
    note = quote_text(json.dumps({"columns": columns, "indexes": shape.indexes}))
    return f"INSERT IGNORE INTO bq_sync_table (table_name, added) VALUES ('{QUEUE}', {note})"  # noqa: S608  quoted


def _refuse_unknown_values(connection: Connection, now: Shape) -> None:
    for column, known in KNOWN_VALUES.items():
        if column in now.columns:
            found = connection.scalars(text(f"SELECT DISTINCT {column} FROM {QUEUE}")).all()  # noqa: S608  our constants
            unknown = sorted({str(value) for value in found if value is not None and str(value).lower() not in known})
            if unknown:
                raise ChangeError(
                    f"{QUEUE} has items whose {column} is {', '.join(unknown)}, which bq-sync doesn't know:"
                    f" make it one of {', '.join(sorted(known))}, then migrate again"
                )


def _is_innodb(connection: Connection) -> bool:
    query = text("SELECT engine FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = :queue")
    return str(connection.scalar(query, {"queue": QUEUE})).lower() == "innodb"


def _range(connection: Connection, column: str) -> tuple[datetime, datetime]:
    """The least and the greatest time in a column, of those that a TIMESTAMP can hold."""
    query = f"SELECT MIN({quote(column)}), MAX({quote(column)}) FROM {QUEUE} WHERE {quote(column)} > '1970-01-02'"  # noqa: S608  quoted
    first, last = connection.execute(text(query)).one()
    now = datetime(2000, 1, 1)  # any, where there is nothing to convert
    return (first or now) - timedelta(days=1), (last or now) + timedelta(days=1)


def _zone(connection: Connection, zone: ZoneInfo | None) -> ZoneInfo:
    if zone is not None:
        return zone
    # In winter and in summer.
    offsets = connection.execute(
        text(
            "SELECT CONVERT_TZ('2026-01-01', '+00:00', @@global.time_zone) = '2026-01-01'"
            " AND CONVERT_TZ('2026-07-01', '+00:00', @@global.time_zone) = '2026-07-01'"
        )
    ).scalar()
    if not offsets:
        raise ChangeError(f"{QUEUE} has DATETIME columns, and the server's zone isn't UTC: set database_timezone")
    return ZoneInfo("UTC")


def _with_json_default(column: Column) -> Column:
    """MariaDB checks JSON while it adds the column, before anything is filled in."""
    if column.needs_value and "json_valid" in column.definition:
        return Column(column.definition.replace("NOT NULL", "NOT NULL DEFAULT 'null'", 1), column.collation)
    return column
