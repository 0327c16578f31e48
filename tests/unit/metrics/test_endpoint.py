"""GET /metrics: every form of answer, with the database well, slow, gone, and none at all."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette
from starlette.routing import Route

from actors.messages import TableState
from database.counting import Count
from database.scrape import Scraped
from database.status import Status
from database.table_status import TableStatus
from metrics.box import own_process
from metrics.endpoint import MetricsEndpoint
from metrics.from_status import OF_OWNERS, REASON_LENGTH, STATES, Told, bounded
from operations.health import Thresholds, judge
from tests.unit.api.client import settings
from tests.unit.metrics.asking import get
from tests.unit.metrics.measuring import Samples, parse, value

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = TableStatus("running", owner_alive=True, pending=Count(3), oldest_pending_age_seconds=4.0, synced=100)
SCRAPED = Scraped({"logs": "10.0.0.7"}, 2, "tokyo-3")

Ask = Callable[[], Awaitable[Told]]


def told(table: TableStatus = WELL, now: datetime = NOW) -> Told:
    status = Status(NOW, {"logs": table})
    return Told(status, judge(status, now, Thresholds()), SCRAPED, now)


def tells(what: Told) -> Ask:
    async def ask() -> Told:
        return what

    return ask


def app(ask: Ask | None, patience: float = 4.0) -> Starlette:
    endpoint = MetricsEndpoint(own_process("api"), settings(site_id=""), ask, patience)
    return Starlette(routes=[Route("/metrics", endpoint.answer)])


def scrape(table: TableStatus = WELL, now: datetime = NOW) -> Samples:
    return parse(get(app(tells(told(table, now)))).text)


def test_what_the_database_tells() -> None:
    samples = scrape(replace(WELL, pending=Count(20_000, is_estimate=True), failed=Count(11), last_sync_at=NOW))
    assert value(samples, "bq_sync_database_up") == 1
    assert value(samples, "bq_sync_site_info", site="tokyo-3", dataset="d") == 1
    assert value(samples, "bq_sync_queue_rows", table="logs", state="pending") == 20_000
    assert value(samples, "bq_sync_queue_rows_estimated", table="logs", state="pending") == 1
    assert value(samples, "bq_sync_queue_rows_estimated", table="logs", state="failed") == 0
    assert value(samples, "bq_sync_synced_rows_total", table="logs") == 100
    assert value(samples, "bq_sync_oldest_pending_age_seconds", table="logs") == 4
    assert value(samples, "bq_sync_last_sync_timestamp_seconds", table="logs") == NOW.timestamp()
    assert value(samples, "bq_sync_last_error_timestamp_seconds", table="logs") is None
    assert value(samples, "bq_sync_health", level="unhealthy") == 1
    assert value(samples, "bq_sync_health", level="healthy") == 0
    assert value(samples, "bq_sync_incidents_open") == 2
    assert value(samples, "bq_sync_table_worker_info", table="logs", host="10.0.0.7") == 1
    assert value(samples, "bq_sync_table_worker_alive", table="logs") == 1


def test_one_state_holds_at_a_time_and_its_reason_is_one_series() -> None:
    samples = scrape(replace(WELL, noted="blocked", noted_reason="table gone\nafter 17 attempts"))
    states = {dict(labels)["state"]: held for (name, labels), held in samples.items() if name == "bq_sync_table_state"}
    assert [state for state, held in states.items() if held] == ["blocked"]
    assert states.keys() == set(STATES)
    reason = "table gone after 0 attempts"
    assert value(samples, "bq_sync_table_reason_info", table="logs", reason=reason) == 1
    assert value(scrape(replace(WELL, paused=True)), "bq_sync_table_paused", table="logs") == 1
    assert "reason" not in str(scrape().keys())


def test_states_are_those_of_the_worker() -> None:
    assert set(OF_OWNERS) == set(TableState) - {TableState.STANDBY}


def test_without_a_worker_no_table_runs() -> None:
    samples = scrape(replace(WELL, owner_alive=False, noted_reason="the network is down"))
    assert value(samples, "bq_sync_table_state", table="logs", state="no worker") == 1
    assert value(samples, "bq_sync_table_state", table="logs", state="running") == 0
    assert "reason" not in str(samples.keys())


def test_a_reason_is_bounded() -> None:
    assert bounded("waits 5 s\nmore") == bounded("waits 300 s more") == "waits 0 s more"
    assert len(bounded("x" * 1000)) == REASON_LENGTH


def test_an_age_is_0_where_nothing_waits_and_absent_where_nobody_knows() -> None:
    name = "bq_sync_oldest_pending_age_seconds"
    nothing = replace(WELL, pending=Count(0), oldest_pending_age_seconds=None)
    assert value(scrape(nothing), name, table="logs") == 0
    assert value(scrape(replace(WELL, oldest_pending_age_seconds=None)), name, table="logs") is None
    assert value(scrape(replace(WELL, oldest_pending_age_seconds=-9.0)), name, table="logs") == -9


def test_clocks_that_are_apart() -> None:
    samples = scrape(now=NOW - timedelta(seconds=90))
    assert value(samples, "bq_sync_database_clock_offset_seconds") == -90


def test_a_database_that_refuses() -> None:
    async def ask() -> Told:
        raise OperationalError("SELECT", {}, Exception("gone"))

    answer = get(app(ask))
    assert answer.status_code == 200
    assert value(parse(answer.text), "bq_sync_database_up") == 0
    assert value(parse(answer.text), "bq_sync_health", level="unhealthy") == 1
    assert value(parse(answer.text), "bq_sync_process_up", process="api-0") == 1
    assert "bq_sync_queue_rows" not in answer.text


def test_no_database_at_all() -> None:
    assert value(parse(get(app(None)).text), "bq_sync_database_up") == 0


def test_a_database_that_hangs_is_asked_once_and_answers_when_it_can() -> None:
    asked = 0
    slow = asyncio.Event()

    async def ask() -> Told:
        nonlocal asked
        asked += 1
        await slow.wait()
        return told()

    hanging = app(ask, patience=0.01)

    async def scrapes() -> list[float | None]:
        transport = httpx.ASGITransport(hanging)
        ups = []
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            for ends in (False, False, True):
                if ends:
                    slow.set()
                    await asyncio.sleep(0)
                ups.append(value(parse((await client.get("/metrics")).text), "bq_sync_database_up"))
        return ups

    assert asyncio.run(scrapes()) == [0, 0, 1]
    assert asked == 1


def test_each_form_of_answer() -> None:
    plain = get(app(tells(told())), **{"accept-encoding": "identity"})
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "content-encoding" not in plain.headers
    wanted = {"accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "accept-encoding": "gzip"}
    opened = get(app(tells(told())), **wanted)
    assert opened.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert opened.headers["content-encoding"] == "gzip"
    assert opened.text.endswith("# EOF\n")
