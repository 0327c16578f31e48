"""What bq-sync takes of a box while nothing happens: `python -m bench.footprint [--seconds 60]`.

Starts worker and API with the shipped configuration on a private MariaDB and emulator, lets a few rows through, waits
until all is quiet, and then measures: memory and CPU of each process, statements that the database heard, and what
memory goes for, by importing each large library into an interpreter of its own.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from sqlalchemy import Engine, text

from bench.processes import cpu_seconds, rss_mb
from bench.site import site
from sandbox.camera import Camera

PAGE = os.sysconf("SC_PAGE_SIZE")
LIBRARIES = (
    "sqlalchemy",
    "pydantic",
    "starlette.applications",
    "uvicorn",
    "grpc",
    "pyarrow",
    "google.cloud.bigquery",
    "google.cloud.bigquery_storage_v1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the quiet is measured")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-footprint-") as directory:
        print(json.dumps(measure(Path(directory), arguments.seconds), indent=2))


def measure(directory: Path, seconds: float) -> dict[str, object]:
    with site(directory) as measured:
        Camera(measured.engine).insert_mixed(300)
        pids = {name: measured.start(name).pid for name in ("worker", "api")}
        progress = measured.progress()
        while progress.waiting():
            time.sleep(0.5)
        time.sleep(15)  # until what the last batches left open has closed
        return _measure_quiet(measured.engine, pids, seconds)


def _measure_quiet(engine: Engine, pids: dict[str, int], seconds: float) -> dict[str, object]:
    cpu, statements, began = (
        {name: cpu_seconds(pid) for name, pid in pids.items()},
        _statements(engine),
        time.monotonic(),
    )
    time.sleep(seconds)
    took = time.monotonic() - began
    heard = _statements(engine) - statements
    used = {
        name: {"rss_mb": rss_mb(pid), "cpu_percent": round(100 * (cpu_seconds(pid) - cpu[name]) / took, 2)}
        for name, pid in pids.items()
    }
    return {
        "seconds": round(took, 1),
        "processes": used,
        "together": {
            "rss_mb": round(sum(each["rss_mb"] for each in used.values()), 1),
            "cpu_percent": round(sum(each["cpu_percent"] for each in used.values()), 2),
        },
        "statements_per_minute": round(60 * heard / took, 1),
        "rss_mb_of_an_interpreter_that_imports": {
            name: _rss_of(f"import {name}") for name in LIBRARIES
        } | {"nothing": _rss_of("")},
    }  # fmt: skip


def _statements(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1])


def _rss_of(code: str) -> float:
    report = f"import os\n{code}\nprint(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True).stdout
    return round(int(pages) * PAGE / 1e6, 1)


if __name__ == "__main__":
    main()
