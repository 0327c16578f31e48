"""What one look at the status costs: `python -m bench.status_cost [--rows N] [--waiting N] [--items N]`.

Fills the sample camera server's largest table in a private MariaDB (64 MB buffer pool, as on a small box), with the
last rows waiting, then reads the status again and again, and prints how long that takes, every statement of a look, its
time and its plan. `--items` of the waiting rows have a pending item besides, and as many others a completed one.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from config.settings import Settings, load
from database.engine import connect_for_looking
from database.status import StatusReader
from operations.migrate import migrate_up
from sandbox.camera_tables import create_tables
from sandbox.mariadb import MariaDB

AT_ONCE = 500_000
READS = 50

SECONDARY = "KEY detected (detected_at), KEY camera_detected (camera_lacis_id, detected_at), " + (
    "KEY severity (severity, detected_at), KEY site (tid, fid, detected_at)"
)

FILL = """
INSERT INTO detection_logs (id, tid, fid, camera_lacis_id, detected_at, severity, detection_type, bboxes, snapshot_url,
                            synced_to_bq)
SELECT seq, 'T1', 'F1', CONCAT('camera-', seq % 7), UTC_TIMESTAMP(3) - INTERVAL ({rows} - seq) SECOND, seq % 5,
       'person', '[{{"x": 10, "y": 20, "w": 64, "h": 128}}]', CONCAT('https://camera.example/', seq, '.jpg'),
       seq <= {rows} - {waiting}
FROM seq_{first}_to_{last}
"""

ITEMS = """
INSERT INTO bq_sync_queue (table_name, record_id, sync_status, batch_id)
SELECT 'detection_logs', seq, '{status}', {batch} FROM seq_{first}_to_{last}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the source table")
    parser.add_argument("--waiting", type=int, default=1_000_000, help="of them, not sent yet")
    parser.add_argument("--items", type=int, default=20_000, help="pending, and as many completed")
    parser.add_argument("--directory", type=Path, help="keeps the database there, and uses one that is there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-status-") as directory:
        at = (arguments.directory or Path(directory)) / "mariadb"
        is_new = not at.exists()
        with MariaDB(at, innodb_flush_log_at_trx_commit=2) as server:
            if is_new:
                build(server, arguments.rows, arguments.waiting, arguments.items)
            measure(connect_for_looking(server.url("is22"), connections=1), _settings(server))


def build(server: MariaDB, rows: int, waiting: int, items: int) -> None:
    began = time.monotonic()
    server.create_database("is22")
    engine = connect_for_looking(server.url("is22"), connections=1)
    create_tables(engine)
    run = server.execute
    # Indexes are made afterwards, since that is faster by far.
    run("ALTER TABLE is22.detection_logs DROP KEY detected, DROP KEY camera_detected, DROP KEY severity, DROP KEY site,"
        " ADD COLUMN synced_to_bq BOOLEAN NULL DEFAULT FALSE")  # fmt: skip
    for first in range(1, rows + 1, AT_ONCE):
        last = min(rows, first + AT_ONCE - 1)
        run("USE is22", FILL.format(rows=rows, waiting=waiting, first=first, last=last))
    run(f"ALTER TABLE is22.detection_logs ADD {SECONDARY.replace(', KEY', ', ADD KEY')}")
    migrate_up(engine, _settings(server), "send", lambda _: None)
    if items:
        waits = rows - waiting + 1
        run(
            "USE is22",
            ITEMS.format(status="pending", batch="NULL", first=waits, last=waits + items - 1),
            ITEMS.format(status="completed", batch=1, first=1, last=items),
            "ANALYZE TABLE bq_sync_queue",
        )
    print(f"{rows:,} rows, {waiting:,} waiting, {items:,} items pending: made in {time.monotonic() - began:.0f} s")


def _settings(server: MariaDB) -> Settings:
    return load({"BQ_SYNC_DATABASE_URL": server.url("is22"), "BQ_SYNC_DATABASE_TIMEZONE": "UTC"})


def measure(engine: Engine, settings: Settings) -> None:
    reader = StatusReader(engine, settings)
    first = _timed(reader)
    took = sorted(_timed(reader) for _ in range(READS))
    p95 = statistics.quantiles(took, n=20)[-1]
    print(
        f"one look: the first {first:.1f} ms; of {READS} more: p50 {statistics.median(took):.1f} ms, p95 {p95:.1f} ms"
    )
    with _statements(engine) as statements:
        print(reader.read(), "\n")
    for statement, parameters, ms in statements:
        print(f"{ms:6.1f} ms  {' '.join(statement.split())}  {parameters}")
        if not statement.startswith("EXPLAIN"):
            _print_plan(engine, statement, parameters)


def _timed(reader: StatusReader) -> float:
    began = time.perf_counter()
    reader.read()
    return 1000 * (time.perf_counter() - began)


@contextmanager
def _statements(engine: Engine) -> Iterator[list[tuple[str, Any, float]]]:
    """Every statement that the engine runs meanwhile, with its parameters and milliseconds."""
    ran: list[tuple[str, Any, float]] = []
    began = 0.0

    def before(*_: object) -> None:
        nonlocal began
        began = time.perf_counter()

    def after(_connection: object, _cursor: object, statement: str, parameters: object, *_: object) -> None:
        ran.append((statement, parameters, 1000 * (time.perf_counter() - began)))

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    yield ran
    event.remove(engine, "before_cursor_execute", before)
    event.remove(engine, "after_cursor_execute", after)


def _print_plan(engine: Engine, statement: str, parameters: Any) -> None:
    with engine.connect() as connection:
        for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).mappings():
            shown = (row["select_type"], row["table"], row["type"], row["key"], row["rows"], row["Extra"])
            print(" " * 11, " | ".join(str(value) for value in shown if value))


if __name__ == "__main__":
    main()
