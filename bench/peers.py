"""dlt, the peer that bq-sync is compared with: its job is smaller, since it marks nothing and survives no crash."""

import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from itertools import chain
from pathlib import Path

from bench.backlog import TABLE
from bench.processes import Ran, run_well
from bench.site import DATABASE, Site

# Made by `make peers`.
PYTHON = Path(sys.executable).parents[2] / ".venv-bench" / "bin" / "python"
SCRIPT = Path(__file__).with_name("peer_dlt.py")
BACKENDS = ("connectorx", "connectorx_stream", "pyarrow", "sqlalchemy")


def is_there() -> bool:
    return PYTHON.exists()


def version() -> str | None:
    """dlt's; None where it isn't there."""
    if not is_there():
        return None
    asked = "from importlib import metadata; print(metadata.version('dlt'))"
    return subprocess.run([str(PYTHON), "-c", asked], capture_output=True, text=True, check=True).stdout.strip()


def load_by_each(measured: Site, rows: int) -> Mapping[str, Ran]:
    """Load detection_logs with each backend, one after the other.

    Raises:
        CommandFailed: dlt did.
        AssertionError: not all rows were in the emulator then.
    """
    return {backend: _load(measured, backend, rows) for backend in BACKENDS}


def _load(measured: Site, backend: str, rows: int) -> Ran:
    dataset = f"peer_{backend}"
    options = {
        "--url": measured.database.url(DATABASE),
        "--table": TABLE,
        "--emulator": measured.emulator.rest_url,
        "--project": measured.emulator.project,
        "--dataset": dataset,
        "--backend": backend,
        "--directory": str(measured.directory / dataset),
    }
    command: list[str | Path] = [PYTHON, SCRIPT, *chain.from_iterable(options.items())]
    ran = run_well(command, measured.directory / f"{dataset}.log")
    with closing(measured.emulator.client()) as client:
        (found,) = client.query_and_wait(f"SELECT COUNT(*) FROM `{dataset}.{TABLE}`")  # noqa: S608  ours
    assert found[0] == rows, f"dlt with {backend} loaded {found[0]} rows of {rows}"
    measured.emulator.drop_dataset(dataset)
    return ran
