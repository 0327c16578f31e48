"""What the migration tests share: settings, source tables, an older queue, and a cut after any statement."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.constants import CLIENT
from sqlalchemy import Engine, event, make_url, text

from config.settings import Settings

LOGS = """
CREATE TABLE logs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    tid VARCHAR(32),
    changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
)
"""

OLDER_QUEUE = """
CREATE TABLE bq_sync_queue (
    queue_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    table_name ENUM('logs', 'names') NOT NULL,
    record_id VARCHAR(40) NOT NULL,
    operation ENUM('INSERT', 'UPDATE', 'DELETE') DEFAULT 'INSERT',
    payload JSON NOT NULL,
    status ENUM('pending', 'processing', 'success', 'failed') DEFAULT 'pending',
    retry_count INT DEFAULT 0,
    last_error TEXT,
    created_at DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3),
    processed_at DATETIME(3) NULL ON UPDATE CURRENT_TIMESTAMP(3),
    priority INT NOT NULL,
    KEY idx_status (status, created_at)
) COLLATE utf8mb4_unicode_ci
"""

OLDER_ITEMS = """
INSERT INTO bq_sync_queue
    (table_name, record_id, operation, payload, status, last_error, created_at, processed_at, priority)
VALUES
    ('logs', '1', 'INSERT', '{"tid":"T1"}', 'success', NULL, '2026-01-05 09:00:00.5', '2026-01-05 10:00:00', 1),
    ('logs', '2', 'INSERT', '{}', 'processing', NULL, '2026-01-05 09:00:01', NULL, 1),
    ('logs', '3', 'INSERT', '{}', 'failed', 'went wrong', '2026-01-05 09:00:02', NULL, 1),
    ('logs', '4', 'INSERT', '{}', 'pending', NULL, '2026-01-05 09:00:03', NULL, 1),
    ('logs', '5', 'UPDATE', '{}', 'success', NULL, '2026-01-05 09:00:04', NULL, 1),
    ('names', 'B', 'INSERT', '{}', 'success', NULL, '2026-01-05 09:00:05', NULL, 1)
"""

# With the flag of their own: one row waits, one is history.
NAMES = "CREATE TABLE names (name VARCHAR(30) PRIMARY KEY, synced_to_bq BOOLEAN NULL DEFAULT 0)"


def settings(*, zone: str | None = "Asia/Tokyo", **tables: dict[str, Any]) -> Settings:
    """Settings with these tables: {name: its settings but those that every table needs}."""
    return Settings.model_validate(
        {
            "project_id": "p",
            "dataset_id": "d",
            "database_timezone": zone,
            "tables": {
                name: {
                    "destination": "logs",
                    "primary_key": table.get("primary_key", "id"),
                    "columns": {"key": table.get("primary_key", "id")},
                    **table,
                }
                for name, table in tables.items()
            },
        }
    )


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def run_script(url: str, script: str) -> None:
    """Run a script by hand, so to say: by no code of ours."""
    where = make_url(url)
    connection = pymysql.connect(
        host=where.host,
        port=where.port or 3306,
        user=where.username,
        password=where.password or "",
        database=where.database,
        client_flag=CLIENT.MULTI_STATEMENTS,
        autocommit=True,
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(script)
        while cursor.nextset():
            pass


def read(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def insert_logs(engine: Engine, count: int) -> None:
    run(engine, f"INSERT INTO logs (tid, changed_at) SELECT 'T1', '2026-01-01' FROM seq_1_to_{count}")


class Cut(Exception):
    """Stands for a kill: raised in the middle of a migration."""


@contextmanager
def cut_after(changes: int) -> Iterator[None]:
    """End whoever makes the given number of changes right after the last of them."""
    made = 0

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal made
        if not is_change(statement):
            return
        made += 1
        if made == changes:
            raise Cut(statement)

    with _listening("after_cursor_execute", count):
        yield


@contextmanager
def before(fragment: str, act: Callable[[], None]) -> Iterator[None]:
    """Act just before a statement that holds this text is run."""

    def watch(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if fragment in statement:
            act()

    with _listening("before_cursor_execute", watch):
        yield


def is_change(statement: str) -> bool:
    return statement.split(maxsplit=1)[0] not in {"SELECT", "SHOW", "SET", "DESCRIBE", "UNLOCK"}


@contextmanager
def _listening(name: str, listener: Callable[..., None]) -> Iterator[None]:
    event.listen(Engine, name, listener)
    try:
        yield
    finally:
        event.remove(Engine, name, listener)


def picture(engine: Engine) -> dict[str, object]:
    """Everything in the database that should be the same whichever way it was reached."""
    tables = [name for (name,) in read(engine, "SHOW TABLES")]
    shapes: dict[str, object] = {}
    for name in sorted(tables):
        statement = read(engine, f"SHOW CREATE TABLE `{name}`")[0][1]
        # How far the counter got is no part of the shape.
        shapes[name] = [line for line in statement.splitlines() if "AUTO_INCREMENT=" not in line]
    for name in ("bq_sync_queue", "logs", "names"):
        if name in tables:
            shapes[f"rows of {name}"] = read(engine, f"SELECT * FROM `{name}` ORDER BY 1")
    if "bq_sync_batch" in tables:
        batches = "SELECT id, table_name, state, stream_id, row_count, ended_at IS NULL FROM bq_sync_batch ORDER BY 1"
        shapes["batches"] = read(engine, batches)
        shapes["notes"] = read(engine, "SELECT table_name, added FROM bq_sync_table ORDER BY 1")
    return shapes
