"""How fast the API answers while a worker catches up: `python -m bench.api_latency [--rows 40000] [--seconds 20]`.

Worker and API run as processes of their own, as they do on a box, on a private MariaDB and an emulator. Rows wait
before the worker starts; from then on GET /status is asked ten times a second, and it is printed how long that takes.
"""

import argparse
import http.client
import json
import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.site import site
from sandbox.camera import Camera

EVERY_SECONDS = 0.1
SHARES = {"detection_logs": 0.8, "is21_logs": 0.19, "ai_summary_cache": 0.01}
START_SECONDS = 30.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=40_000, help="that wait in the beginning")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it is asked at most")
    parser.add_argument("--without-worker", action="store_true", help="for comparison: nobody carries the rows")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-latency-") as directory:
        measured = measure(Path(directory), arguments.rows, arguments.seconds, worker=not arguments.without_worker)
        print(json.dumps(measured, indent=2))


def measure(directory: Path, rows: int, seconds: float, *, worker: bool) -> dict[str, object]:
    with site(directory) as measured:
        camera = Camera(measured.engine)
        for table, share in SHARES.items():
            camera.insert(table, int(rows * share))
        measured.start("api")
        if worker:
            measured.start("worker")
        return ask(measured.settings.api_port, seconds)


def ask(port: int, seconds: float) -> dict[str, object]:
    """From the first answer on, until nothing waits any more."""
    _first_answer(port)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    took: list[float] = []
    synced: list[int] = []
    began = time.monotonic()
    while (at := time.monotonic()) - began < seconds:
        connection.request("GET", "/api/bq-sync/status")
        answer = json.load(connection.getresponse())
        took.append(time.monotonic() - at)
        tables = answer["tableStats"].values()
        synced.append(sum(table["synced"] for table in tables))
        if synced[-1] and not any(table["pending"] for table in tables):
            break
        time.sleep(max(0.0, EVERY_SECONDS - took[-1]))
    return {
        "answers": len(took),
        "seconds": round(time.monotonic() - began, 1),
        "rows_carried_meanwhile": synced[-1] - synced[0],
        "milliseconds": {name: round(1000 * value, 1) for name, value in _summary(took).items()},
        "load_average": os.getloadavg()[0],
    }


def _first_answer(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/livez")
            connection.getresponse().read()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)
        finally:
            connection.close()


def _summary(took: Sequence[float]) -> dict[str, float]:
    ordered = sorted(took)
    return {
        "median": statistics.median(ordered),
        "p95": ordered[int(0.95 * (len(ordered) - 1))],
        "max": ordered[-1],
    }


if __name__ == "__main__":
    main()
