"""What a camera server feels of retention: `python -m bench.retention [--rows 100000] [--rate 50]`.

On a private MariaDB and emulator: rows that are 90 days old are sent, then a producer inserts rows one by one, each in
its own transaction, as long as a run takes that deletes all old rows, and without retention for a while before it and
after it. Printed are the inserts' latencies in milliseconds, beside each other, and how long the run took.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sqlalchemy import Engine, text

from bench.site import site
from database.commands import CommandKind, CommandState, outcomes, request
from sandbox.camera import Camera

TABLE = "detection_logs"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="old rows")
    parser.add_argument("--rate", type=float, default=50.0, help="inserts a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it is measured without retention")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-retention-") as directory:
        print(json.dumps(measure(Path(directory), arguments.rows, arguments.rate, arguments.seconds), indent=2))


def measure(directory: Path, rows: int, rate: float, seconds: float) -> dict[str, object]:
    with site(directory, retention_schedule="never") as measured:
        engine = measured.engine
        Camera(engine).insert(TABLE, rows)
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE {TABLE} SET detected_at = detected_at - INTERVAL 90 DAY"))  # noqa: S608  ours
        measured.start("worker")
        progress = measured.progress()
        while progress.waiting():
            time.sleep(1)
        without = latencies(engine, rate, for_seconds(seconds / 2))
        with engine.begin() as connection:
            asked = request(connection, CommandKind.RETENTION, [TABLE])
        began = time.monotonic()
        during = latencies(engine, rate, lambda: not _done(engine, asked))
        took = time.monotonic() - began
        with engine.connect() as connection:
            (outcome,) = outcomes(connection, asked)
        without += latencies(engine, rate, for_seconds(seconds / 2))
    return {
        "rows": rows,
        "run_seconds": round(took, 1),
        "report": dict(outcome.result),
        "insert_ms_without": _summary(without),
        "insert_ms_during": _summary(during),
        "ratio": {name: round(_summary(during)[name] / _summary(without)[name], 2) for name in ("p50", "p99")},
    }


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Holds for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def latencies(engine: Engine, rate: float, going_on: Callable[[], bool]) -> list[float]:
    """How many milliseconds each insert took, COMMIT included, while it holds; it is asked once a second."""
    camera, taken = Camera(engine), list[float]()
    stopped = threading.Event()

    def watch() -> None:
        while going_on():
            time.sleep(1)
        stopped.set()

    threading.Thread(target=watch, daemon=True).start()
    next_at = time.monotonic()
    while not stopped.is_set():
        began = time.perf_counter()
        camera.insert(TABLE, 1)
        taken.append(1000 * (time.perf_counter() - began))
        next_at = max(next_at + 1 / rate, time.monotonic())
        time.sleep(max(0.0, next_at - time.monotonic()))
    return taken


def _done(engine: Engine, asked: str) -> bool:
    with engine.connect() as connection:
        return all(outcome.state is CommandState.DONE for outcome in outcomes(connection, asked))


def _summary(taken: Sequence[float]) -> dict[str, float]:
    ordered = sorted(taken)
    of = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _SHARES.items()}
    return {"inserts": len(ordered), **{name: round(value, 2) for name, value in of.items()}}


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


if __name__ == "__main__":
    main()
