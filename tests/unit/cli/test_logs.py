"""Logs: JSON or human, ours and the libraries', and no local variables in them."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog
from google.api_core.client_logging import initialize_logging

from cli import logs


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Logging belongs to the whole process; other tests have their own."""
    handlers, level = logging.root.handlers[:], logging.root.level
    google = logging.getLogger("google")
    google_level, google_propagates = google.level, google.propagate
    yield
    google.setLevel(google_level)
    google.propagate = google_propagates
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    logging.captureWarnings(False)
    for package in logs.OWN:
        logging.getLogger(package).setLevel(logging.NOTSET)
    structlog.reset_defaults()


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


@pytest.mark.parametrize("form", ["human", "json"])
def test_a_traceback_shows_no_values(form: str) -> None:
    stream = io.StringIO()
    logs.configure(form, stream)  # type: ignore[arg-type]  # one of its values
    row = "".join(["a row's ", "value"])
    try:
        raise RuntimeError("broken")
    except RuntimeError as error:
        structlog.get_logger("actors.poller").error("an actor failed", exc_info=error)
    assert "RuntimeError: broken" in stream.getvalue()
    assert row not in stream.getvalue()


def test_a_stream_that_is_gone_kills_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    logs.configure("json", stream)
    stream.close()
    structlog.get_logger("actors.worker").info("unheard")
    assert "ValueError" in capsys.readouterr().err  # the standard library's own complaint
