"""Retention with real servers: exactly the rows go that are old, synced and in BigQuery; whatever else is, stays."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from actors import retention_actor
from database.status import read_status
from delivery import steps
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site
from tests.integration.retaining import (
    EVENTS,
    OLD,
    PICTURES,
    YOUNG,
    answered,
    ask,
    by_another_user,
    carried,
    events_site,
    insert,
    left,
    remove_from_bigquery,
    run,
)

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else uses these databases."""
    monkeypatch.setattr(steps, "REST", 0.1)
    monkeypatch.setattr(steps, "LEAST_PAUSE_SECONDS", 0.0)


def test_exactly_the_confirmed_rows_go(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator, EVENTS, PICTURES.format("")) as site:
        with site.working():
            carried(site, 2500)
            carried(site, 20, YOUNG)
            young = left(site)[2500:]
            starts = range(10, 710, 100)
            removed, failed, syncing, history, unsynced, ageless, pictured = (
                range(start, start + 10) for start in starts
            )
            remove_from_bigquery(site, *removed)
            for status, keys in {
                "failed": [*failed, *unsynced],
                "syncing": syncing,
                "abandoned": range(710, 720),
            }.items():
                for key in keys:
                    site.enqueue("events", key, sync_status=status)
            site.run(
                "UPDATE events SET synced_to_bq = NULL WHERE id BETWEEN 310 AND 319",
                "UPDATE events SET synced_to_bq = 0 WHERE id BETWEEN 410 AND 419 OR id BETWEEN 710 AND 719",
                "UPDATE events SET happened_at = NULL WHERE id BETWEEN 510 AND 519",
                "INSERT INTO pictures (event_id) SELECT id FROM events WHERE id BETWEEN 610 AND 619",
            )

            tried = run(site, dryRun=True)
            assert len(left(site)) == 2520
            assert (tried["dryRun"], tried["finished"], tried["deleted"]) == (True, True, 0)
            assert tried["wouldDelete"] == 2500 - 60  # of a foreign key only the DELETE itself knows
            assert "picture_of" in " ".join(tried["notes"])

            report = run(site)
        assert left(site) == [
            *removed, *failed, *syncing, *history, *unsynced, *ageless, *pictured, *young
        ]  # fmt: skip
        assert (report["deleted"], report["abandoned"], report["finished"]) == (2500 - 70, 10, True)
        assert report["refused"] == {
            "notInBigQuery": 10,
            "failed": 10,
            "waits": 10,
            "history": 10,
            "notSynced": 10,
            "noAge": 10,
            "foreignKey": 10,
        }
        assert report["examples"]["notInBigQuery"] == [*removed]
        assert "picture_of" in " ".join(report["notes"])


def test_e7_confirmed_rows_go_locally_and_bigquery_keeps_its_own(mariadb: MariaDB, emulator: Emulator) -> None:
    """Retention run: confirmed rows go here, none there; BigQuery's own expiration is its owner's, and is looked at."""
    with events_site(mariadb, emulator) as site:
        with site.working():
            carried(site, 300)
            carried(site, 30, YOUNG)
            before = {row["event_id"] for row in site.sent("events")}
            report = run(site)
            # The owner of the dataset lets partitions expire after 30 days: what BigQuery has dropped it had.
            carried(site, 100)
            expire_partitions(site, 30)
            dropped = left(site)[-100:]
            remove_from_bigquery(site, *dropped)
            second = run(site)
        assert (report["deleted"], second["deleted"], len(left(site))) == (300, 100, 30)
        assert second["refused"] == {}
        assert {row["event_id"] for row in site.sent("events")} == before


def expire_partitions(site: Site, days: int) -> None:
    """As the dataset's owner does."""
    name = f"{site.settings.project_id}.{site.settings.dataset_id}.events"
    table = site.client.get_table(name)
    assert table.time_partitioning is not None
    table.time_partitioning.expiration_ms = days * 86_400_000
    site.client.update_table(table, ["time_partitioning"])
    assert site.client.get_table(name).time_partitioning.expiration_ms


def test_rows_that_changed_since_they_were_sent_are_known_by_what_was_sent(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with events_site(mariadb, emulator) as site, site.working():
        carried(site, 50)
        # Their partitioning column is another now, and two of them aren't in BigQuery under any.
        site.run("UPDATE events SET happened_at = happened_at - INTERVAL 5 DAY WHERE id <= 20")
        remove_from_bigquery(site, 3, 4)
        report = run(site)
        assert (left(site), report["deleted"], report["refused"]) == ([3, 4], 48, {"notInBigQuery": 2})


def test_a_key_that_was_used_before_is_no_proof(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator, verify_before_delete="ledger") as site, site.working():
        carried(site, 10)
        # Long ago; the rows with these keys came later, and were never sent.
        site.run("UPDATE bq_sync_batch SET ended_at = ended_at - INTERVAL 200 DAY")
        report = run(site)
        assert (len(left(site)), report["deleted"], report["refused"]) == (10, 0, {"notInLedger": 10})


def test_a_row_that_had_the_key_before_was_given_up_and_not_this_one(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator) as site:
        insert(site, 2)
        site.enqueue("events", 2, sync_status="abandoned")
        # As after a TRUNCATE: ids begin anew.
        site.enqueue("events", 1, sync_status="abandoned", created_at=datetime.now(UTC) - timedelta(days=100))
        with site.working():
            report = run(site)
        assert (left(site), report["abandoned"], report["refused"]) == ([1], 1, {"notSynced": 1})
        assert site.sent("events") == []


def test_where_queries_are_not_allowed_the_ledger_says_what_was_sent(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator, verify_before_delete="ledger") as site, site.working():
        carried(site, 300)
        site.enqueue("events", 301, sync_status="completed", batch_id=1)
        for key in (301, 302):
            site.run(f"INSERT INTO events (id, happened_at, synced_to_bq) VALUES ({key}, {OLD}, 1)")
        remove_from_bigquery(site, *range(1, 100))  # which nobody asks
        report = run(site)
        assert (left(site), report["deleted"], report["refused"]) == ([302], 301, {"notInLedger": 1})


def test_it_runs_by_itself_and_the_status_tells(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with events_site(mariadb, emulator) as site:
        with site.working():
            carried(site, 20)
        remove_from_bigquery(site, 7)
        monkeypatch.setattr(retention_actor, "FIRST_SECONDS", (0.0, 0.0))
        with site.working():
            site.wait_until(lambda: left(site) == [7], "old rows are gone")
            reported = "SELECT COUNT(*) FROM bq_sync_command WHERE kind = 'retention' AND state = 'done'"
            site.wait_until(lambda: site.read(reported) == [(1,)], "the report is kept")
        status = read_status(site.engine, site.settings).tables["events"].last_retention
        assert status is not None
        assert (status.finished, status.deleted, status.unconfirmed) == (True, 19, 1)


def test_whatever_operators_do_meanwhile_no_row_goes_that_bigquery_lacks(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator, retention_chunk_rows=10) as site, site.working():
        carried(site, 1200)
        keys = left(site)
        removed = keys[700:1000]
        resent, unflagged, failed, given_up = (removed[start : start + 20] for start in (0, 20, 40, 60))
        remove_from_bigquery(site, *removed)
        asked = ask(site)
        site.wait_until(lambda: len(left(site)) < 1180, "it is in the middle")
        for key in resent:  # those are sent again, as are the unflagged ones; and may go then
            site.enqueue("events", key, resend=1)
        site.run(f"UPDATE events SET synced_to_bq = 0 WHERE id BETWEEN {unflagged[0]} AND {unflagged[-1]}")
        for some, status in ((failed, "failed"), (given_up, "abandoned")):
            for key in some:
                site.enqueue("events", key, sync_status=status, last_error="by hand")
        report = answered(site, asked)
        site.wait_until_drained()

        again = run(site)
        there = {int(row["event_id"].removeprefix("ev_")) for row in site.sent("events")}
        assert there == {*keys} - {*removed} | {*resent, *unflagged}
        assert left(site) == [*failed, *given_up, *removed[80:]]
        assert report["deleted"] + again["deleted"] == 1200 - 260
        assert again["refused"] == {"notInBigQuery": 240, "failed": 20}


# what forbids it


@pytest.mark.parametrize("rule", ["CASCADE", "SET NULL"])
def test_nothing_goes_where_rows_of_another_table_would_go_too(mariadb: MariaDB, emulator: Emulator, rule: str) -> None:
    with events_site(mariadb, emulator, EVENTS, PICTURES.format(f"ON DELETE {rule}")) as site, site.working():
        carried(site, 5)
        report = run(site)
        assert (len(left(site)), report["finished"]) == (5, False)
        assert f"picture_of of pictures is ON DELETE {rule}" in report["problem"]


def test_a_trigger_that_forbids_it_is_reported(mariadb: MariaDB, emulator: Emulator) -> None:
    trigger = (
        "CREATE TRIGGER keep BEFORE DELETE ON events FOR EACH ROW"
        " IF OLD.id = 3 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'kept'; END IF"
    )
    with events_site(mariadb, emulator, EVENTS, trigger) as site, site.working():
        carried(site, 10)
        report = run(site)
        assert (left(site), report["deleted"], report["refused"]) == ([3], 9, {"trigger": 1})


def test_without_the_right_to_delete_nothing_is_tried(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator) as site:
        with by_another_user(site, mariadb, "SELECT, UPDATE").working():
            carried(site, 5)
            report = run(site)
        assert (len(left(site)), report["finished"]) == (5, False)
        assert f"GRANT DELETE ON `{site.engine.url.database}`.`events` TO 'careful'@'127.0.0.1'" in report["problem"]


@pytest.mark.parametrize(
    ("table", "said"),
    [({"retention_days": None}, "kept for ever"), ({"age_column": None}, "how old they are")],
)
def test_tables_whose_rows_are_never_deleted(
    mariadb: MariaDB, emulator: Emulator, table: dict[str, object], said: str
) -> None:
    with events_site(mariadb, emulator, table=table) as site, site.working():
        carried(site, 5)
        report = run(site)
        assert (len(left(site)), report["finished"]) == (5, True)
        assert said in " ".join(report["notes"])


# cut in the middle


def test_another_worker_goes_on_where_one_was_cut(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator, retention_chunk_rows=10) as site:
        with site.working():
            carried(site, 600)
            remove_from_bigquery(site, 1, 500)
            asked = ask(site)
            site.wait_until(lambda: len(left(site)) < 580, "it is in the middle")
        cut = len(left(site))
        assert 2 < cut < 600
        with site.working():
            report = answered(site, asked)
        assert (left(site), report["deleted"], report["refused"]) == ([1, 500], cut - 2, {"notInBigQuery": 2})


def test_who_lost_the_table_deletes_nothing_more(mariadb: MariaDB, emulator: Emulator) -> None:
    """The owner doesn't know yet; only what the transaction asks first tells."""
    with events_site(mariadb, emulator, retention_chunk_rows=10) as site, site.working():
        carried(site, 600)
        ask(site)
        site.wait_until(lambda: len(left(site)) < 580, "it is in the middle")
        with site.engine.begin() as connection:
            # As a take-over does, which waits for the transaction that is open.
            connection.execute(text("UPDATE bq_sync_lease SET token = 'somebody else' WHERE name = 'events'"))
            connection.execute(text("UPDATE bq_sync_command SET state = 'withdrawn'"))
        after = left(site)
        site.wait_until(lambda: site.read("SELECT token FROM bq_sync_lease") != [("somebody else",)], "taken back")
        site.wait_until(lambda: site.state("events") == "running", "carried again")
        assert len(after) > 2
        assert left(site) == after
