"""Alerts from a real database to real HTTP servers, by way of Apprise; only time is a test's own."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from click.testing import CliRunner
from pydantic import SecretStr
from sqlalchemy import Engine, text
from structlog.testing import capture_logs

from actors.messages import Tick
from actors.monitor import Monitor
from alerts.channels import Channels
from alerts.message import Message
from cli.main import main
from config.settings import Settings
from database.engine import connect_for_looking, connect_unpooled
from database.incidents import SITE, Incident, SiteRecord
from database.locks import Locks, lock_name
from database.status import StatusReader
from delivery.errors import LeaseLost
from delivery.lease import Lease
from operations import findings
from operations.check_alerts import check_alerts
from operations.health import Level, Thresholds, look
from operations.migrate import migrate_up
from tests.fakes.background import InlineBackground
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.inbox import pump
from tests.integration.migrating import LOGS, read, run, settings

pytestmark = pytest.mark.integration

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
MESSAGE = Message("a title", "a body", Level.UNHEALTHY)


class Service:
    """Takes notifications at json://; answers with `status`, or not before `answer` is set."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.status = 200
        self.answer = threading.Event()
        self.answer.set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                service.answer.wait(30)
                if service.status == 200:
                    service.got.append(body)
                self.send_response(service.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"json://127.0.0.1:{self._server.server_port}/s3cret?rto=60"

    def close(self) -> None:
        self.answer.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.close()


def channels(*urls: str, seconds: float = 30.0) -> Channels:
    return Channels([SecretStr(url) for url in urls], seconds)


class Site:
    """A Monitor over a prepared database with one table; a worker of that table lives while it is told so."""

    def __init__(self, engine: Engine, url: str) -> None:
        self.engine = engine
        self.settings: Settings = settings(logs={}).model_copy(update={"site_id": "tokyo-3"})
        self.clock = FakeClock()
        self.channels = channels(url)
        self.lost: list[str] = []
        self.worker = connect_unpooled(engine.url).connect()
        self.monitor = self.start()

    def start(self) -> Monitor:
        """A new process: whatever the former one had in memory is gone."""
        self.locks = Locks(connect_unpooled(self.engine.url), lambda _, reason: self.lost.append(reason))
        self.scheduler = FakeScheduler(self.clock)
        reader = StatusReader(connect_for_looking(self.engine.url), self.settings, self.clock.monotonic)
        self.monitor = Monitor(
            self.locks,
            SiteRecord(self.engine, self.settings.site_id),
            lambda: look(reader.read, Thresholds.of(self.settings)),
            self.channels,
            self.scheduler,
            self.clock,
            lambda: START + timedelta(seconds=self.clock.now),
            lambda name, failed: InlineBackground(),
            lambda name, error: pytest.fail(f"{name}: {error}"),
        )
        self.monitor.actor_ref.tell(Tick())
        return self.monitor

    def restart(self) -> None:
        self.locks.close()
        self.start()

    def set_worker(self, alive: bool) -> None:
        call = "GET_LOCK(:name, 0)" if alive else "RELEASE_LOCK(:name)"
        name = lock_name(self.engine.url.database or "", "logs")
        self.worker.execute(text(f"SELECT {call}"), {"name": name})

    def pass_time(self, seconds: float) -> None:
        pump(self.monitor)
        self.scheduler.advance(seconds, lambda: pump(self.monitor))

    def incidents(self) -> list[tuple[str, bool | None]]:
        """Names, and whether somebody was told."""
        return [(name, told) for name, told in read(self.engine, "SELECT name, told_at > 0 FROM bq_sync_incident")]


@pytest.fixture
def site(engine: Engine, service: Service) -> Iterator[Site]:
    run(engine, LOGS)
    site = Site(engine, service.url)
    migrate_up(engine, site.settings, None, lambda _: None)
    yield site
    site.locks.close()
    site.worker.close()


def test_a_dead_worker_is_told_once_whatever_restarts_and_its_return_once(site: Site, service: Service) -> None:
    site.pass_time(120)
    (alert,) = service.got
    assert alert["title"] == "bq-sync tokyo-3: unhealthy: no worker is running for logs: start `bq-sync worker`"
    assert alert["type"] == "failure"
    assert site.incidents() == [("no_worker:logs", True)]

    site.restart()
    site.pass_time(600)
    assert len(service.got) == 1

    site.set_worker(alive=True)
    site.pass_time(200)
    site.restart()
    site.pass_time(400)
    assert [alert["type"] for alert in service.got] == ["failure", "success"]
    assert service.got[1]["title"].startswith("bq-sync tokyo-3: healthy again")
    assert site.incidents() == []


def test_a_channel_that_is_down_is_told_later_and_its_url_is_nowhere(site: Site, service: Service) -> None:
    service.status = 503
    with capture_logs() as logs:
        site.pass_time(70)
        assert site.incidents() == [("no_worker:logs", None)]
        site.restart()
        site.pass_time(1)
        service.status = 200
        site.pass_time(120)
    assert [alert["type"] for alert in service.got] == ["failure"]
    assert site.incidents() == [("no_worker:logs", True)]
    failures = [log for log in logs if log["event"] == "an alert could not be sent"]
    assert {(log["channel"], log["reason"]) for log in failures} == {
        ("alert_urls, number 1 (json://...)", "it answered with status 503")
    }
    assert "s3cret" not in repr(logs)


def test_the_sites_lease_is_no_table(site: Site) -> None:
    site.pass_time(1)
    assert read(site.engine, f"SELECT COUNT(*) FROM bq_sync_lease WHERE name = '{SITE}'") == [(1,)]
    assert read(site.engine, f"SELECT COUNT(*) FROM bq_sync_table WHERE table_name = '{SITE}'") == [(0,)]


def test_who_lost_the_lease_changes_no_incident(site: Site) -> None:
    record = SiteRecord(site.engine, "")
    connection_id = site.locks.take(SITE) or 0
    lease = Lease(SITE, "mine", connection_id)
    record.grant(lease)
    kept = Incident("failed", "11 rows failed", START, told_at=START, cleared_at=START)
    record.keep(lease, [kept], [])
    assert record.incidents() == (kept,)

    record.grant(Lease(SITE, "another's", connection_id))
    with pytest.raises(LeaseLost):
        record.keep(lease, [], ["failed"])
    assert record.incidents() == (kept,)


def test_a_channel_that_hangs_is_given_up_and_the_others_are_told(service: Service) -> None:
    hanging = Service()
    hanging.answer.clear()
    try:
        outcome = channels(hanging.url, service.url, seconds=8).send({0: MESSAGE, 1: MESSAGE})
    finally:
        hanging.close()
    assert outcome == {0: "no answer within 8 s", 1: None}
    assert [(alert["title"], alert["message"]) for alert in service.got] == [("a title", "a body")]


def test_what_is_wrong_with_a_channel_is_said_without_its_url(service: Service) -> None:
    service.status = 404
    urls = (service.url, "json://127.0.0.1:1/s3cret", "nosuch://s3cret", "s3cret")
    several = channels(*urls)
    outcome = several.send(dict.fromkeys(range(len(urls)), MESSAGE))
    assert outcome[0] == "it answered with status 404"
    assert outcome[1] == "it can't be reached"
    assert several.check() == {0: None, 1: None, 2: outcome[2], 3: outcome[3]}
    assert "Apprise knows no such service" in str(outcome[2])
    said = repr((outcome, [several.name(place) for place in range(len(urls))]))
    assert "s3cret" not in said
    assert "number 3 (nosuch://...)" in said


def test_an_operator_tries_the_channels(service: Service) -> None:
    failing = Service()
    failing.status = 500
    variables = {"BQ_SYNC_ALERT_URLS": f"{service.url} {failing.url}", "BQ_SYNC_SITE_ID": "tokyo-3"}
    try:
        done = CliRunner().invoke(main, ["test-alert"], env=variables)
    finally:
        failing.close()
    assert done.exit_code == 1
    assert done.output == (
        "alert_urls, number 1 (json://...): took it\nalert_urls, number 2 (json://...): it answered with status 500\n"
    )
    assert [alert["title"] for alert in service.got] == ["bq-sync tokyo-3: a test"]


def test_without_channels_there_is_nothing_to_try() -> None:
    done = CliRunner().invoke(main, ["test-alert"])
    assert (done.exit_code, "alert_urls: is empty" in done.output) == (2, True)


def test_check_says_which_url_is_wrong(service: Service) -> None:
    given = settings(logs={}).model_copy(update={"alert_urls": (SecretStr(service.url), SecretStr("nosuch://s3cret"))})
    right, wrong = check_alerts(given, lambda _: None)
    assert (right.level, wrong.level) == (findings.Severity.OK, findings.Severity.ERROR)
    assert wrong.text.startswith("alert_urls, number 2 (nosuch://...): Apprise knows no such service")
    assert service.got == []
