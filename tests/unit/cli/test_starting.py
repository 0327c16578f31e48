"""What a process says first, and how little a short command loads."""

import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from cli import logs
from cli.starting import announce, site_known
from tests.unit.api.client import settings

CHECKOUT = Path(__file__).parents[3]
LARGE = {"actors", "bigquery", "google", "grpc", "mapping", "numpy", "pyarrow", "pykka", "starlette", "uvicorn"}


@pytest.fixture
def log(logging_as_it_was: None) -> io.StringIO:
    """Where the log goes."""
    stream = io.StringIO()
    logs.configure("json", stream)
    return stream


def test_the_first_line_tells_what_runs_without_a_password(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BQ_SYNC_CONFIG", "/etc/bq-sync/bq_sync.yaml")
    url = "mysql+pymysql://carrier:hunter2@db.example:3307/is22"
    announce("worker", settings(site_id="", database_url=url, storage_endpoint="127.0.0.1:2"))
    site_known("tokyo-3")
    announce("api", settings(site_id="osaka-1"))
    assert "hunter2" not in log.getvalue()
    assert "carrier" not in log.getvalue()
    first, second = map(json.loads, log.getvalue().splitlines())
    assert first.keys() >= {"version", "timestamp"}
    assert first["process"] == "worker"
    assert "site" not in first
    assert first["config"] == "/etc/bq-sync/bq_sync.yaml"
    assert first["tables"] == ["logs", "summaries"]
    assert (first["database"], first["bigquery"], first["emulator"]) == ("db.example:3307/is22", "p.d", "127.0.0.1:2")
    assert (second["process"], second["site"], second["database"]) == ("api", "osaka-1", None)


def test_commands_of_operators_load_nothing_large() -> None:
    code = f"import sys, cli.main, cli.status, cli.control, cli.failed; print(sorted({LARGE} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT)
    assert (done.stdout, done.stderr) == ("[]\n", "")
