"""Logging belongs to the whole process: who configures it puts it back."""

import logging
import sys
import threading
from collections.abc import Iterator

import pytest
import structlog

from cli import logs


@pytest.fixture
def logging_as_it_was(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging belongs to the whole process; other tests have their own."""
    monkeypatch.setattr("cli.logs._everywhere", {})
    monkeypatch.setattr("sys.excepthook", sys.excepthook)
    monkeypatch.setattr("threading.excepthook", threading.excepthook)
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
