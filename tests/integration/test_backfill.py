"""`bq-sync backfill` through a running worker: what is sent, what isn't, and that nothing is doubled."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from delivery.backfill import BackfillError, Selection
from delivery.backfill_report import BackfillReport, Fate
from operations.backfill import NoWorkerError
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.backfilling import flags, history, ids, run, sent
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration

JANUARY_6 = datetime(2026, 1, 6, tzinfo=UTC)
JANUARY_7 = datetime(2026, 1, 7, tzinfo=UTC)


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    with notes_site(mariadb, emulator) as site:
        yield site


def test_history_is_sent_once_whatever_bigquery_has_of_it(site: Site) -> None:
    keys = history(site, 300)
    with site.working():
        site.run("UPDATE notes SET synced_to_bq = 0 WHERE id <= 50")
        site.wait_until_drained()
        site.run("UPDATE notes SET synced_to_bq = NULL WHERE id <= 50")  # as if another program had sent them

        report = run(site)
        again = run(site)

    assert sent(site) == ids(*keys)
    assert flags(site) == {1: 300}
    assert (report.fates, report.passed, report.done) == ({Fate.SENT: 250, Fate.THERE: 50}, 300, 300)
    assert (again.total is not None and again.total.rows, again.fates) == (0, {})


@pytest.mark.parametrize("index", ["", "written_at", "written_at, id", "written_at, label"])
def test_rows_of_a_range_of_time_alone(site: Site, index: str) -> None:
    """By an index on their age, if there is one of the right order."""
    if index:
        site.run(f"ALTER TABLE notes ADD INDEX ({index})")
    keys = history(site, 72)
    site.run("INSERT INTO notes (label, written_at, synced_to_bq) VALUES ('sent', '2026-01-06 12:00:00', 1)")
    with site.working():
        report = run(site, Selection(since=JANUARY_6, until=JANUARY_7))
    assert sent(site) == ids(*keys[23:47])
    assert report.fates == {Fate.SENT: 24}
    assert report.total is not None
    assert report.passed == report.total.rows == (25 if index in ("written_at", "written_at, id") else 72)


def test_a_dry_run_sends_nothing_and_needs_no_worker(site: Site) -> None:
    history(site, 30)
    report = run(site, dry_run=True)
    assert report.fates == {Fate.WOULD_SEND: 30}
    assert site.read("SELECT COUNT(*) FROM bq_sync_queue") == [(0,)]


def test_without_a_worker_nothing_is_enqueued(site: Site) -> None:
    history(site, 3)
    with pytest.raises(NoWorkerError, match="no worker owns notes: start `bq-sync worker`"):
        run(site, worker_seconds=0)
    assert site.read("SELECT COUNT(*) FROM bq_sync_queue") == [(0,)]


def test_rows_that_bigquery_cant_take_fail_and_are_left_alone_then(site: Site) -> None:
    good, bad = history(site, 20), history(site, 3, label=None)
    with site.working():
        report = run(site)
        again = run(site)
    assert sent(site) == ids(*good)
    assert flags(site) == {1: len(good), None: len(bad)}
    assert report.fates == {Fate.SENT: 20, Fate.FAILED: 3}
    assert again.fates == {Fate.FAILED_BEFORE: 3}


def test_no_more_items_wait_than_allowed_and_a_pause_is_told(site: Site) -> None:
    keys = history(site, 100)
    most, told = [0], set[str | None]()

    def look(report: BackfillReport) -> None:
        ((waiting,),) = site.read("SELECT COUNT(*) FROM bq_sync_queue WHERE sync_status IN ('pending', 'syncing')")
        most[0] = max(most[0], waiting)
        if report.passed == 20 and not told:
            site.run("UPDATE bq_sync_table SET paused = 1")
            told.add(None)
        if report.waits_for and report.waits_for not in told:
            told.add(report.waits_for)
            site.run("UPDATE bq_sync_table SET paused = 0")

    with site.working():
        report = run(site, most_waiting=10, show=look)
    assert sent(site) == ids(*keys)
    assert report.fates == {Fate.SENT: 100}
    assert most == [10]
    assert told == {None, "notes is paused: bq-sync resume --table notes"}


def test_two_at_once_double_nothing(site: Site) -> None:
    keys = history(site, 400)
    with site.working():
        other = threading.Thread(target=run, args=(site,), kwargs={"most_waiting": 30})
        other.start()
        run(site, most_waiting=50)
        other.join()
        site.wait_until_drained()
    assert sent(site) == ids(*keys)
    assert flags(site) == {1: 400}


def test_again_sends_what_bigquery_lacks_of_the_range(site: Site) -> None:
    keys = history(site, 72)
    site.run("UPDATE notes SET synced_to_bq = 0")
    with site.working():
        site.wait_until_drained()
        lost = [*keys[20:30], keys[60]]
        some = ", ".join(f"'note_{key}'" for key in lost)
        table = f"`{site.settings.project_id}.{site.settings.dataset_id}.notes`"
        site.client.query_and_wait(f"DELETE FROM {table} WHERE note_id IN ({some})")
        report = run(site, Selection(again=True, since=JANUARY_6, until=JANUARY_7))
        again = run(site, Selection(again=True, since=JANUARY_6, until=JANUARY_7))
    assert sent(site) == ids(*set(keys) - set(keys[20:23]) - {keys[60]})
    assert report.fates == {Fate.SENT: 7, Fate.THERE: 17}
    assert again.fates == {Fate.THERE: 24}


def test_a_table_without_flag_has_no_history_but_can_be_sent_again(mariadb: MariaDB, emulator: Emulator) -> None:
    with notes_site(mariadb, emulator, {"synced_flag": None}) as site:
        site.run("INSERT INTO notes (label, written_at) VALUES ('x', '2026-01-06'), ('x', '2026-01-07')")
        with pytest.raises(BackfillError, match="notes has no synced_flag"):
            run(site)
        with site.working():
            for _ in range(2):
                report = run(site, Selection(again=True, since=JANUARY_6, until=JANUARY_7))
        assert sent(site) == ids(1)
        assert report.fates == {Fate.THERE: 1}


def test_a_range_needs_an_age_column(mariadb: MariaDB, emulator: Emulator) -> None:
    with (
        notes_site(mariadb, emulator, {"age_column": None}) as site,
        pytest.raises(BackfillError, match="notes has no age_column"),
    ):
        run(site, Selection(since=JANUARY_6))
