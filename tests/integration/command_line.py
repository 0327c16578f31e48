"""The command as operators run it, beside a real database with two tables, and a worker that only takes orders."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import Engine, text

from cli.main import main
from database.locks import lock_name
from operations.control import Patience

CHECKOUT = Path(__file__).parents[2]
CONFIGURATION = """
bq_sync:
  enabled: true
  project_id: p
  dataset_id: d
  site_id: box
  tables:
    logs: {destination: events, primary_key: id, columns: {id: id}}
    summaries: {destination: events, primary_key: id, columns: {id: id}}
"""


class CommandLine:
    """`bq-sync` with that configuration: within this process, or as a process of its own."""

    def __init__(self, directory: Path, database_url: str) -> None:
        file = directory / "bq_sync.yaml"
        file.write_text(CONFIGURATION)
        self.environment = {"BQ_SYNC_CONFIG": str(file), "BQ_SYNC_DATABASE_URL": database_url, "NO_COLOR": ""}

    def __call__(self, *arguments: str, said: str | None = None, **environment: str) -> Result:
        return CliRunner().invoke(main, arguments, input=said, env=self.environment | environment)

    def start(
        self, *arguments: str, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE, **environment: str
    ) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-c", "from cli.main import main; main()", *arguments],
            env=os.environ | self.environment | environment,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )


def quick(monkeypatch: pytest.MonkeyPatch, taken: float = 0.0, done: float = 10.0) -> None:
    """Wait no longer than that for a worker, and as long as `--wait` says until it is done."""
    monkeypatch.setattr("cli.control.PATIENCE", Patience(taken, done, look=0.01))


@contextmanager
def owned(engine: Engine, *tables: str) -> Iterator[None]:
    """Somebody holds the locks of these tables, as their worker does."""
    with engine.connect() as connection:
        for table in tables:
            lock = lock_name(engine.url.database or "", table)
            assert connection.scalar(text("SELECT GET_LOCK(:name, 0)"), {"name": lock}) == 1
        yield
        connection.execute(text("DO RELEASE_ALL_LOCKS()"))


def fail_items(engine: Engine, table: str, count: int, error: str = "severity: 'high' is no whole number") -> None:
    """So many items of that table that BigQuery can't take; their record ids are r1, r2, ..."""
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO bq_sync_queue (table_name, record_id, operation, sync_status, last_error)"
                f" SELECT :table, CONCAT('r', seq), 'INSERT', 'failed', :error FROM seq_1_to_{count}"
            ),
            {"table": table, "error": error},
        )


def statuses(engine: Engine) -> dict[str, int]:
    """How many items are in which state."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT sync_status, COUNT(*) AS n FROM bq_sync_queue GROUP BY 1"))
        return {row.sync_status: row.n for row in rows}
