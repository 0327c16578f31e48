"""A database that an older version of bq-sync has worked in: what becomes of it, and what this version does before."""

import re
from collections.abc import Iterator

import pytest
from alembic import command
from structlog.testing import capture_logs

from api.app import create_app
from database.changes import ServerChanges
from database.changes import connect as connect_for_changes
from database.status import read_status
from database.table_status import UNPREPARED
from operations.migrate import _alembic, migrate_down, migrate_up, migration_sql, plan
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.migrating import read, run_script
from tests.integration.pipeline import NOTES, NOTES_SCHEMA, NOTES_TABLE, Site, make_site, settings_of
from tests.unit.api.client import call

pytestmark = pytest.mark.integration

FLAG = "ALTER TABLE notes ADD COLUMN synced_to_bq BOOLEAN NULL DEFAULT 0, ADD KEY by_flag (synced_to_bq)"
NOTES_ROWS = "INSERT INTO notes (label, synced_to_bq) VALUES ('sent', 1), ('failed', 0), ('waits', 0), ('by item', 0)"

# What a worker of the first version leaves behind: a stream and its batch, items of every kind, notes, an old command.
HISTORY = (
    "INSERT INTO bq_sync_stream (id, table_name, name, final, row_count) VALUES (1, 'notes', 'a/b/c', 1, 1)",
    """
    INSERT INTO bq_sync_batch (id, table_name, state, stream_id, stream_offset, row_count, sent_rows, ended_at)
    VALUES (1, 'notes', 'completed', 1, 0, 1, '', '2026-01-05 10:00:00')
    """,
    """
    INSERT INTO bq_sync_queue (table_name, record_id, sync_status, last_error, batch_id)
    VALUES ('notes', '1', 'completed', NULL, 1), ('notes', '2', 'failed', 'label: too long', NULL),
           ('notes', '4', 'pending', NULL, NULL)
    """,
    "INSERT INTO bq_sync_lease (name, token) VALUES ('notes', 'the older version''s')",
    "INSERT INTO bq_sync_table (table_name, state, synced_rows, last_sync_at) VALUES ('notes', 'stopped', 41, NOW(6))",
    "INSERT INTO bq_sync_command (table_name, kind, state, result) VALUES ('notes', 'flush', 'done', '{}')",
    "INSERT INTO bq_sync_site (only, site_id) VALUES (1, 'feedc0ffee')",
)
KEPT = ("bq_sync_queue", "bq_sync_stream", "bq_sync_site", "notes")


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    """A site as the first version's worker left it when it was stopped: its tables are of revision 0001."""
    settings = settings_of({"notes": NOTES_TABLE})
    with make_site(mariadb, emulator, settings, NOTES, FLAG, NOTES_ROWS) as site:
        site.create("notes", NOTES_SCHEMA, "written_at")
        with connect_for_changes(site.engine.url).connect() as connection:
            command.upgrade(_alembic(ServerChanges(connection, lambda _: None), settings), "0001")
        site.run(*HISTORY)
        yield site


def rows(site: Site) -> dict[str, list[tuple[object, ...]]]:
    """Of all that has to survive an upgrade, in the columns that the first version has."""
    kept = {name: read(site.engine, f"SELECT * FROM {name} ORDER BY 1") for name in KEPT}
    batches = "SELECT id, state, stream_id, stream_offset, row_count, ended_at FROM bq_sync_batch"
    kept["batches"] = read(site.engine, batches)
    kept["notes of it"] = read(site.engine, "SELECT table_name, state, synced_rows, last_sync_at FROM bq_sync_table")
    kept["commands"] = read(site.engine, "SELECT id, table_name, kind, state, result FROM bq_sync_command")
    return kept


def shapes(site: Site) -> dict[str, list[str]]:
    """How our tables are made, but for how far their counters got."""
    ours = [name for (name,) in read(site.engine, "SHOW TABLES LIKE 'bq\\_sync\\_%'")]
    made = {name: read(site.engine, f"SHOW CREATE TABLE {name}")[0][1] for name in ours}
    return {name: re.sub(r" AUTO_INCREMENT=\d+", "", text).splitlines() for name, text in made.items()}


def test_nothing_is_lost_and_the_worker_goes_on(site: Site) -> None:
    before = rows(site)
    assert plan(site.engine, site.settings).revision == "0001"
    assert migrate_up(site.engine, site.settings, None, lambda _: None) == ()
    assert plan(site.engine, site.settings).is_empty
    assert rows(site) == before

    with site.working():
        assert site.flush() == 2
    assert sorted(row["label"] for row in site.sent("notes")) == ["by item", "waits"]
    notes = read_status(site.engine, site.settings).tables["notes"]
    assert (notes.synced, notes.failed.rows, notes.pending.rows, notes.paused) == (43, 1, 0, False)
    assert site.read("SELECT record_id, last_error FROM bq_sync_queue WHERE sync_status = 'failed'") == [
        ("2", "label: too long")
    ]


def test_as_sql_for_a_dba(site: Site) -> None:
    script = migration_sql(site.engine, site.settings, None)
    assert plan(site.engine, site.settings).revision == "0001"
    before = rows(site)
    run_script(site.url, script)
    assert plan(site.engine, site.settings).is_empty
    assert rows(site) == before

    by_hand = shapes(site)
    migrate_down(site.engine, site.settings, lambda _: None)
    migrate_up(site.engine, site.settings, None, lambda _: None)
    assert shapes(site) == by_hand


def test_all_the_way_down(site: Site) -> None:
    migrate_up(site.engine, site.settings, None, lambda _: None)
    migrate_down(site.engine, site.settings, lambda _: None)
    assert read(site.engine, "SHOW TABLES") == [("notes",)]
    assert read(site.engine, "SELECT synced_to_bq FROM notes ORDER BY id") == [(1,), (0,), (0,), (0,)]


def test_until_then_a_worker_touches_nothing_and_says_what_to_do(site: Site) -> None:
    before = rows(site)
    with capture_logs() as logs, site.working():
        site.wait_until(
            lambda: any("run `bq-sync migrate`" in str(line.get("reason")) for line in logs), "it says what to do"
        )
    assert rows(site) == before
    assert site.sent("notes") == []


def test_until_then_the_api_says_what_to_do_and_changes_nothing(site: Site) -> None:
    before = rows(site)
    app = create_app(site.settings, site.engine)
    health = call(app, "GET", "/health")
    assert (health.status_code, health.json()["status"]) == (503, "unhealthy")
    assert "run `bq-sync migrate`" in health.json()["reasons"][0]
    assert call(app, "GET", "/status").json()["tableStats"]["notes"]["state"] == UNPREPARED
    for path in ("/flush", "/pause", "/resume", "/retention"):
        refused = call(app, "POST", path)
        assert refused.status_code == 503, refused.text
        assert "run `bq-sync migrate`" in refused.json()["detail"]
    assert rows(site) == before
