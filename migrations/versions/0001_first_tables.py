"""bq-sync's first tables; a queue of an older shape is carried over.

A revision is run again from its start when it was cut: MariaDB commits each DDL statement by itself. So each step looks
first whether it was done.
"""

from alembic import context
from sqlalchemy import inspect

from database.changes import Changes
from migrations.former_queue import QUEUE, carry_over, give_back
from migrations.reshape import Column, Shape

revision = "0001"
down_revision = None

INNODB = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4"

TABLES = {
    "bq_sync_lease": """
        name VARCHAR(64) NOT NULL,
        token VARCHAR(32) NOT NULL,
        PRIMARY KEY (name)""",
    "bq_sync_stream": """
        id BIGINT NOT NULL AUTO_INCREMENT,
        table_name VARCHAR(64) NOT NULL,
        name VARCHAR(255) NOT NULL,
        created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        final BOOL NOT NULL DEFAULT 0,
        row_count BIGINT NULL,
        PRIMARY KEY (id),
        UNIQUE KEY name (name),
        KEY bq_sync_stream_table (table_name, final)""",
    "bq_sync_batch": """
        id BIGINT NOT NULL AUTO_INCREMENT,
        table_name VARCHAR(64) NOT NULL,
        state ENUM('begun','appended','completed','refused','released') NOT NULL,
        stream_id BIGINT NULL,
        stream_offset BIGINT NULL,
        row_count INT NOT NULL,
        sent_rows MEDIUMBLOB NOT NULL,
        begun_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        ended_at TIMESTAMP(6) NULL,
        PRIMARY KEY (id),
        KEY bq_sync_batch_table_state (table_name, state),
        KEY bq_sync_batch_stream (stream_id)""",
    "bq_sync_command": """
        id BIGINT NOT NULL AUTO_INCREMENT,
        table_name VARCHAR(64) NOT NULL,
        kind ENUM('flush','retention') NOT NULL,
        state ENUM('waiting','taken','done','withdrawn') NOT NULL DEFAULT 'waiting',
        created_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6),
        ended_at TIMESTAMP(6) NULL,
        result LONGTEXT NULL,
        PRIMARY KEY (id),
        KEY bq_sync_command_state (state, table_name)""",
    "bq_sync_site": """
        only INT NOT NULL,
        site_id VARCHAR(64) NOT NULL,
        PRIMARY KEY (only)""",
    "bq_sync_table": """
        table_name VARCHAR(64) NOT NULL,
        state VARCHAR(16) NOT NULL DEFAULT 'stopped',
        reason TEXT NULL,
        state_since TIMESTAMP(6) NULL,
        last_sync_at TIMESTAMP(6) NULL,
        last_error_at TIMESTAMP(6) NULL,
        last_error TEXT NULL,
        synced_rows BIGINT NOT NULL DEFAULT 0,
        lookup_first BOOL NOT NULL DEFAULT 0,
        lookup_items_to BIGINT NOT NULL DEFAULT 0,
        added LONGTEXT NULL,
        PRIMARY KEY (table_name)""",
}

QUEUE_SHAPE = Shape(
    columns={
        "id": Column("BIGINT NOT NULL AUTO_INCREMENT"),
        "table_name": Column("VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL"),
        "record_id": Column("VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL", "utf8mb4_bin"),
        "operation": Column("ENUM('INSERT','UPDATE','DELETE') CHARACTER SET utf8mb4 NOT NULL DEFAULT 'INSERT'"),
        "payload": Column("LONGTEXT CHARACTER SET utf8mb4 NULL"),
        "created_at": Column("TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)"),
        "synced_at": Column("TIMESTAMP(6) NULL"),
        "sync_status": Column(
            "ENUM('pending','syncing','completed','failed','abandoned') CHARACTER SET utf8mb4"
            " NOT NULL DEFAULT 'pending'"
        ),
        "retry_count": Column("INT NOT NULL DEFAULT 0"),
        "max_retries": Column("INT NOT NULL DEFAULT 5"),
        "last_error": Column("TEXT CHARACTER SET utf8mb4 NULL"),
        "batch_id": Column("BIGINT NULL"),
        "resend": Column("TINYINT(1) NOT NULL DEFAULT 0"),
    },
    indexes={
        "bq_sync_queue_status": "KEY `bq_sync_queue_status` (`sync_status`)",
        "bq_sync_queue_table_status": "KEY `bq_sync_queue_table_status` (`table_name`,`sync_status`)",
        "bq_sync_queue_table_record": "KEY `bq_sync_queue_table_record` (`table_name`,`record_id`)",
        "bq_sync_queue_created": "KEY `bq_sync_queue_created` (`created_at`)",
        "bq_sync_queue_batch": "KEY `bq_sync_queue_batch` (`batch_id`)",
    },
)


def upgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    for name, columns in TABLES.items():
        changes.execute(f"CREATE TABLE IF NOT EXISTS {name} ({columns}\n) {INNODB}")
    if inspect(changes.connection).has_table(QUEUE):
        carry_over(changes, QUEUE_SHAPE, context.config.attributes["zone"])
    else:
        lines = [f"{name} {column.definition}" for name, column in QUEUE_SHAPE.columns.items()]
        lines += ["PRIMARY KEY (id)", *QUEUE_SHAPE.indexes.values()]
        columns = ",".join(f"\n        {line}" for line in lines)
        changes.execute(f"CREATE TABLE {QUEUE} ({columns}\n) {INNODB}")


def downgrade() -> None:
    changes: Changes = context.config.attributes["changes"]
    tables = inspect(changes.connection)
    # bq_sync_table, which knows what the queue was, goes last: until then this can be run again.
    if tables.has_table("bq_sync_table") and not give_back(changes, QUEUE_SHAPE, context.config.attributes["zone"]):
        changes.execute(f"DROP TABLE IF EXISTS {QUEUE}")
    for name in TABLES:
        changes.execute(f"DROP TABLE IF EXISTS {name}")
