"""GET /status and /health: the spelling of the answers, and what they say when there is nothing to say."""

import asyncio
import threading
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from pymysql.err import OperationalError as MySqlError
from sqlalchemy import Engine, create_mock_engine
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from api.app import create_app
from database.counting import Count
from database.rowless import Rowless
from database.status import Status
from database.table_status import TableStatus
from operations.version import program_version
from tests.unit.api.client import assert_problem, call, settings

AT = datetime(2026, 11, 23, 12, 30, 0, 250_000, tzinfo=UTC)
LOGS = TableStatus(
    "running",
    owner_alive=True,
    pending=Count(12_000, is_estimate=True),
    syncing=Count(100),
    completed=Count(7),
    failed=Count(1),
    abandoned=Count(2),
    rowless=Rowless(3, first_item=12, first_record="99", has_flag=True),
    synced=4711,
    oldest_pending_age_seconds=12.345,
    last_sync_at=AT,
    last_error_at=AT - timedelta(days=1),
    last_error="the network is down",
)
SUMMARIES = TableStatus("blocked", "no such table", owner_alive=True, last_error_at=AT, last_error="no such table")


def app(status: Status | Exception, **values: object) -> Starlette:
    def look() -> Status:
        if isinstance(status, Exception):
            raise status
        return status

    return create_app(settings(**values), NO_ENGINE, look=look)


NO_ENGINE: Engine = create_mock_engine("mysql+pymysql://h/d", lambda *_: None)  # type: ignore[assignment]  # never used
WELL = Status(datetime.now(UTC), {"logs": TableStatus("running", owner_alive=True)})
UNREACHABLE = OperationalError("SELECT secret", {}, MySqlError(2003, "can't connect to 10.0.0.1 with secret"))


def test_status_is_spelled_as_specified() -> None:
    status = Status(AT, {"logs": LOGS, "summaries": SUMMARIES}, unconfigured={"lgos": Count(4)})
    response = call(app(status), "GET", "/status")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {
        "readAt": "2026-11-23T12:30:00.250000Z",
        "siteId": "box",
        "version": program_version(),
        "enabled": True,
        "queueStats": {
            "pending": 12_000,
            "pendingIsEstimate": True,
            "syncing": 100,
            "completed": 7,
            "failed": 1,
            "abandoned": 2,
        },
        "lastSyncAt": "2026-11-23T12:30:00.250000Z",
        "lastErrorAt": "2026-11-23T12:30:00.250000Z",
        "lastError": "no such table",
        "tableStats": {
            "logs": {
                "pending": 12_000,
                "pendingIsEstimate": True,
                "synced": 4711,
                "failed": 1,
                "oldestPendingAgeSeconds": 12.3,
                "rowless": {"items": 3, "id": 12, "recordId": "99"},
                "state": "running",
                "reason": None,
                "paused": False,
                "workerAlive": True,
                "lastSyncAt": "2026-11-23T12:30:00.250000Z",
                "lastErrorAt": "2026-11-22T12:30:00.250000Z",
                "lastError": "the network is down",
                "lastRetention": None,
                "lastCheck": None,
            },
            "summaries": {
                "pending": 0,
                "pendingIsEstimate": False,
                "synced": 0,
                "failed": 0,
                "oldestPendingAgeSeconds": None,
                "rowless": None,
                "state": "blocked",
                "reason": "no such table",
                "paused": False,
                "workerAlive": True,
                "lastSyncAt": None,
                "lastErrorAt": "2026-11-23T12:30:00.250000Z",
                "lastError": "no such table",
                "lastRetention": None,
                "lastCheck": None,
            },
        },
        "unconfigured": {"lgos": 4},
    }


def test_before_the_first_row_nothing_has_a_time() -> None:
    answer = call(app(WELL), "GET", "/status").json()
    assert (answer["lastSyncAt"], answer["lastErrorAt"], answer["lastError"]) == (None, None, None)


def test_what_a_dead_worker_noted_last_isnt_what_the_table_does() -> None:
    dead = Status(AT, {"logs": TableStatus("running", "was blocked", paused=True)})
    stats = call(app(dead), "GET", "/status").json()["tableStats"]["logs"]
    assert (stats["state"], stats["reason"], stats["paused"], stats["workerAlive"]) == ("no worker", None, True, False)


def test_health_is_200_while_nobody_has_to_act() -> None:
    status = Status(datetime.now(UTC), WELL.tables)  # of now: the suite may be older than what clocks may differ by
    response = call(app(status), "GET", "/health")
    assert (response.status_code, response.json()) == (200, {"status": "healthy", "reasons": []})


def test_health_is_503_when_somebody_has_to() -> None:
    response = call(app(Status(datetime.now(UTC), {"summaries": SUMMARIES})), "GET", "/health")
    assert response.status_code == 503
    assert response.json() == {"status": "unhealthy", "reasons": ["summaries is blocked: no such table"]}


def test_thresholds_are_configuration() -> None:
    status = Status(datetime.now(UTC), {"logs": TableStatus("running", owner_alive=True, pending=Count(6))})
    response = call(app(status, pending_threshold=5), "GET", "/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")


def test_a_database_that_is_down_is_a_reason_and_a_problem() -> None:
    health = call(app(UNREACHABLE), "GET", "/health")
    assert health.status_code == 503
    assert health.json() == {"status": "unhealthy", "reasons": ["the database can't be reached (error 2003)"]}
    problem = assert_problem(call(app(UNREACHABLE), "GET", "/status"), 503)
    assert problem["detail"] == "the database can't be reached (error 2003)"


def test_what_nobody_foresaw_is_a_problem_without_details() -> None:
    assert "secret" not in str(assert_problem(call(app(ValueError("secret")), "GET", "/status"), 500))


@pytest.mark.parametrize("status", [WELL, UNREACHABLE])
def test_disabled_says_so_whatever_the_database_says(status: Status | Exception) -> None:
    response = call(app(status, enabled=False), "GET", "/health")
    assert (response.status_code, response.json()["status"]) == (200, "degraded")
    assert "BQ_SYNC_ENABLED=true" in response.json()["reasons"][0]


def test_status_works_while_disabled() -> None:
    assert call(app(WELL, enabled=False), "GET", "/status").status_code == 200


def test_without_a_database_status_says_what_to_set() -> None:
    response = call(create_app(settings(enabled=False), None), "GET", "/status")
    assert "BQ_SYNC_DATABASE_URL" in assert_problem(response, 503)["detail"]


def test_a_slow_database_holds_up_nobody_else() -> None:
    released = threading.Event()

    def look() -> Status:
        assert released.wait(10), "the event loop stood still"
        return WELL

    async def ask() -> tuple[int, int]:
        transport = httpx.ASGITransport(create_app(settings(), NO_ENGINE, look=look))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            slow = asyncio.create_task(client.get("/api/bq-sync/status"))
            await asyncio.sleep(0)  # lets it begin
            quick = await client.get("/nothing")
            released.set()
            return (await slow).status_code, quick.status_code

    assert asyncio.run(ask()) == (200, 404)
