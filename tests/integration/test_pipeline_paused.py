"""A paused table sends nothing, whoever owns it, until it is resumed; then everything arrives once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from database.commands import set_paused
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import NOTES, NOTES_SCHEMA, NOTES_TABLE, Site, make_site, migrate, settings_of
from tests.integration.pipeline import notes_site as make_notes_site

pytestmark = pytest.mark.integration


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    with make_notes_site(mariadb, emulator, batch_size=10, max_batch_rows=50) as site:
        yield site


def pause(site: Site, *tables: str, paused: bool = True) -> None:
    with site.engine.begin() as connection:
        set_paused(connection, tables or tuple(site.settings.tables), paused)


def pause_and_wait(site: Site) -> None:
    pause(site)
    wait_for(site, "paused")


def wait_for(site: Site, state: str) -> None:
    site.wait_until(lambda: site.state("notes") == state, f"the table is {state}")


def insert(site: Site, rows: int) -> None:
    site.run(f"INSERT INTO notes (label) SELECT 'x' FROM seq_1_to_{rows}")


@contextmanager
def producer(site: Site) -> Iterator[None]:
    """Inserts rows, and items of some of them, as fast as it can."""
    ended = threading.Event()

    def produce() -> None:
        while not ended.wait(0.005):
            site.run(
                "INSERT INTO notes (label) VALUES ('produced')",
                "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('notes', LAST_INSERT_ID())",
                "INSERT INTO notes (label) VALUES ('by its flag')",
            )

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def read_ledger(site: Site) -> list[tuple[object, ...]]:
    """All batches, and which streams are final."""
    batches = site.read("SELECT id, state FROM bq_sync_batch ORDER BY id")
    return batches + site.read("SELECT name, final FROM bq_sync_stream ORDER BY id")


def sent(site: Site) -> list[str]:
    return sorted(str(row["note_id"]) for row in site.sent("notes"))


def test_nothing_arrives_in_a_pause_and_everything_once_after_it(site: Site) -> None:
    insert(site, 500)
    with site.working():
        site.wait_until(lambda: len(site.sent("notes")) > 0, "the first rows arrive")
        with producer(site):
            pause_and_wait(site)
            arrived = sent(site)
            ledger = read_ledger(site)
            assert site.flush() == 0  # answered, though it sends nothing: its owner is there, and awake
            assert site.state("notes") == "paused"
            assert site.read("SELECT DISTINCT state FROM bq_sync_batch") == [("completed",)]
    assert site.state("notes") == "stopped"

    # Another process owns the table now.
    with site.working(), producer(site):
        wait_for(site, "paused")
        assert site.flush() == 0
        assert sent(site) == arrived
        assert read_ledger(site) == ledger  # it hasn't even recovered
        assert site.waiting() > 0

        pause(site, paused=False)
        wait_for(site, "running")
    with site.working():
        site.wait_until_drained()
    assert sent(site) == sorted(f"note_{id_}" for (id_,) in site.read("SELECT id FROM notes"))


def test_the_reason_is_said_and_is_no_error(site: Site) -> None:
    with site.working():
        pause_and_wait(site)
        ((reason, error),) = site.read("SELECT reason, last_error FROM bq_sync_table")
        assert (reason, error) == ("paused by an operator", None)
        pause(site, paused=False)
        wait_for(site, "running")
        assert site.read("SELECT reason FROM bq_sync_table") == [(None,)]


def test_only_the_tables_that_are_named_are_paused(mariadb: MariaDB, emulator: Emulator) -> None:
    others = NOTES.replace("TABLE notes", "TABLE others")
    settings = settings_of({"notes": NOTES_TABLE, "others": {**NOTES_TABLE, "destination": "others"}})
    with make_site(mariadb, emulator, settings, NOTES, others) as site:
        for name in ("notes", "others"):
            site.create(name, NOTES_SCHEMA, "written_at")
        migrate(site)
        pause(site, "notes")
        with site.working():
            site.run("INSERT INTO notes (label) VALUES ('waits')", "INSERT INTO others (label) VALUES ('goes')")
            wait_for(site, "paused")
            assert site.flush("notes") == 0
            site.wait_until(lambda: len(site.sent("others")) == 1, "the other table's row arrives")
            assert site.sent("notes") == []


def test_a_table_that_is_blocked_can_be_paused_mended_and_resumed(mariadb: MariaDB, emulator: Emulator) -> None:
    with make_site(mariadb, emulator, settings_of({"notes": NOTES_TABLE}), NOTES) as site:
        migrate(site)
        insert(site, 3)
        with site.working():
            wait_for(site, "blocked")
            pause_and_wait(site)
            site.create("notes", NOTES_SCHEMA, "written_at")
            pause(site, paused=False)
            site.wait_until_drained()
        assert len(site.sent("notes")) == 3


def test_what_blocked_a_table_is_still_said_when_its_worker_has_stopped(mariadb: MariaDB, emulator: Emulator) -> None:
    with make_site(mariadb, emulator, settings_of({"notes": NOTES_TABLE}), NOTES) as site:
        migrate(site)
        with site.working():
            wait_for(site, "blocked")
        ((state, reason),) = site.read("SELECT state, reason FROM bq_sync_table")
        assert state == "stopped"
        assert reason.startswith("was blocked: ")
        assert "notes" in reason
