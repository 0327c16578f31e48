"""Thousands of requests made from the API's own OpenAPI document: each answer is one that the document tells of."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from api.app import create_app
from api.serve import ApiServer
from database.commands import Command
from operations.control import Patience
from tests.integration.api_worker import TABLES, make_tables, worker
from tests.unit.api.client import TOKEN, settings

pytestmark = pytest.mark.integration

SEED = 20261123
EXAMPLES = 15  # of each operation, made up at random; beside every case that its schemas suggest
SECONDS = 20  # of them all at most: on a slow machine fewer are made up

# 503 is what the API says while no worker is there, or somebody has to act.
CONFIG = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


@pytest.fixture
def url(engine: Engine) -> Iterator[str]:
    """Of a running API: its worker is there for one table alone, so that every answer to a flush comes up."""
    make_tables(engine)
    with engine.begin() as connection:
        failed = "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) SELECT :table, seq, 'failed'"
        for table in TABLES:
            connection.execute(text(f"{failed} FROM seq_1_to_2500"), {"table": table})
    patience = Patience(taken=0.05, done=0.1, look=0.01)
    app = create_app(settings(api_token=TOKEN), engine, patience=patience)
    server = ApiServer(app, "127.0.0.1", 0)
    with worker(engine, TABLES[0], end=_end_some):
        server.start(lambda: None)
        yield server.url
        server.stop()


def _end_some(command: Command) -> str | None:
    return '{"flushedCount": 1, "deleted": 2, "wouldDelete": 2, "finished": true}' if command.id % 2 else None


def test_the_document_is_kept(url: str, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command: list[str | Path] = [
        Path(sys.executable).with_name("schemathesis"),
        f"--config-file={config}",
        "run",
        f"{url}/api/bq-sync/openapi.json",
        f"--header=Authorization: Bearer {TOKEN}",
        f"--seed={SEED}",
        "--generation-database=none",
        f"--max-examples={EXAMPLES}",
        "--mode=all",
        "--phases=examples,coverage,fuzzing",
        "--checks=all",
        f"--max-time={SECONDS}",
        "--request-timeout=10",
        "--warnings=off",
        "--no-color",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=100)
    print(done.stdout)  # with the seed
    assert done.returncode == 0, done.stdout + done.stderr
