"""The queue's table, `bq_sync_queue`, as SQLAlchemy sees it: shared by producers, by bq-sync and by its migrations."""

from sqlalchemy import BigInteger, Boolean, Column, Enum, Index, Integer, MetaData, String, Table, Text, text
from sqlalchemy.dialects.mysql import LONGTEXT, TIMESTAMP

metadata = MetaData()

OPERATIONS = ("INSERT", "UPDATE", "DELETE")
STATUSES = ("pending", "syncing", "completed", "failed", "abandoned")

queue = Table(
    "bq_sync_queue",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("table_name", String(64), nullable=False),
    Column("record_id", String(255, collation="utf8mb4_bin"), nullable=False),
    Column("operation", Enum(*OPERATIONS), nullable=False, server_default="INSERT"),
    # JSON text, kept as the producer wrote it: bq-sync judges it, row by row.
    Column("payload", LONGTEXT, nullable=True),
    Column("created_at", TIMESTAMP(fsp=6), nullable=False, server_default=text("CURRENT_TIMESTAMP(6)")),
    Column("synced_at", TIMESTAMP(fsp=6), nullable=True),
    Column("sync_status", Enum(*STATUSES), nullable=False, server_default="pending"),
    Column("retry_count", Integer, nullable=False, server_default="0"),
    Column("max_retries", Integer, nullable=False, server_default="5"),
    Column("last_error", Text, nullable=True),
    Column("batch_id", BigInteger, nullable=True),
    Column("resend", Boolean, nullable=False, server_default="0"),
    Index("bq_sync_queue_status", "sync_status"),
    Index("bq_sync_queue_table_status", "table_name", "sync_status"),
    Index("bq_sync_queue_table_record", "table_name", "record_id"),
    Index("bq_sync_queue_created", "created_at"),
    Index("bq_sync_queue_batch", "batch_id"),
    mysql_engine="InnoDB",
    mysql_default_charset="utf8mb4",
)
