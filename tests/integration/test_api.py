"""The API over a real database, and as the process that operators start."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, create_engine, text
from starlette.applications import Starlette

from api.app import create_app
from operations.control import Patience
from tests.integration.api_worker import TABLES, make_tables, worker
from tests.unit.api.client import assert_problem, call, call_path, settings

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    make_tables(engine)
    return engine


def app(engine: Engine, taken: float = 0.0, done: float = 10.0) -> Starlette:
    return create_app(settings(), engine, patience=Patience(taken, done, look=0.01))


def states(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT table_name, state FROM bq_sync_command"))
        return {row.table_name: row.state for row in rows}


def test_status_and_health(prepared: Engine) -> None:
    with prepared.begin() as connection:
        connection.execute(text("INSERT INTO logs (synced_to_bq) SELECT FALSE FROM seq_1_to_1500"))
    answer = call(app(prepared), "GET", "/status").json()
    assert answer["queueStats"]["pending"] == 1500
    assert answer["tableStats"]["logs"]["state"] == "no worker"
    health = call(app(prepared), "GET", "/health")
    assert health.status_code == 503
    assert health.json()["reasons"] == [
        "no worker is running for logs, summaries: start `bq-sync worker`",
        "1,500 rows pending, more than 1,000",
    ]


def test_an_empty_database_says_what_to_do(engine: Engine) -> None:
    assert call(app(engine), "GET", "/status").json()["tableStats"]["logs"]["state"] == "unprepared"
    assert "bq-sync migrate" in call(app(engine), "GET", "/health").json()["reasons"][0]
    assert "bq-sync migrate" in assert_problem(call(app(engine), "POST", "/flush"), 503)["detail"]


def test_a_database_that_is_down(database_url: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens there as long as we hold it
        down = create_engine(f"mysql+pymysql://u:hunter2@127.0.0.1:{unused.getsockname()[1]}/d")
        for method, path in (("GET", "/status"), ("POST", "/flush")):
            response = call(app(down), method, path)
            assert_problem(response, 503)
            assert "hunter2" not in response.text
        assert call(app(down), "GET", "/health").json()["status"] == "unhealthy"


def test_a_flush_that_all_tables_did(prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda _: '{"flushedCount": 21}'):
        response = call(app(prepared, taken=10), "POST", "/flush")
    answer = response.json()
    told = call_path(app(prepared), "GET", answer.pop("command")).json()
    assert (response.status_code, answer) == (200, {"ok": True, "flushedCount": 42})
    assert (told["kind"], told["tables"]["logs"]["state"]) == ("flush", "done")


def test_a_flush_of_some_tables_asks_no_others(prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda _: '{"flushedCount": 3}'):
        response = call(app(prepared, taken=10), "POST", "/flush", json={"tables": ["logs", "logs"]})
    assert (response.json()["ok"], response.json()["flushedCount"]) == (True, 3)
    assert states(prepared) == {"logs": "done"}


def test_a_flush_that_nobody_takes_is_withdrawn(prepared: Engine) -> None:
    problem = assert_problem(call(app(prepared), "POST", "/flush"), 503)
    assert problem["detail"] == "no worker took it for logs, summaries: start `bq-sync worker`"
    assert problem["flushedCount"] == 0
    assert states(prepared) == {"logs": "withdrawn", "summaries": "withdrawn"}


def test_a_flush_that_one_table_did_says_so(prepared: Engine) -> None:
    with worker(prepared, "logs", end=lambda _: '{"flushedCount": 5}'):
        problem = assert_problem(call(app(prepared, taken=1), "POST", "/flush"), 503)
    assert (problem["ok"], problem["flushedCount"]) == (False, 5)
    assert problem["tables"] == {"logs": "flushed", "summaries": "no worker"}


def test_a_flush_that_goes_on(prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda command: '{"flushedCount": 5}' if command.table == "logs" else None):
        response = call(app(prepared, taken=1, done=1), "POST", "/flush")
    assert response.status_code == 202
    answer = response.json()
    link = answer.pop("command")
    assert answer == {"ok": False, "flushedCount": 5, "tables": {"logs": "flushed", "summaries": "running"}}
    assert response.headers["location"] == link
    followed = call(app(prepared), "GET", link.removeprefix("/api/bq-sync")).json()
    assert (followed["command"], followed["kind"]) == (link, "flush")
    assert followed["tables"] == {
        "logs": {"state": "done", "result": {"flushedCount": 5}},
        "summaries": {"state": "running", "result": None},
    }
    assert states(prepared) == {"logs": "done", "summaries": "taken"}


def test_a_refused_request_asks_nobody(prepared: Engine) -> None:
    assert_problem(call(app(prepared), "POST", "/flush", json={"tables": ["logs", "nothing"]}), 422)
    assert_problem(call(app(prepared), "POST", "/flush", headers={"Host": "evil.example"}), 421)
    assert_problem(call(app(prepared), "POST", "/flush", headers={"Origin": "https://evil.example"}), 403)
    assert states(prepared) == {}


@contextmanager
def bq_sync(command: str, **environment: str) -> Iterator["subprocess.Popen[str]"]:
    """The process that a command is; its log is on `stderr`, from behind the line that says what starts."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from cli.main import main; main()", command],
        env={**os.environ, "BQ_SYNC_API_PORT": "0", "BQ_SYNC_LOG_FORMAT": "json", **environment},
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    try:
        assert logged(process)["process"] == command
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def logged(process: "subprocess.Popen[str]") -> dict[str, str]:
    assert process.stderr is not None
    line: dict[str, str] = json.loads(process.stderr.readline())
    return line


def seconds_to_stop(process: "subprocess.Popen[str]", how: signal.Signals) -> float:
    began = time.monotonic()
    process.send_signal(how)
    assert process.wait(10) == 0
    return time.monotonic() - began


def test_as_shipped_the_api_starts_and_says_that_bq_sync_is_disabled() -> None:
    with bq_sync("api") as process:
        url = logged(process)["url"]
        assert "BQ_SYNC_ENABLED=true" in logged(process)["event"]
        health = httpx.get(f"{url}/api/bq-sync/health").json()
        assert health["status"] == "degraded"
        assert "enabled: true" in health["reasons"][0]
        assert seconds_to_stop(process, signal.SIGINT) < 4


@pytest.mark.parametrize("command", ["worker", "run"])
def test_as_shipped_the_worker_says_so_and_stays(command: str) -> None:
    with bq_sync(command) as process:
        if command == "run":
            assert "url" in logged(process)
        assert "BQ_SYNC_ENABLED=true" in logged(process)["event"]
        assert seconds_to_stop(process, signal.SIGTERM) < 4


def test_a_port_that_is_taken_is_a_wrong_setting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = subprocess.run(
            [sys.executable, "-c", "from cli.main import main; main()", "api"],
            env={**os.environ, "BQ_SYNC_API_PORT": str(taken.getsockname()[1])},
            capture_output=True,
            text=True,
            cwd=CHECKOUT,
            check=False,
        )
    assert done.returncode == 2
    assert "Address already in use" in done.stderr
    assert "BQ_SYNC_API_PORT" in done.stderr


@pytest.mark.parametrize(("command", "hanging"), [("api", 1), ("run", 4)])  # a request; and the owner of each table
def test_it_stops_in_time_while_everything_hangs(
    prepared: Engine, database_url: str, command: str, hanging: int
) -> None:
    waits = text(
        "SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE 'Waiting for table metadata lock%'"
    )
    nowhere = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1", "BQ_SYNC_STORAGE_ENDPOINT": "127.0.0.1:1"}
    environment = {"BQ_SYNC_ENABLED": "true", "BQ_SYNC_DATABASE_URL": database_url, **nowhere}
    with prepared.connect() as locker, ThreadPoolExecutor(1) as client, socket.socket() as half_a_request:
        locker.execute(text("LOCK TABLES bq_sync_table WRITE, bq_sync_lease WRITE"))
        with bq_sync(command, **environment) as process:
            url = logged(process)["url"]
            half_a_request.connect((httpx.URL(url).host, httpx.URL(url).port))
            half_a_request.sendall(b"POST /api/bq-sync/flush HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")

            def ask() -> None:
                with suppress(httpx.HTTPError):
                    httpx.get(f"{url}/api/bq-sync/status", timeout=20)

            client.submit(ask)
            while locker.scalar(waits) < hanging:
                assert process.poll() is None
            assert seconds_to_stop(process, signal.SIGTERM) < 4
        locker.execute(text("UNLOCK TABLES"))
