"""What the daily comparison with BigQuery found, and when."""

from collections.abc import Mapping

from alembic import context
from sqlalchemy import inspect

from database.changes import INSTANT, ONLINE, Changes

revision = "0003"
down_revision = "0002"

TABLE = "bq_sync_table"
COLUMNS: Mapping[str, str] = {"checked_at": "TIMESTAMP(6) NULL", "last_check": "LONGTEXT NULL"}


def upgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    there = _columns(changes)
    if adding := [f"ADD COLUMN {name} {definition}" for name, definition in COLUMNS.items() if name not in there]:
        changes.alter(TABLE, ", ".join(adding), INSTANT, ONLINE)


def downgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    if dropping := [f"DROP COLUMN {name}" for name in COLUMNS.keys() & _columns(changes)]:
        changes.alter(TABLE, ", ".join(dropping), INSTANT, ONLINE)


def _columns(changes: Changes) -> set[str]:
    """Empty where the table isn't there yet: so it is in a script from nothing."""
    inspector = inspect(changes.connection)
    return {column["name"] for column in inspector.get_columns(TABLE)} if inspector.has_table(TABLE) else set()
