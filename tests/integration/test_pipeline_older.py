"""What an older program left behind is carried to its end: items in doubt, and a whole queue of another shape."""

import json

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import (
    NOTES,
    NOTES_SCHEMA,
    NOTES_TABLE,
    RETRY,
    Site,
    make_site,
    migrate,
    notes_site,
    settings_of,
)

pytestmark = pytest.mark.integration

SENT = ("completed", None, True)
MANY = 600  # more than recovery takes at once

# As the older program made it; its times are the database's own.
OLDER_QUEUE = """
CREATE TABLE bq_sync_queue (
    queue_id BIGINT AUTO_INCREMENT PRIMARY KEY,
    table_name VARCHAR(64) NOT NULL,
    record_id VARCHAR(64) NOT NULL,
    operation ENUM('INSERT', 'UPDATE', 'DELETE') DEFAULT 'INSERT',
    payload JSON NULL,
    status ENUM('pending', 'processing', 'success', 'failed') DEFAULT 'pending',
    retry_count INT DEFAULT 0,
    last_error TEXT NULL,
    created_at DATETIME DEFAULT CURRENT_TIMESTAMP,
    processed_at DATETIME NULL
)
"""


def insert_into_bigquery(site: Site, *keys: int) -> None:
    """What another program has sent."""
    values = ", ".join(f"('note_{key}', 'sent before', NULL, TIMESTAMP '2026-01-05 09:00:00')" for key in keys)
    table = f"`{site.settings.project_id}.{site.settings.dataset_id}.notes`"
    columns = "note_id, label, detail, written_at"
    site.client.query_and_wait(f"INSERT INTO {table} ({columns}) VALUES {values}", retry=RETRY, job_retry=None)


def labels(site: Site) -> dict[str, list[str]]:
    """The labels of each row in BigQuery."""
    found: dict[str, list[str]] = {}
    for row in site.sent("notes"):
        found.setdefault(row["note_id"].removeprefix("note_"), []).append(row["label"])
    return found


def test_items_in_doubt_are_looked_up_and_sent_where_they_are_not_there(mariadb: MariaDB, emulator: Emulator) -> None:
    with notes_site(mariadb, emulator) as site:
        site.run(f"INSERT INTO notes (label) SELECT 'of the row' FROM seq_1_to_{MANY}")
        site.run(
            "INSERT INTO bq_sync_queue (table_name, record_id, sync_status)"
            f" SELECT 'notes', seq, 'syncing' FROM seq_1_to_{MANY}"
        )
        there = range(1, MANY, 2)
        insert_into_bigquery(site, *there)
        spelled = site.enqueue("notes", "0001", sync_status="syncing")
        row = {"label": "of the payload", "written_at": "2026-01-05T09:00:00Z"}
        # Two payloads of which one is there, and items that nothing can be looked up by.
        insert_into_bigquery(site, 10_001)
        payload_there = site.enqueue("notes", 10_001, sync_status="syncing", payload=json.dumps(row))
        payload_away = site.enqueue("notes", 10_002, sync_status="syncing", payload=json.dumps(row))
        no_row = site.enqueue("notes", 10_003, sync_status="syncing")
        no_key = site.enqueue("notes", "seven", sync_status="syncing")
        changed = site.enqueue("notes", 2, sync_status="syncing", operation="UPDATE")
        with site.working():
            site.wait_until(lambda: site.state("notes") == "running", "recovered")
            site.wait_until(lambda: site.waiting() == 1, "only the item without row waits")

        expected = {str(key): ["sent before" if key in there else "of the row"] for key in range(1, MANY + 1)}
        assert labels(site) == expected | {"10001": ["sent before"], "10002": ["of the payload"]}
        assert site.read("SELECT COUNT(*) FROM notes WHERE synced_to_bq") == [(MANY,)]
        assert site.item(spelled) == site.item(payload_there) == site.item(payload_away) == SENT
        assert site.item(no_row) == ("pending", None, False)
        assert site.item(no_key)[0] == "failed"
        assert site.item(changed)[0] == "abandoned"
        completed = "SELECT COUNT(*) FROM bq_sync_queue WHERE sync_status = 'completed' AND batch_id IS NOT NULL"
        assert site.read(completed) == [(MANY + 3,)]


def test_an_older_queue_is_carried_to_its_end(mariadb: MariaDB, emulator: Emulator) -> None:
    settings = settings_of({"notes": NOTES_TABLE}, database_timezone="Asia/Tokyo")
    with make_site(mariadb, emulator, settings, NOTES, OLDER_QUEUE) as site:
        site.create("notes", NOTES_SCHEMA, "written_at")
        site.run("INSERT INTO notes (label, written_at) SELECT 'of the row', '2026-01-05 18:00:00' FROM seq_1_to_8")
        site.run(
            "INSERT INTO bq_sync_queue (table_name, record_id, operation, payload, status, last_error) VALUES"
            " ('notes', '1', 'INSERT', NULL, 'pending', NULL),"
            " ('notes', '2', 'INSERT', NULL, 'processing', NULL),"
            " ('notes', '3', 'INSERT', NULL, 'processing', NULL),"
            " ('notes', '4', 'INSERT', NULL, 'success', NULL),"
            " ('notes', '5', 'INSERT', NULL, 'failed', 'went wrong'),"
            """ ('notes', '6', 'INSERT', '{"label": "of the payload"}', 'pending', NULL),"""
            " ('notes', '7', 'UPDATE', NULL, 'success', NULL)",
        )
        insert_into_bigquery(site, 2, 4)  # of 3 nobody knows: it was in the middle of being sent
        migrate(site, "send")
        with site.working():
            site.wait_until(lambda: site.waiting() == 1, "only the row of the failed item waits")
            site.flush()
            # The UPDATE of 7 doesn't say that its row was sent.
            of_the_row = {key: ["of the row"] for key in ("1", "3", "7", "8")}
            expected = of_the_row | {"2": ["sent before"], "4": ["sent before"], "6": ["of the payload"]}
            assert labels(site) == expected
            assert site.item(5) == ("failed", "went wrong", False)

            site.run("UPDATE bq_sync_queue SET sync_status = 'pending' WHERE id = 5")
            site.wait_until_drained()

        assert labels(site) == expected | {"5": ["of the row"]}
        assert {site.item(item) for item in range(1, 8)} == {SENT}
        assert site.read("SELECT COUNT(*) FROM notes WHERE synced_to_bq") == [(8,)]
