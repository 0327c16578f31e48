"""A queue of an older shape is carried over in place with its items, and given back."""

from typing import Any

import pytest
from sqlalchemy import Engine

from operations.migrate import MigrationError, migrate_down, migrate_up, what_goes
from tests.integration.migrating import (
    LOGS,
    NAMES,
    OLDER_ITEMS,
    OLDER_QUEUE,
    insert_logs,
    picture,
    read,
    run,
    settings,
)

pytestmark = pytest.mark.integration

CONFIGURED = settings(logs={}, names={"primary_key": "name"})


@pytest.fixture
def older(engine: Engine) -> Engine:
    """A database that another program synced until now."""
    run(engine, LOGS, NAMES, "INSERT INTO names VALUES ('a', 0), ('b', NULL)", OLDER_QUEUE, OLDER_ITEMS)
    insert_logs(engine, 6)
    return engine


def shape_of_queue(engine: Engine) -> set[tuple[Any, ...]]:
    columns = read(
        engine,
        "SELECT column_name, column_type, is_nullable, column_default, collation_name = 'utf8mb4_bin', extra"
        " FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = 'bq_sync_queue'"
        " AND column_name NOT IN ('id', 'priority')",
    )
    return {tuple(column) for column in columns} | set(
        read(
            engine,
            "SELECT index_name, seq_in_index, column_name FROM information_schema.statistics"
            " WHERE table_schema = DATABASE() AND table_name = 'bq_sync_queue'",
        )
    )


def test_items_are_carried_over(older: Engine) -> None:
    migrate_up(older, CONFIGURED, "skip", print)

    columns = "id, table_name, record_id, operation, sync_status, last_error, max_retries, resend, batch_id IS NULL"
    assert read(older, f"SELECT {columns} FROM bq_sync_queue ORDER BY id") == [
        (1, "logs", "1", "INSERT", "completed", None, 5, 0, 0),
        (2, "logs", "2", "INSERT", "syncing", None, 5, 0, 1),
        (3, "logs", "3", "INSERT", "failed", "went wrong", 5, 0, 1),
        (4, "logs", "4", "INSERT", "pending", None, 5, 0, 1),
        (5, "logs", "5", "UPDATE", "completed", None, 5, 0, 0),
        (6, "names", "B", "INSERT", "completed", None, 5, 0, 0),
    ]
    assert read(older, "SELECT payload FROM bq_sync_queue WHERE id = 1") == [('{"tid":"T1"}',)]
    # Our sessions are in UTC, the older queue's times were in Tokyo's.
    times = "CAST(created_at AS CHAR), CAST(synced_at AS CHAR)"
    assert read(older, f"SELECT {times} FROM bq_sync_queue WHERE id = 1") == [
        ("2026-01-05 00:00:00.500000", "2026-01-05 01:00:00.000000")
    ]
    batches = (
        "SELECT b.table_name, b.state, b.stream_id, b.row_count, b.sent_rows, GROUP_CONCAT(q.id ORDER BY q.id)"
        " FROM bq_sync_batch b JOIN bq_sync_queue q ON q.batch_id = b.id GROUP BY b.id ORDER BY b.table_name"
    )
    assert read(older, batches) == [
        ("logs", "completed", None, 0, b"", "1,5"),
        ("names", "completed", None, 0, b"", "6"),
    ]


def test_what_was_sent_is_flagged_and_nothing_else_of_it_changes(older: Engine) -> None:
    migrate_up(older, CONFIGURED, "skip", print)

    # Row 5 was changed by the former program, which doesn't say that it was ever sent.
    assert read(older, "SELECT id, synced_to_bq FROM logs ORDER BY id") == [(1, 1)] + [(n, None) for n in range(2, 7)]
    assert read(older, "SELECT DISTINCT CAST(changed_at AS CHAR) FROM logs") == [("2026-01-01 00:00:00",)]
    # The key's own collation decides: 'B' is the row 'b', though it was history.
    assert read(older, "SELECT * FROM names ORDER BY name") == [("a", 0), ("b", 1)]


def test_flags_are_set_when_their_table_is_configured(older: Engine) -> None:
    migrate_up(older, settings(logs={}), "send", print)
    assert read(older, "SELECT * FROM names ORDER BY name") == [("a", 0), ("b", None)]

    migrate_up(older, CONFIGURED, None, print)
    assert read(older, "SELECT * FROM names ORDER BY name") == [("a", 0), ("b", 1)]


def test_the_carried_queue_has_the_shape_of_a_new_one(older: Engine) -> None:
    migrate_up(older, CONFIGURED, "skip", print)
    carried = shape_of_queue(older)
    run(older, "DROP TABLE bq_sync_queue, bq_sync_alembic_version")
    migrate_up(older, CONFIGURED, None, print)

    assert carried == shape_of_queue(older)
    # What producers of the older shape had to fill needn't be any longer.
    run(older, "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('logs', '1')")


def test_down_gives_the_older_shape_back_and_up_carries_it_over_again(older: Engine) -> None:
    items = read(older, "SELECT queue_id, table_name, record_id, payload, status, created_at FROM bq_sync_queue")
    shape = sorted(picture(older)["bq_sync_queue"])  # type: ignore[call-overload]  # lines
    migrate_up(older, CONFIGURED, "skip", print)
    migrated = picture(older)
    run(older, "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES ('logs', '9', 'abandoned')")

    assert "bq_sync_queue gets its former shape back, with its items" in what_goes(older)
    migrate_down(older, CONFIGURED, print)
    again = "SELECT queue_id, table_name, record_id, payload, status, created_at FROM bq_sync_queue ORDER BY queue_id"
    given_back = read(older, again)
    assert given_back[:6] == items
    assert given_back[6][1:5] == ("logs", "9", "null", "failed")
    # Its columns may stand in another order.
    assert sorted(line.rstrip(",") for line in picture(older)["bq_sync_queue"]) == [  # type: ignore[attr-defined]  # lines
        line.rstrip(",") for line in shape
    ]

    run(older, "DELETE FROM bq_sync_queue WHERE record_id = '9'")
    migrate_up(older, CONFIGURED, "skip", print)
    assert picture(older)["batches"] == migrated["batches"]
    assert picture(older)["rows of logs"] == migrated["rows of logs"]


@pytest.mark.parametrize(
    "queue",
    [
        pytest.param(
            "CREATE TABLE bq_sync_queue (queue_id INT AUTO_INCREMENT PRIMARY KEY, table_name VARCHAR(100) NOT NULL,"
            " record_id BIGINT UNSIGNED NOT NULL, status VARCHAR(20) NOT NULL DEFAULT 'pending')"
            " CHARACTER SET latin1 ENGINE=MyISAM",
            id="few columns, numbers, latin1, MyISAM",
        ),
        pytest.param(
            "CREATE TABLE bq_sync_queue (id BIGINT AUTO_INCREMENT PRIMARY KEY, table_name VARCHAR(64) NOT NULL,"
            " record_id VARCHAR(255) COLLATE utf8mb4_bin NOT NULL, payload JSON, max_retries INT DEFAULT 3,"
            " status ENUM('pending','processing','success','failed'), created_at TIMESTAMP NULL, processed_at DATETIME)"
            " COLLATE utf8mb4_bin",
            id="nearly ours",
        ),
    ],
)
def test_other_types_are_carried_over_too(engine: Engine, queue: str) -> None:
    run(engine, LOGS, queue)
    insert_logs(engine, 2)
    items = (
        "INSERT INTO bq_sync_queue (table_name, record_id, status) VALUES ('logs', 1, 'success'), ('logs', 2, 'failed')"
    )
    run(engine, items)

    migrate_up(engine, settings(logs={}), "skip", print)

    assert read(engine, "SELECT record_id, sync_status, batch_id FROM bq_sync_queue ORDER BY id") == [
        ("1", "completed", 1),
        ("2", "failed", None),
    ]
    assert read(engine, "SELECT synced_to_bq FROM logs ORDER BY id") == [(1,), (None,)]
    assert read(engine, "SHOW TABLE STATUS LIKE 'bq_sync_queue'")[0][1] == "InnoDB"
    migrate_down(engine, settings(logs={}), print)
    assert read(engine, "SELECT record_id, status FROM bq_sync_queue ORDER BY 1")[1][1] == "failed"


def test_local_times_of_a_zone_with_summer_time(engine: Engine) -> None:
    run(engine, OLDER_QUEUE)
    local = {
        "2025-03-30 01:59:59": "2025-03-30 00:59:59",
        "2025-03-30 02:30:00": "2025-03-30 01:30:00",  # skipped: moved forward
        "2025-03-30 03:00:00": "2025-03-30 01:00:00",
        "2025-10-26 02:30:00": "2025-10-26 00:30:00",  # repeated: its first offset
        "2025-10-26 03:00:00": "2025-10-26 02:00:00",
        "2026-07-01 12:00:00": "2026-07-01 10:00:00",
    }
    for time in local:
        run(
            engine,
            "INSERT INTO bq_sync_queue (table_name, record_id, payload, priority, created_at)"
            f" VALUES ('logs', 1, '{{}}', 1, '{time}')",
        )

    migrate_up(engine, settings(zone="Europe/Berlin", logs={}), None, print)

    times = read(engine, "SELECT LEFT(CAST(created_at AS CHAR), 19) FROM bq_sync_queue ORDER BY id")
    assert [time for (time,) in times] == list(local.values())


def test_a_status_that_nobody_knows_is_refused(engine: Engine) -> None:
    run(engine, "CREATE TABLE bq_sync_queue (queue_id INT AUTO_INCREMENT PRIMARY KEY, status VARCHAR(20))")
    run(engine, "INSERT INTO bq_sync_queue (status) VALUES ('pending'), ('done')")

    with pytest.raises(MigrationError, match="status is done"):
        migrate_up(engine, settings(logs={}), None, print)


def test_a_table_that_is_no_queue_is_refused(engine: Engine) -> None:
    run(engine, "CREATE TABLE bq_sync_queue (name VARCHAR(20))")

    with pytest.raises(MigrationError, match="rename it"):
        migrate_up(engine, settings(logs={}), None, print)
