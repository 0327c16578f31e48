"""`bq-sync backfill --load` while BigQuery, or the way to it, fails: every row arrives once, or it is said why not."""

from collections.abc import Iterator
from functools import partial

import pytest

from delivery.backfill_report import Fate
from delivery.backoff import Backoff
from delivery.bulk_backfill import BulkBackfill, Limits
from delivery.errors import DestinationError
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.bigquery_service import BigQueryService, bigquery_service
from tests.fakes.rest import RestFault
from tests.fakes.rest_faults import http_error, reset, reset_after
from tests.integration.backfilling import flags, history, ids, run_bulk, sent
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration


@pytest.fixture
def service(emulator: Emulator) -> Iterator[BigQueryService]:
    with bigquery_service(emulator) as service:
        yield service


@pytest.fixture
def site(mariadb: MariaDB, service: BigQueryService, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    hurried = partial(BulkBackfill, backoff=lambda: Backoff(first=0.01, longest=0.01))
    monkeypatch.setattr("operations.bulk_backfill.BulkBackfill", hurried)
    with notes_site(mariadb, service) as site:
        yield site


def states(site: Site) -> list[str]:
    """Of the batches, in their order."""
    return [state for (state,) in site.read("SELECT state FROM bq_sync_batch ORDER BY id")]


@pytest.mark.parametrize(
    ("fault", "batches"),
    [
        pytest.param(reset, ["released", "completed", "completed"], id="the job never came"),
        pytest.param(reset_after, ["completed", "completed"], id="its answer was lost"),
        pytest.param(http_error(503, "backendError"), ["released", "completed", "completed"], id="503"),
        pytest.param(http_error(503, None, carried_out=True), ["completed", "completed"], id="503 though it was done"),
    ],
)
def test_a_job_that_isnt_answered(site: Site, service: BigQueryService, fault: RestFault, batches: list[str]) -> None:
    keys = history(site, 60)
    service.rest.jobs.add(fault)
    report = run_bulk(site, limits=Limits(rows=40))
    assert sent(site) == ids(*keys)
    assert flags(site) == {1: 60}
    assert states(site) == batches
    assert (report.passed, report.done, report.fates) == (60, 60, {Fate.SENT: 60})


def test_an_upload_that_fails_leaves_nothing_in_the_ledger(site: Site, service: BigQueryService) -> None:
    keys = history(site, 10)
    service.rest.uploads.add(reset, http_error(403, "quotaExceeded", "too much"))
    report = run_bulk(site)
    assert sent(site) == ids(*keys)
    assert states(site) == ["completed"]
    assert report.fates == {Fate.SENT: 10}


def test_a_job_that_is_refused_is_told_of_and_history_stays(site: Site, service: BigQueryService) -> None:
    keys = history(site, 10)
    service.rest.jobs.add(http_error(400, "invalidQuery", "Unrecognized name"))
    with pytest.raises(DestinationError, match="BigQuery refuses the query: compare the columns"):
        run_bulk(site)
    assert sent(site) == []
    assert flags(site) == {None: 10}
    assert states(site) == ["released"]
    assert site.waiting() == 0
    run_bulk(site)
    assert sent(site) == ids(*keys)


def test_without_the_right_to_make_jobs_a_worker_goes_on_when_it_has_it(site: Site, service: BigQueryService) -> None:
    keys = history(site, 10)
    service.rest.jobs.last(http_error(403, "accessDenied", "no bigquery.jobs.create"))
    with pytest.raises(DestinationError, match=r"no bigquery\.jobs\.create"):
        run_bulk(site)
    assert states(site) == ["begun"]  # that the job never comes nobody can be sure of yet
    service.end_faults()
    with site.working():
        site.wait_until_drained()
    assert states(site) == ["released"]
    run_bulk(site)
    assert sent(site) == ids(*keys)
