"""bq-sync's own tables, beside the source tables in the same database. Instants are TIMESTAMPs: UTC in our sessions."""

from typing import Any

from bq_sync_enqueuer.table import metadata, queue
from sqlalchemy import BigInteger, Boolean, Column, Enum, Index, Integer, String, Table, Text, text
from sqlalchemy.dialects.mysql import LONGTEXT, MEDIUMBLOB, TIMESTAMP

__all__ = ["batch", "command", "incident", "lease", "metadata", "queue", "site", "stream", "table"]

NOW = text("CURRENT_TIMESTAMP(6)")
INNODB: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_default_charset": "utf8mb4"}


def _instant(name: str, *, now: bool = False) -> Column[Any]:
    return Column(name, TIMESTAMP(fsp=6), nullable=not now, server_default=NOW if now else None)


# Who owns a table (and the site): a fencing token, new at each take-over and at each recovery.
lease = Table(
    "bq_sync_lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("token", String(32), nullable=False),
    **INNODB,
)

# The streams we made; once final, with the number of their rows (null: none that can be believed).
stream = Table(
    "bq_sync_stream",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("table_name", String(64), nullable=False),
    Column("name", String(255), nullable=False, unique=True),
    _instant("created_at", now=True),
    Column("final", Boolean, nullable=False, server_default="0"),
    Column("row_count", BigInteger, nullable=True),
    Index("bq_sync_stream_table", "table_name", "final"),
    **INNODB,
)

# The ledger: a row for each append request, written before it is sent.
batch = Table(
    "bq_sync_batch",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("table_name", String(64), nullable=False),
    Column("state", Enum("begun", "appended", "completed", "refused", "released"), nullable=False),
    Column("stream_id", BigInteger, nullable=True),  # null: nothing is known of a stream
    Column("stream_offset", BigInteger, nullable=True),
    Column("row_count", Integer, nullable=False),
    Column("sent_rows", MEDIUMBLOB, nullable=False),  # database/sent_rows.py
    _instant("begun_at", now=True),
    _instant("ended_at"),
    Index("bq_sync_batch_table_state", "table_name", "state"),
    Index("bq_sync_batch_stream", "stream_id"),
    Index("bq_sync_batch_ended", "table_name", "state", "ended_at", "row_count"),  # rows by the minute, of itself
    **INNODB,
)

# What is known of each table as a whole; written by its owner, but for `paused`, and what `verify` found.
table = Table(
    "bq_sync_table",
    metadata,
    Column("table_name", String(64), primary_key=True),
    Column("state", String(16), nullable=False, server_default="stopped"),
    Column("reason", Text, nullable=True),  # of the state, in words
    _instant("state_since"),
    Column("paused", Boolean, nullable=False, server_default="0"),  # by an operator, whoever owns it
    _instant("last_sync_at"),
    _instant("last_error_at"),
    Column("last_error", Text, nullable=True),
    Column("synced_rows", BigInteger, nullable=False, server_default="0"),  # a running total
    Column("lookup_first", Boolean, nullable=False, server_default="0"),  # the database went back in time
    Column("lookup_items_to", BigInteger, nullable=False, server_default="0"),  # items up to this id: looked up, always
    _instant("checked_at"),
    Column("last_check", LONGTEXT, nullable=True),  # JSON: what the daily comparison found then
    Column("added", LONGTEXT, nullable=True),  # JSON: the column and index that `migrate` added to the source table
    **INNODB,
)

# What an operator asked for; taken by the table's owner under its lease.
command = Table(
    "bq_sync_command",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("table_name", String(64), nullable=False),
    Column(
        "request", String(32), nullable=False, server_default=text("''")
    ),  # one for all tables that were asked together
    Column("kind", Enum("flush", "retention"), nullable=False),
    Column("arguments", LONGTEXT, nullable=True),  # JSON
    Column("state", Enum("waiting", "taken", "done", "withdrawn"), nullable=False, server_default="waiting"),
    _instant("created_at", now=True),
    _instant("ended_at"),
    Column("result", LONGTEXT, nullable=True),  # JSON
    Index("bq_sync_command_state", "state", "table_name"),
    Index("bq_sync_command_request", "request"),
    **INNODB,
)

# What the Monitor has told the alert channels, or is about to; gone once they know that it is over.
incident = Table(
    "bq_sync_incident",
    metadata,
    Column("name", String(190), primary_key=True),
    Column("description", Text, nullable=False),
    _instant("opened_at", now=True),
    _instant("told_at"),
    _instant("cleared_at"),
    **INNODB,
)

# One row: the site's id, derived once where the configuration names none.
site = Table(
    "bq_sync_site",
    metadata,
    Column("only", Integer, primary_key=True, autoincrement=False),  # always 1
    Column("site_id", String(64), nullable=False),
    **INNODB,
)
