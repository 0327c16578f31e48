"""`bq-sync backfill --load`: chunks of history by load jobs, while no worker owns the table."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from bigquery.load_jobs import LoadJob
from delivery.backfill import BackfillError, Selection
from delivery.backfill_report import BackfillReport, Fate
from delivery.bulk_backfill import Limits
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.backfilling import flags, history, ids, run_bulk, sent
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration

CHUNKS = Limits(rows=40)


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    with notes_site(mariadb, emulator) as site:
        yield site


def tables(site: Site) -> list[str]:
    return [table.table_id for table in site.client.list_tables(site.settings.dataset_id)]


def streams(site: Site) -> list[tuple[int, int]]:
    """Of each load job that the ledger knows: whether it is final, and its count."""
    return [(int(final), rows) for final, rows in site.read("SELECT final, row_count FROM bq_sync_stream ORDER BY id")]


def test_history_is_loaded_once_whatever_bigquery_has_of_it(site: Site) -> None:
    keys = history(site, 100)
    with site.working():
        site.run("UPDATE notes SET synced_to_bq = 0 WHERE id BETWEEN 31 AND 50")
        site.wait_until_drained()
    site.run("UPDATE notes SET synced_to_bq = NULL")  # as if another program had sent them
    site.run("DELETE FROM bq_sync_stream")

    report = run_bulk(site, limits=CHUNKS)
    again = run_bulk(site, limits=CHUNKS)

    assert sent(site) == ids(*keys)
    assert flags(site) == {1: 100}
    assert report.fates == {Fate.SENT: 80, Fate.THERE: 20}
    assert (report.passed, report.done, again.fates) == (100, 100, {})
    assert streams(site) == [(1, 40), (1, 40), (1, 20)]
    assert site.waiting() == 0
    assert tables(site) == ["notes"]
    assert site.state("notes") == "stopped"


def test_values_are_those_that_a_worker_sends(site: Site) -> None:
    detail = json.dumps({"a": [1, 2.5, None, "\u65e5\u672c"], "b": {"c": True}})
    insert = "INSERT INTO notes (label, detail, written_at, synced_to_bq) VALUES (:l, :d, :at, :flag)"
    for flag in (0, None):
        site.run(insert, l="it's", d=detail, at="2026-01-05 01:02:03", flag=flag)
        site.run(insert, l="", d=None, at="2026-01-05 01:02:03", flag=flag)
    run_bulk(site)
    with site.working():
        site.wait_until_drained()
    by_worker, without, by_job, also_without = sorted(site.sent("notes"), key=lambda row: str(row["note_id"]))
    assert by_job | {"note_id": None} == by_worker | {"note_id": None}
    assert also_without | {"note_id": None} == without | {"note_id": None}


def test_rows_of_a_range_of_time_alone(site: Site) -> None:
    keys = history(site, 72)
    since, until = datetime(2026, 1, 6, tzinfo=UTC), datetime(2026, 1, 7, tzinfo=UTC)
    report = run_bulk(site, Selection(since=since, until=until), limits=Limits(rows=10))
    assert sent(site) == ids(*keys[23:47])
    assert report.fates == {Fate.SENT: 24}


def test_rows_that_bigquery_cant_take_and_rows_with_items_are_left_alone(site: Site) -> None:
    good, bad = history(site, 50), history(site, 3, label=None)
    site.enqueue("notes", good[0])
    report = run_bulk(site, limits=CHUNKS)
    again = run_bulk(site, limits=CHUNKS)
    assert sent(site) == ids(*good[1:])
    assert report.fates == {Fate.SENT: 49, Fate.FAILED: len(bad), Fate.WAITS: 1}
    assert again.fates == {Fate.FAILED_BEFORE: 3, Fate.WAITS: 1}
    errors = {error for (error,) in site.read("SELECT last_error FROM bq_sync_queue WHERE sync_status = 'failed'")}
    assert errors == {"label: is NULL, but the column is REQUIRED"}


def test_it_is_refused_while_a_worker_owns_the_table_or_it_is_paused(site: Site) -> None:
    history(site, 3)
    with site.working():
        site.wait_until(lambda: site.state("notes") == "running", "the worker owns it")
        with pytest.raises(BackfillError, match="a worker owns notes: stop the worker of this table first"):
            run_bulk(site)
    site.run("UPDATE bq_sync_table SET paused = 1")
    with pytest.raises(BackfillError, match="notes is paused: bq-sync resume --table notes"):
        run_bulk(site)
    assert sent(site) == []


class _CutError(Exception):
    pass


@pytest.mark.parametrize("looked", range(3, 17, 2))
def test_a_worker_recovers_what_was_cut(site: Site, looked: int) -> None:
    """Wherever it is cut, between two of its steps; a worker comes, and what it has released is loaded again."""
    keys = history(site, 60)
    left = [looked]

    def cut(_: BackfillReport) -> None:
        left[0] -= 1
        if not left[0]:
            raise _CutError

    with pytest.raises(_CutError):
        run_bulk(site, limits=CHUNKS, show=cut)
    with site.working():
        site.wait_until(lambda: site.state("notes") == "running", "the worker has recovered it")
        site.wait_until_drained()
    report = run_bulk(site, limits=CHUNKS)
    assert report.fates[Fate.THERE] == 0
    assert sent(site) == ids(*keys)
    assert flags(site) == {1: 60}


def test_an_insert_that_comes_after_recovery_is_refused(site: Site) -> None:
    """As by a process that was frozen right before it sent the job."""
    keys = history(site, 5)
    left = [0]

    def cut(report: BackfillReport) -> None:
        left[0] += bool(report.waits_for and "inserted" in report.waits_for)
        if left[0] == 1:
            raise _CutError

    with pytest.raises(_CutError):
        run_bulk(site, show=cut)
    ((name,),) = site.read("SELECT name FROM bq_sync_stream")
    job = LoadJob.named(name)
    assert job is not None
    run_bulk(site)
    assert streams(site) == [(1, 0), (1, 5)]
    with pytest.raises(Exception, match="Already Exists"):
        site.client.query("SELECT 2", job_id=job.id, location=job.location, retry=None, job_retry=None)
    assert sent(site) == ids(*keys)
