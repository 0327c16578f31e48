"""When rows and items are committed, and how old they are: late commits, settle_seconds, the producer's transaction."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from bq_sync_enqueuer import BqSyncEnqueuer
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration


def labels(site: Site) -> list[str]:
    return sorted(row["label"] for row in site.sent("notes"))


def insert(connection: Connection | Session, label: str, written_at: datetime | None = None) -> int:
    """Insert a row, without committing it; its id."""
    written_at = written_at or datetime(2026, 1, 5, 9, tzinfo=UTC)
    statement = text("INSERT INTO notes (label, written_at) VALUES (:label, :written_at)")
    values = {"label": label, "written_at": written_at.replace(tzinfo=None)}
    connection.execute(statement, values)
    return int(connection.execute(text("SELECT LAST_INSERT_ID()")).scalar_one())


def test_a_row_and_an_item_with_low_ids_that_are_committed_late_are_not_missed(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with notes_site(mariadb, emulator) as site, site.working():
        with site.engine.connect() as connection:
            late_row = insert(connection, "late row")
            late_item = BqSyncEnqueuer(connection).enqueue("notes", insert(connection, "late item"))
            with site.engine.begin() as another:
                early_row = insert(another, "early row")
                early_item = BqSyncEnqueuer(another).enqueue("notes", insert(another, "early item"))
            site.wait_until(lambda: len(labels(site)) == 2, "the early ones are sent")
            connection.commit()
        site.wait_until_drained()

        assert late_row < early_row
        assert late_item < early_item
        assert labels(site) == ["early item", "early row", "late item", "late row"]
        assert site.item(late_item) == ("completed", None, True)


def test_rows_are_left_alone_until_they_have_settled(mariadb: MariaDB, emulator: Emulator) -> None:
    settling = {"settle_seconds": 3600}
    # The age is in the database's zone: in a wrong one, each of these would be hours older or younger.
    local = timedelta(hours=9)
    with notes_site(mariadb, emulator, settling, database_timezone="Asia/Tokyo") as site, site.working():
        now = datetime.now(UTC) + local
        with site.engine.begin() as connection:
            insert(connection, "old row", now - timedelta(hours=2))
            young_row = insert(connection, "young row", now - timedelta(minutes=10))
            insert(connection, "row of the future", now + timedelta(hours=1))
            enqueuer = BqSyncEnqueuer(connection)
            old_item = enqueuer.enqueue("notes", insert(connection, "old item", now - timedelta(hours=2)))
            young_key = insert(connection, "young item", now - timedelta(minutes=10))
            young_item = enqueuer.enqueue("notes", young_key)
            young_payload = insert(connection, "young row of a payload", now)
            enqueuer.enqueue("notes", young_payload, payload={"label": "payload"})
        site.flush()

        assert labels(site) == ["old item", "old row", "payload"]
        assert site.item(old_item) == ("completed", None, True)
        assert site.item(young_item) == ("pending", None, False)
        assert site.read("SELECT synced_to_bq FROM notes WHERE id = :id", id=young_row) == [(0,)]
        assert site.read("SELECT synced_to_bq FROM notes WHERE id = :id", id=young_payload) == [(1,)]

        changes = "label = CONCAT(label, ', completed'), written_at = written_at - INTERVAL 2 HOUR"
        site.run(f"UPDATE notes SET {changes} WHERE id IN ({young_row}, {young_key})")
        site.flush()

        assert labels(site) == ["old item", "old row", "payload", "young item, completed", "young row, completed"]
        assert site.item(young_item) == ("completed", None, True)


@pytest.mark.parametrize("joins", [Connection, Session])
def test_row_and_item_are_committed_and_sent_together_or_not_at_all(
    mariadb: MariaDB, emulator: Emulator, joins: type[Connection | Session]
) -> None:
    with notes_site(mariadb, emulator) as site, site.working():
        with Session(site.engine) if joins is Session else site.engine.connect() as producer:
            BqSyncEnqueuer(producer).enqueue("notes", insert(producer, "rolled back"))
            BqSyncEnqueuer(producer).enqueue("notes", 999, payload={"label": "rolled back"})
            site.flush()
            producer.rollback()

            item = BqSyncEnqueuer(producer).enqueue("notes", insert(producer, "committed"))
            payload = BqSyncEnqueuer(producer).enqueue("notes", 1000, payload={"label": "committed payload"})
            site.flush()
            assert labels(site) == []
            producer.commit()
        site.flush()

        assert labels(site) == ["committed", "committed payload"]
        assert site.item(item) == site.item(payload) == ("completed", None, True)
        assert site.read("SELECT COUNT(*) FROM bq_sync_queue") == [(2,)]


def test_a_table_without_flag_is_fed_by_the_queue_alone(mariadb: MariaDB, emulator: Emulator) -> None:
    with notes_site(mariadb, emulator, {"synced_flag": None}) as site, site.working():
        with site.engine.begin() as connection:
            insert(connection, "not enqueued")
            key = insert(connection, "enqueued")
        sent = site.enqueue("notes", key)
        twice = site.enqueue("notes", key)
        payload = site.enqueue("notes", 500, payload=json.dumps({"label": "payload"}))
        waits = site.enqueue("notes", 501)
        gone = site.enqueue("notes", 502, created_at="2026-01-05 09:00:00")
        site.flush()
        site.flush()  # the second item of the key waited for the first

        assert labels(site) == ["enqueued", "payload"]
        assert site.item(sent) == site.item(payload) == ("completed", None, True)
        assert site.item(twice) == ("completed", None, False)
        assert site.item(waits) == ("pending", None, False)
        assert site.item(gone) == ("failed", "row not found: the table has no row with this record id", False)
        assert "synced_to_bq" not in [name for name, *_ in site.read("SHOW COLUMNS FROM notes")]
