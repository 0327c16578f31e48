"""The API's process stays small: it has no part of what talks to BigQuery."""

import subprocess
import sys
from pathlib import Path

LARGE = {"actors", "bigquery", "google", "grpc", "mapping", "numpy", "pyarrow", "pykka"}


def test_the_api_loads_nothing_large() -> None:
    code = f"import sys, api.serve, cli.main; print(sorted({LARGE} & sys.modules.keys()))"
    path = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=path)
    assert (done.stdout, done.stderr) == ("[]\n", "")
