"""The API's process stays small: it has no part of what talks to BigQuery."""

import subprocess
import sys
from pathlib import Path

import pytest

LARGE = {"alembic", "apprise", "bigquery", "google", "grpc", "mapping", "numpy", "pyarrow", "requests"}
ACTORS = {"actors", "pykka"}


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("api.serve, cli.main, cli.starting, metrics.box", LARGE | ACTORS),
        ("api.serve, cli.main, cli.starting, metrics.box, actors.watch", LARGE),  # as `bq-sync api` does
    ],
)
def test_the_api_loads_nothing_large(modules: str, absent: set[str]) -> None:
    code = f"import sys, {modules}; print(sorted({absent} & sys.modules.keys()))"
    path = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=path)
    assert (done.stdout, done.stderr) == ("[]\n", "")
