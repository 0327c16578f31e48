"""The command line as operators use it, for the tests of its commands."""

from pathlib import Path

import pytest

from tests.integration.command_line import CommandLine


@pytest.fixture
def bq_sync(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """`bq-sync` with that database."""
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    monkeypatch.delenv("BQ_SYNC_ENABLED", raising=False)
    return CommandLine(tmp_path, database_url)
