"""One table's trouble stays its own, is said in words, and is over when it was mended and somebody flushes."""

from collections.abc import Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from database.commands import CommandState
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import (
    NOTES,
    NOTES_SCHEMA,
    NOTES_TABLE,
    Site,
    make_site,
    migrate,
    settings_of,
)

pytestmark = pytest.mark.integration

OTHERS = NOTES.replace("TABLE notes", "TABLE others")
OTHERS_TABLE: Mapping[str, Any] = {**NOTES_TABLE, "destination": "others"}


def reason(site: Site, table: str) -> str:
    return str(site.read("SELECT reason FROM bq_sync_table WHERE table_name = :table", table=table)[0][0])


def insert(site: Site, table: str, rows: int) -> None:
    site.run(f"INSERT INTO {table} (label) SELECT 'x' FROM seq_1_to_{rows}")


def unmarked(site: Site, table: str) -> int:
    return int(site.read(f"SELECT COUNT(*) FROM {table} WHERE NOT synced_to_bq")[0][0])


def test_a_table_waits_for_its_bigquery_table_while_another_runs(mariadb: MariaDB, emulator: Emulator) -> None:
    settings = settings_of({"notes": NOTES_TABLE, "others": OTHERS_TABLE})
    with make_site(mariadb, emulator, settings, NOTES, OTHERS) as site:
        site.create("notes", NOTES_SCHEMA, "written_at")
        migrate(site)
        insert(site, "notes", 3)
        insert(site, "others", 4)
        with site.working():
            site.wait_until(lambda: site.state("others") == "blocked", "the table without destination is blocked")
            site.wait_until(lambda: unmarked(site, "notes") == 0, "the other table's rows are sent")
            assert "others" in reason(site, "others")
            assert unmarked(site, "others") == 4
            assert site.state("notes") == "running"

            # Whether this attempt comes too early or not, the command waits with its rows.
            early = site.ask_to_flush("others")
            site.wait_until(lambda: site.outcomes(early)[0].state is CommandState.TAKEN, "its owner has taken it")
            site.create("others", NOTES_SCHEMA, "written_at")
            site.flush("others")

            assert site.flushed(early) == 4
            assert site.state("others") == "running"
            assert unmarked(site, "others") == 0
        assert len(site.sent("others")) == 4
        assert len(site.sent("notes")) == 3


def test_all_mistakes_of_a_mapping_are_said_at_once(mariadb: MariaDB, emulator: Emulator) -> None:
    wrong = {
        **OTHERS_TABLE,
        "age_column": "writen_at",
        "synced_at": "synced",
        "columns": {
            "note_id": {"template": "note_{id}"},
            "label": "lable",
            "written_at": "detail",
            "details": "detail",
            "detail": {"object": {"when": "written"}},
        },
    }
    settings = settings_of({"notes": NOTES_TABLE, "others": wrong})
    with make_site(mariadb, emulator, settings, NOTES, OTHERS) as site:
        site.create("notes", NOTES_SCHEMA)
        site.create("others", NOTES_SCHEMA)
        migrate(site)
        insert(site, "notes", 2)
        with site.working():
            site.wait_until(lambda: site.state("others") == "blocked", "the mapping is refused")
            site.wait_until(lambda: unmarked(site, "notes") == 0, "the other table's rows are sent")
            said = reason(site, "others")

        for mistake in (
            "synced_at names synced, which the source table doesn't have",
            "age_column names writen_at, which the source table doesn't have: did you mean written_at?",
            "column details: BigQuery's table others has no such column: did you mean detail?",
            "column label: the source table has no column lable: did you mean label?",
            "column detail: the source table has no column written:",
        ):
            assert mistake in said


@pytest.mark.parametrize(
    ("change", "mend", "said"),
    [
        pytest.param(
            "ALTER TABLE notes DROP COLUMN synced_to_bq",
            "ALTER TABLE notes ADD COLUMN synced_to_bq BOOLEAN DEFAULT 0",
            "synced_flag names synced_to_bq, which the source table doesn't have: run `bq-sync migrate`",
            id="no flag",
        ),
        pytest.param(
            "ALTER TABLE notes ENGINE=MyISAM",
            "ALTER TABLE notes ENGINE=InnoDB",
            "notes: its engine is MyISAM, which has no transactions: convert it to InnoDB",
            id="not InnoDB",
        ),
        pytest.param(
            "RENAME TABLE notes TO notes_before",
            "RENAME TABLE notes_before TO notes",
            "notes: the database has no such table",
            id="no table",
        ),
    ],
)
def test_a_source_table_that_can_not_be_carried_is_carried_once_it_was_mended(
    mariadb: MariaDB, emulator: Emulator, change: str, mend: str, said: str
) -> None:
    with make_site(mariadb, emulator, settings_of({"notes": NOTES_TABLE}), NOTES) as site:
        site.create("notes", NOTES_SCHEMA)
        migrate(site)
        insert(site, "notes", 2)
        site.run(change)
        with site.working():
            site.wait_until(lambda: site.state("notes") == "blocked", "the table is refused")
            assert said in reason(site, "notes")
            site.run(mend)
            assert site.flush() == 2
        assert len(site.sent("notes")) == 2


def test_a_database_of_an_older_version_is_carried_once_it_was_migrated(mariadb: MariaDB, emulator: Emulator) -> None:
    with make_site(mariadb, emulator, settings_of({"notes": NOTES_TABLE}), NOTES) as site:
        site.create("notes", NOTES_SCHEMA)
        migrate(site)
        insert(site, "notes", 2)
        site.run("ALTER TABLE bq_sync_table DROP COLUMN paused")
        with capture_logs() as logs, site.working():
            said = "the database has no bq_sync_table.paused: run `bq-sync migrate`"
            site.wait_until(lambda: said in {line.get("reason") for line in logs}, "it says what to do")
            site.run("ALTER TABLE bq_sync_table ADD COLUMN paused BOOLEAN NOT NULL DEFAULT 0")
            site.wait_until_drained()
        assert len(site.sent("notes")) == 2
