"""Both forms of a backfill beside each other: `python -m bench.backfill [--rows 50000]`.

On a private MariaDB and emulator, one after the other: so many rows of history by load jobs, and as many through the
queue of a worker. Printed are rows a second, what the database did for a thousand rows (statements, and seconds of a
processor), the backfill's own memory, and the ratios. The emulator answers a look-up at once; BigQuery takes a second.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy import text

from bench.processes import cpu_seconds, run_well
from bench.site import PROGRAM, Site, site
from sandbox.camera import Camera

TABLE = "detection_logs"
LONGEST_SECONDS = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="of each form")
    parser.add_argument("--most-waiting", type=int, default=500)
    parser.add_argument("--chunk-rows", type=int, default=20_000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-backfill-") as directory:
        waiting, chunk = str(arguments.most_waiting), str(arguments.chunk_rows)
        with site(Path(directory), retention_schedule="never") as measured:
            loaded = measure(measured, arguments.rows, ["--load", "--chunk-rows", chunk])
            measured.start("worker")
            queued = measure(measured, arguments.rows, ["--most-waiting", waiting])
    ratios = {name: round(loaded[name] / queued[name], 2) for name in queued if queued[name]}
    print(json.dumps({"through_the_queue": queued, "by_load_jobs": loaded, "load_to_queue": ratios}, indent=2))


def measure(measured: Site, rows: int, arguments: Sequence[str]) -> dict[str, float]:
    Camera(measured.engine, enqueue_share=0).insert(TABLE, rows)
    with measured.engine.begin() as connection:
        connection.execute(text(f"UPDATE {TABLE} SET synced_to_bq = NULL WHERE synced_to_bq = 0"))  # noqa: S608  ours
    log = measured.directory / f"backfill-{len(arguments)}-{arguments[0]}.log"
    before = _database(measured)
    ran = run_well([PROGRAM, "backfill", *arguments], log, measured.environment, longest=LONGEST_SECONDS)
    after = _database(measured)
    statements, processor = (now - then for now, then in zip(after, before, strict=True))
    return {
        "seconds": round(ran.seconds, 1),
        "rows_a_second": round(rows / ran.seconds, 1),
        "statements_for_1000_rows": round(1000 * statements / rows, 1),
        "database_seconds_for_1000_rows": round(1000 * processor / rows, 3),
        "megabytes": round(ran.peak_mb),
    }


def _database(measured: Site) -> tuple[float, float]:
    """Statements so far, and seconds of a processor."""
    with measured.engine.connect() as connection:
        statements = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1]
    return float(statements), cpu_seconds(measured.database.child.pid)


if __name__ == "__main__":
    main()
