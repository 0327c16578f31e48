"""What control and sight need: pausing, commands that belong together, incidents, and the ledger by the minute."""

from collections.abc import Mapping

from alembic import context
from sqlalchemy import inspect

from database.changes import INSTANT, ONLINE, Changes

revision = "0002"
down_revision = "0001"

INNODB = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

COLUMNS: Mapping[str, Mapping[str, str]] = {
    "bq_sync_table": {"paused": "BOOL NOT NULL DEFAULT 0"},
    "bq_sync_command": {"request": "VARCHAR(32) NOT NULL DEFAULT ''", "arguments": "LONGTEXT NULL"},
}

INDEXES: Mapping[str, Mapping[str, str]] = {
    "bq_sync_batch": {"bq_sync_batch_ended": "(table_name, state, ended_at, row_count)"},
    "bq_sync_command": {"bq_sync_command_request": "(request)"},
}

INCIDENT = """
        name VARCHAR(190) NOT NULL,
        description TEXT NOT NULL,
        opened_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        told_at TIMESTAMP(6) NULL,
        cleared_at TIMESTAMP(6) NULL,
        PRIMARY KEY (name)"""


def upgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    changes.execute(f"CREATE TABLE IF NOT EXISTS bq_sync_incident ({INCIDENT}\n) {INNODB}")
    for table, columns in COLUMNS.items():
        there = _columns(changes, table)
        if adding := [f"ADD COLUMN {name} {definition}" for name, definition in columns.items() if name not in there]:
            changes.alter(table, ", ".join(adding), INSTANT, ONLINE)
    for table, indexes in INDEXES.items():
        there = _indexes(changes, table)
        if adding := [f"ADD KEY {name} {columns}" for name, columns in indexes.items() if name not in there]:
            changes.alter(table, ", ".join(adding), ONLINE)


def downgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    for table, indexes in INDEXES.items():
        if dropping := [f"DROP KEY {name}" for name in indexes.keys() & _indexes(changes, table)]:
            changes.alter(table, ", ".join(dropping), ONLINE)
    for table, columns in COLUMNS.items():
        if dropping := [f"DROP COLUMN {name}" for name in columns.keys() & _columns(changes, table)]:
            changes.alter(table, ", ".join(dropping), INSTANT, ONLINE)
    changes.execute("DROP TABLE IF EXISTS bq_sync_incident")


def _columns(changes: Changes, table: str) -> set[str]:
    """Empty where the table isn't there yet: so it is in a script from nothing."""
    tables = inspect(changes.connection)
    return {each["name"] for each in tables.get_columns(table)} if tables.has_table(table) else set()


def _indexes(changes: Changes, table: str) -> set[str]:
    tables = inspect(changes.connection)
    return {str(each["name"]) for each in tables.get_indexes(table)} if tables.has_table(table) else set()
