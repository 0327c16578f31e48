"""Logs: JSON or human, ours and the libraries', and no values of rows in them."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable
from typing import Literal

import pytest
import structlog
from google.api_core.client_logging import initialize_logging
from sqlalchemy.exc import StatementError

from cli import logs

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_ours_and_the_libraries_are_json_lines() -> None:
    initialize_logging()  # as every client of google does, before or after
    stream = io.StringIO()
    logs.configure("auto", stream)
    structlog.get_logger("actors.worker").info("batch sent", table="détections", rows=3)
    logging.getLogger("google.auth").warning("took %d s", 5)
    ours, theirs = map(json.loads, stream.getvalue().splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert ours == {
        "event": "batch sent",
        "table": "détections",
        "rows": 3,
        "level": "info",
        "logger": "actors.worker",
    }
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("took 5 s", "warning", "google.auth")


def test_every_line_of_every_thread_says_process_and_site() -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    logs.bind_everywhere(process="worker")
    structlog.get_logger("actors.poller").info("before the site is known")
    logs.bind_everywhere(site="tokyo-3")
    for speak in (
        lambda: structlog.get_logger("actors.poller").info("found"),
        lambda: logging.getLogger("google.auth").warning("took %d s", 5),
    ):
        thread = threading.Thread(target=speak)
        thread.start()
        thread.join()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["process"] for line in lines] == ["worker"] * 3
    assert [line.get("site") for line in lines] == [None, "tokyo-3", "tokyo-3"]


def test_a_flood_is_a_line_a_minute() -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    for number in range(10):
        structlog.get_logger("actors.table_owner").warning("not carrying rows", table="a", reason="down", n=number)
        structlog.get_logger("actors.sync_marker").info("batch completed", table="a", rows=number)
        logging.getLogger("urllib3").warning("retrying %d", number)
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "not carrying rows",
        "batch completed",
        "retrying 0",
    ]


def test_no_colours_where_the_environment_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Terminal()
    logs.configure("human", stream)
    structlog.get_logger("api.serve").info("the API listens")
    assert "\x1b" not in stream.getvalue()


def test_libraries_are_heard_from_warnings_on_and_ours_from_info_on() -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    for library in ("google.auth", "urllib3.connectionpool", "alembic.runtime", "uvicorn.error"):
        logging.getLogger(library).info("chatter")
    structlog.get_logger("database.engine").debug("chatter")
    assert stream.getvalue() == ""


@pytest.mark.parametrize(("form", "stream"), [("human", io.StringIO()), ("auto", Terminal())])
def test_people_get_no_json(form: str, stream: io.StringIO) -> None:
    logs.configure(form, stream)  # type: ignore[arg-type]  # one of its values
    structlog.get_logger("api.serve").info("the API listens")
    assert "the API listens" in stream.getvalue()
    assert "{" not in stream.getvalue()


def convert(value: str) -> int:
    """Fails with an error of two more behind it, each of which quotes the value."""
    try:
        try:
            return int(value)
        except ValueError as error:
            raise StatementError(f"can't bind {value}", f"INSERT {value}", {"value": value}, error) from error
    except StatementError:
        raise RuntimeError(f"can't convert {value}")  # noqa: B904  the chain without a cause


def by_structlog(error: Exception) -> None:
    structlog.get_logger("actors.poller").error("an actor failed", exc_info=error)


def by_the_standard_library(error: Exception) -> None:
    logging.getLogger("alembic").error("an actor failed", exc_info=error)


def by_the_end_of_the_process(error: Exception) -> None:
    sys.excepthook(type(error), error, error.__traceback__)


def by_the_end_of_a_thread(error: Exception) -> None:
    def fail() -> None:
        raise error

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()


@pytest.mark.parametrize("form", ["human", "json"])
@pytest.mark.parametrize(
    "tell", [by_structlog, by_the_standard_library, by_the_end_of_the_process, by_the_end_of_a_thread]
)
def test_an_error_is_told_by_where_it_happened_without_its_values(
    form: Literal["human", "json"], tell: Callable[[Exception], None], capsys: pytest.CaptureFixture[str]
) -> None:
    stream = io.StringIO()
    logs.configure(form, stream)
    row = "".join(["a row's ", "value"])
    try:
        convert(row)
    except RuntimeError as error:
        tell(error)
    logged = stream.getvalue()
    assert row not in logged + capsys.readouterr().err
    lines = (json.loads(logged)["exception"] if form == "json" else logged).splitlines()
    assert [lines.count(name) for name in ("ValueError", "sqlalchemy.exc.StatementError", "RuntimeError")] == [1, 1, 1]
    assert sum(f'"{__file__}", line' in line and line.endswith("in convert") for line in lines) == 3


def test_an_error_that_is_its_own_cause_is_told_once() -> None:
    stream = io.StringIO()
    logs.configure("human", stream)
    first, second = KeyError("first"), IndexError("second")
    first.__cause__, second.__cause__ = second, first
    structlog.get_logger("actors.poller").error("an actor failed", exc_info=first)
    assert [stream.getvalue().splitlines().count(name) for name in ("KeyError", "IndexError")] == [1, 1]


def test_a_stream_that_is_gone_kills_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    stream.close()
    structlog.get_logger("actors.worker").info("unheard")
    assert "ValueError" in capsys.readouterr().err  # the standard library's own complaint
