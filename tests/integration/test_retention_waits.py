"""When retention deletes nothing at all, and says why: BigQuery can't be asked, or a clock can't be believed."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from actors import housekeeping
from cli.endings import Exit
from cli.outcomes import code_of
from database.commands import set_paused
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.bigquery_service import BigQueryService, bigquery_service
from tests.fakes.rest import RestFault
from tests.fakes.rest_faults import http_error
from tests.integration.pipeline import Site
from tests.integration.retaining import answered, ask, by_another_user, carried, events_site, left, run

pytestmark = pytest.mark.integration


@pytest.fixture
def service(emulator: Emulator) -> Iterator[BigQueryService]:
    with bigquery_service(emulator) as service:
        yield service


def all_stay(site: Site, rows: int) -> str:
    """A run deletes none of the rows; what it says."""
    report = run(site)
    assert (len(left(site)), report["deleted"], report["finished"]) == (rows, 0, False)
    return str(report["problem"])


FORBIDDEN = http_error(403, "accessDenied", "User does not have bigquery.jobs.create permission in project p")
TOO_LARGE = http_error(400, "bytesBilledLimitExceeded", "Query exceeded limit for bytes billed: 10485760")


@pytest.mark.parametrize(
    ("fault", "said"),
    [(FORBIDDEN, "bigquery.jobs.create"), (TOO_LARGE, "lookup_max_bytes"), (http_error(503, "backendError"), "")],
)
def test_nothing_goes_while_bigquery_does_not_allow_or_answer_the_query(
    mariadb: MariaDB, service: BigQueryService, fault: RestFault, said: str
) -> None:
    with events_site(mariadb, service) as site, site.working():
        carried(site, 5)
        service.rest.queries.last(fault)
        problem = all_stay(site, 5)
        assert problem
        assert said in problem

        service.end_faults()
        assert run(site)["deleted"] == 5


def test_where_queries_are_not_allowed_rows_go_by_the_ledger(mariadb: MariaDB, service: BigQueryService) -> None:
    with events_site(mariadb, service, verify_before_delete="ledger") as site, site.working():
        service.rest.queries.last(FORBIDDEN)
        carried(site, 5)
        carried(site, 1)
        last = left(site)[-1]
        site.run("DELETE FROM bq_sync_batch ORDER BY id DESC LIMIT 1")  # now nothing says that it was sent
        report = run(site)
        assert (left(site), report["deleted"], report["refused"]) == ([last], 5, {"notInLedger": 1})
        assert service.rest.queries.calls == []


def test_nothing_goes_from_a_paused_table(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator) as site, site.working():
        carried(site, 5)
        with site.engine.begin() as connection:
            set_paused(connection, ["events"], True)
        site.wait_until(lambda: site.state("events") == "paused", "it is paused")
        asked = ask(site)
        report = answered(site, asked)
        assert (len(left(site)), report["problem"]) == (5, "the table is paused: resume it first")
        assert code_of(site.outcomes(asked)) is Exit.FAILED


# clocks: each of the three says 1970


def test_while_this_machine_says_1970(mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    with events_site(mariadb, emulator) as site:
        with site.working():
            carried(site, 5)
        with monkeypatch.context() as patched:
            patched.setattr(housekeeping, "_now", lambda: datetime(1970, 1, 1, 0, 5, tzinfo=UTC))
            with site.working():
                assert "this machine's clock says 1970-01-01" in all_stay(site, 5)
        with site.working():
            assert run(site)["deleted"] == 5


def test_while_the_database_says_1970(mariadb: MariaDB, emulator: Emulator) -> None:
    with events_site(mariadb, emulator) as site:
        with site.working():
            carried(site, 5)
        other = by_another_user(site, mariadb, "SELECT, UPDATE, DELETE")
        with said_by(mariadb, 300), other.working():
            problem = all_stay(site, 5)
            assert problem.startswith("the database's clock is ")
            assert "behind this machine's" in problem
        with other.working():
            assert run(site)["deleted"] == 5


@contextmanager
def said_by(mariadb: MariaDB, seconds: int) -> Iterator[None]:
    """The server tells everybody without special rights that it is so many seconds after 1970 began."""
    mariadb.execute(f"SET GLOBAL init_connect = 'SET timestamp = {seconds}'")
    try:
        yield
    finally:
        mariadb.execute("SET GLOBAL init_connect = ''")


def test_while_bigquery_says_1970(mariadb: MariaDB, service: BigQueryService) -> None:
    with events_site(mariadb, service) as site, site.working():
        carried(site, 5)
        service.rest.clock_ahead = 300 - time.time()
        problem = all_stay(site, 5)
        assert problem.startswith("BigQuery's clock is ")
        assert "behind this machine's" in problem

        service.rest.clock_ahead = 0.0
        assert run(site)["deleted"] == 5
