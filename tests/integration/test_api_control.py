"""Control by the API, on a real database: pauses, retention, failed items page by page, and probes."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping

import httpx
import pytest
from pymysql.err import OperationalError as MySqlError
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError
from starlette.applications import Starlette

from api import controlling
from api.app import create_app
from database.commands import Command, Outcome
from database.schema import batch, command, lease, metadata, queue, site
from database.schema import table as notes
from operations import control
from operations.control import Patience
from tests.integration.api_worker import TABLES, worker
from tests.unit.api.client import assert_problem, call, call_path, settings

pytestmark = pytest.mark.integration


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    metadata.create_all(engine, tables=[batch, command, lease, notes, queue, site])
    return engine


def app(engine: Engine | None, *, taken: float = 10.0, done: float = 10.0, **values: object) -> Starlette:
    return create_app(settings(**values), engine, patience=Patience(taken, done, look=0.01))


def ends(results: Mapping[str, object]) -> Callable[[Command], str | None]:
    """Ends each command with its table's result; None: not at all."""
    return lambda command: json.dumps(results[command.table]) if command.table in results else None


# commands


def test_a_flush_of_a_paused_table_is_refused(prepared: Engine) -> None:
    assert call(app(prepared), "POST", "/pause", json={"tables": ["logs"]}).json() == {
        "ok": True,
        "tables": {"logs": "paused"},
    }
    assert "logs; resume" in assert_problem(call(app(prepared), "POST", "/flush"), 409)["detail"]
    assert call(app(prepared), "POST", "/resume").json()["tables"] == {"logs": "resumed", "summaries": "resumed"}


def test_a_flush_that_met_a_pause_says_so(prepared: Engine) -> None:
    results = {"logs": {"flushedCount": 3, "paused": True}, "summaries": {"flushedCount": 4}}
    with worker(prepared, *TABLES, end=ends(results)):
        problem = assert_problem(call(app(prepared), "POST", "/flush"), 409)
    assert problem["tables"] == {"logs": "paused", "summaries": "flushed"}
    assert (problem["ok"], problem["flushedCount"]) == (False, 7)
    assert call_path(app(prepared), "GET", problem["command"]).status_code == 200


def test_retention_reports_by_table(prepared: Engine) -> None:
    logs = {"finished": True, "dryRun": False, "deleted": 12, "wouldDelete": 0, "refused": {"waits": 3}}
    results = {"logs": logs, "summaries": logs | {"deleted": 30}}
    with worker(prepared, *TABLES, end=ends(results)):
        answer = call(app(prepared), "POST", "/retention").json()
    assert (answer["ok"], answer["dryRun"], answer["deletedCount"]) == (True, False, 42)
    assert answer["tables"]["logs"] == {"state": "done", "result": logs}


def test_a_dry_run_says_what_would_go(prepared: Engine) -> None:
    asked: list[object] = []

    def end(command: Command) -> str:
        asked.append(command.arguments)
        return '{"finished": true, "deleted": 0, "wouldDelete": 7}'

    with worker(prepared, *TABLES, end=end):
        answer = call(app(prepared), "POST", "/retention", json={"dryRun": True, "tables": ["logs"]}).json()
    assert (answer["ok"], answer["dryRun"], answer["deletedCount"]) == (True, True, 7)
    assert asked == [{"dryRun": True}]


def test_retention_that_ended_before_its_end_isnt_ok(prepared: Engine) -> None:
    results = {"logs": {"finished": False, "deleted": 5, "problem": "BigQuery doesn't answer"}}
    with worker(prepared, "logs", end=ends(results)):
        response = call(app(prepared), "POST", "/retention", json={"tables": ["logs"]})
    assert (response.status_code, response.json()["ok"], response.json()["deletedCount"]) == (200, False, 5)


def test_retention_that_goes_on_has_a_link(prepared: Engine) -> None:
    with worker(prepared, "logs", end=lambda _: None):
        response = call(app(prepared, done=0.5), "POST", "/retention", json={"tables": ["logs"]})
    assert (response.status_code, response.json()["ok"]) == (202, False)
    told = call_path(app(prepared), "GET", response.headers["location"]).json()
    assert (told["kind"], told["tables"]) == ("retention", {"logs": {"state": "running", "result": None}})


@pytest.mark.parametrize("path", ["/flush", "/retention"])
def test_disabled_asks_nobody(prepared: Engine, path: str) -> None:
    assert "disabled" in assert_problem(call(app(prepared, enabled=False), "POST", path), 503)["detail"]
    with prepared.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM bq_sync_command")) == 0


def test_only_so_many_wait_for_workers(prepared: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlling, "MOST_WAITING", 2)
    waiting = app(prepared, taken=0.5)

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(waiting)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await asyncio.gather(*(client.post("/api/bq-sync/flush") for _ in range(5)))

    answers = asyncio.run(ask())
    assert [answer.status_code for answer in answers] == [503] * 5
    assert sum("retry-after" in answer.headers for answer in answers) == 3
    assert call(waiting, "POST", "/flush").headers.get("retry-after") is None


def test_a_database_that_goes_away_under_a_flush_leaves_its_link(
    prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(*_: object) -> tuple[Outcome, ...]:
        raise OperationalError("SELECT", {}, MySqlError(2013, "lost"))

    with monkeypatch.context() as away:
        away.setattr(control, "_look", look)
        response = call(app(prepared, done=0.1), "POST", "/flush", json={"tables": ["logs"]})
    problem = assert_problem(response, 503)
    assert "may be done or not" in problem["detail"]
    assert response.headers["location"] == problem["command"]
    told = call_path(app(prepared), "GET", problem["command"]).json()
    assert told["tables"] == {"logs": {"state": "waiting", "result": None}}


# failed items


def test_failed_items_are_read_page_by_page(prepared: Engine) -> None:
    insert = "INSERT INTO bq_sync_queue (table_name, record_id, sync_status, last_error, payload)"
    with prepared.begin() as connection:
        for table in TABLES:
            values = f"SELECT '{table}', seq, 'failed', 'severity: not a number', '\"secret\"' FROM seq_1_to_5"
            connection.execute(text(f"{insert} {values}"))
    pages, link = [], "/api/bq-sync/failed?limit=2&table=logs"
    while link:
        response = call_path(app(prepared), "GET", link)
        assert "secret" not in response.text
        pages.append(response.json()["failed"])
        link = response.json()["next"]
    assert [[item["recordId"] for item in page] for page in pages] == [["5", "4"], ["3", "2"], ["1"]]
    assert {item["table"] for page in pages for item in page} == {"logs"}
    assert pages[0][0].keys() == {"id", "table", "recordId", "operation", "error", "retryCount", "createdAt"}
    everything = call(app(prepared), "GET", "/failed").json()
    assert (len(everything["failed"]), everything["next"]) == (10, None)


def test_failed_items_are_retried_and_given_up(prepared: Engine) -> None:
    with prepared.begin() as connection:
        for table in TABLES:
            values = f"SELECT '{table}', seq, 'failed' FROM seq_1_to_2"
            connection.execute(text(f"INSERT INTO bq_sync_queue (table_name, record_id, sync_status) {values}"))
    ids = [item["id"] for item in call(app(prepared), "GET", "/failed").json()["failed"]]
    assert call(app(prepared), "POST", "/retry", json={"ids": ids[:1]}).json() == {"ok": True, "retriedCount": 1}
    assert str(ids[0]) in assert_problem(call(app(prepared), "POST", "/retry", json={"ids": ids}), 409)["detail"]
    assert call(app(prepared), "DELETE", "/failed", json={"tables": ["logs"]}).json()["clearedCount"] == 2
    assert call(app(prepared), "DELETE", "/failed").json() == {"ok": True, "clearedCount": 1}
    assert call(app(prepared), "POST", "/retry", json={"all": True}).json()["retriedCount"] == 0


# probes


def test_ready_is_a_database_that_answers_and_is_prepared(engine: Engine) -> None:
    problem = assert_problem(call_path(app(engine), "GET", "/readyz"), 503)
    assert "bq-sync migrate" in problem["detail"]
    metadata.create_all(engine)
    assert call_path(app(engine), "GET", "/readyz").json() == {"status": "ok"}


def test_a_database_that_is_down_isnt_ready_and_no_reason_to_kill() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens there as long as we hold it
        down = create_engine(f"mysql+pymysql://u:hunter2@127.0.0.1:{unused.getsockname()[1]}/d")
        assert "can't be reached" in assert_problem(call_path(app(down), "GET", "/readyz"), 503)["detail"]
        assert call_path(app(down), "GET", "/livez").status_code == 200


def test_disabled_without_a_database_is_ready() -> None:
    assert call_path(app(None, enabled=False), "GET", "/readyz").status_code == 200
