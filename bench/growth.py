"""Whether a table's age and the number of workers matter: `python -m bench.growth [--sizes 10000 1000000 10000000]`.

On a private MariaDB and emulator, in a table with ten indexes that holds more and more rows which were sent long ago:
how fast a worker carries a backlog, and what it costs the database when nothing waits. Then how fast two and three
tables are carried by one worker, and by one for each.

The old rows are shorter than real ones, about 200 bytes, so that ten million are made in minutes.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from bench import backlog
from bench.backlog import SOURCES, TABLE
from bench.carrying import Carried, carry
from bench.figures import Figure, Report, at_least, at_most, command_of, deliver, parser
from bench.floors import wait_for_purge
from bench.processes import cpu_seconds
from bench.site import Site, site

SIZES, SMALL_SIZES = (10_000, 1_000_000, 10_000_000), (10_000, 50_000)
ROWS = 20_000
ROWS_OF_EACH, SMALL_ROWS_OF_EACH = 100_000, 5_000  # so many that the start of a process matters little
SECONDS, SMALL_SECONDS = 60.0, 10.0
QUIET_SECONDS = 10.0  # after which what the last batches left open has closed, and polls are at their slowest

AT_ONCE = 500_000
FILLING_POOL, POOL = 1_000_000_000, 64 * 1024 * 1024

_OLD_ROWS = f"""
INSERT INTO {TABLE} (id, tid, fid, camera_lacis_id, detected_at, severity, detection_type, bboxes, tags, snapshot_url,
                     synced_to_bq)
SELECT {{offset}} + seq, 'T2025112006260013', '0150', CONCAT('3801AABBCC', seq % 24),
       UTC_TIMESTAMP(3) - INTERVAL 30 DAY + INTERVAL seq % 1000000 SECOND, seq % 11, 'human',
       '[{{{{"label": "human", "score": 0.5, "box": [10, 20, 64, 128]}}}}]', '["night"]',
       CONCAT('https://camera.example/snapshots/', seq, '.jpg'), 1
FROM seq_1_to_{{rows}}
"""  # noqa: S608  ours


@dataclass(frozen=True, slots=True)
class Idle:
    """What a worker costs the database in a minute in which nothing waits."""

    statements: float
    rows_examined: float
    cpu_seconds: float


@dataclass(frozen=True, slots=True)
class Size:
    """What was found in a table with so many rows that were sent."""

    synced: int
    carried: Carried
    idle: Idle


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="synced rows, ascending")
    options.add_argument("--rows", type=int, default=ROWS, help="that wait in a table of each size")
    options.add_argument("--rows-of-each", type=int, default=ROWS_OF_EACH, help="that wait in each of several tables")
    options.add_argument("--seconds", type=float, default=SECONDS, help="how long the quiet is measured")
    arguments = options.parse_args()
    if arguments.small:
        arguments.sizes, arguments.rows, arguments.seconds = SMALL_SIZES, SMALL_ROWS_OF_EACH, SMALL_SECONDS
        arguments.rows_of_each = SMALL_ROWS_OF_EACH
    with tempfile.TemporaryDirectory(prefix="bq-sync-growth-") as name:
        directory = Path(name)
        sizes = measure_sizes(directory / "sizes", arguments.sizes, arguments.rows, arguments.seconds)
        tables = list(SOURCES)
        alone = {n: carry_tables(directory / f"{n}-by-1", tables[:n], arguments.rows_of_each, 1) for n in (2, 3)}
        each = {n: carry_tables(directory / f"{n}-by-{n}", tables[:n], arguments.rows_of_each, n) for n in (2, 3)}
    figures = [
        *of_sizes(sizes),
        *of_workers(2, alone[2], each[2], at_least_times=1.6),
        *of_workers(3, alone[3], each[3]),
    ]
    report = Report(
        "Growth",
        command_of("growth"),
        figures,
        notes=[
            f"Rows that were sent before have about 200 bytes, those that wait 1 KB; {os.cpu_count()} cores carry"
            " workers, MariaDB and the emulator together. The last rows of a table, fewer than a batch, aren't waited"
            " for."
        ],
        raw={
            "sizes": [asdict(size) for size in sizes],
            "one_worker": {n: asdict(carried) for n, carried in alone.items()},
            "a_worker_for_each": {n: asdict(carried) for n, carried in each.items()},
        },
    )
    deliver(report, arguments.json)


def measure_sizes(directory: Path, sizes: Sequence[int], rows: int, seconds: float) -> Sequence[Size]:
    """One table that grows from size to size; each time a backlog is carried, and then there is quiet."""
    found = []
    with site(directory) as measured:
        backlog.add_indexes(measured.engine)
        for size in sizes:
            grow(measured, size)
            backlog.fill(measured.engine, rows)
            wait_for_purge(measured)
            carried = carry(measured, rows)
            wait_for_purge(measured)
            found.append(Size(size, carried, idle(measured, seconds)))
    return found


def grow(measured: Site, size: int) -> None:
    """Bring the table to so many rows, all of them sent. Its indexes are made anew behind them, which is faster."""
    have = _count(measured.engine)
    offset = backlog.last_key(measured.engine)
    indexes = _secondary_indexes(measured.engine)
    run = measured.database.execute
    run(f"SET GLOBAL innodb_buffer_pool_size = {FILLING_POOL}", "SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    # By name, as the flag's index is needed as migrate made it, and costs little: its entries come in order.
    run(f"ALTER TABLE is22.{TABLE} " + ", ".join(f"DROP KEY {name}" for name in indexes))
    for first in range(have, size, AT_ONCE):
        some = min(AT_ONCE, size - first)
        run("USE is22", _OLD_ROWS.format(offset=offset + first - have, rows=some))
    run(f"ALTER TABLE is22.{TABLE} " + ", ".join(f"ADD KEY {name} ({columns})" for name, columns in indexes.items()))
    run(f"SET GLOBAL innodb_buffer_pool_size = {POOL}", "SET GLOBAL innodb_flush_log_at_trx_commit = 1")


def idle(measured: Site, seconds: float) -> Idle:
    """What a worker costs the database while nothing waits."""
    worker = measured.start("worker")
    time.sleep(QUIET_SECONDS)
    asked, before = _counters(measured.engine), _counters(measured.engine)
    cpu, began = cpu_seconds(measured.database.child.pid), time.monotonic()
    time.sleep(seconds)
    minutes = (time.monotonic() - began) / 60
    cpu = cpu_seconds(measured.database.child.pid) - cpu
    # Without what asking for them adds to them.
    statements, examined = (
        (now - then - (then - first)) / minutes
        for first, then, now in zip(asked, before, _counters(measured.engine), strict=True)
    )
    worker.terminate()
    return Idle(statements, examined, cpu / minutes)


def carry_tables(directory: Path, tables: Sequence[str], rows: int, workers: int) -> Carried:
    """So many rows in each of the tables, carried by one worker or by one for each of them."""
    with site(directory, database_share=1) as measured:  # else each worker makes room for the others
        backlog.add_indexes(measured.engine)
        for name in tables:
            backlog.fill(measured.engine, rows, name)
        each = [("--table", name) for name in tables]
        shared = [[option for options in each for option in options]]
        return carry(measured, rows * len(tables), tables=tables, workers=shared if workers == 1 else each)


def of_sizes(sizes: Sequence[Size]) -> Sequence[Figure]:
    """What each size showed, and the largest against the smallest."""
    figures = [
        figure
        for size in sizes
        for figure in (
            Figure(f"rate, {size.synced:,} rows synced", size.carried.rate_before_tail, "rows/s"),
            Figure(f"at rest, {size.synced:,}: statements", size.idle.statements, "a minute"),
            Figure(f"at rest, {size.synced:,}: rows examined", size.idle.rows_examined, "a minute"),
            Figure(f"at rest, {size.synced:,}: CPU of MariaDB", size.idle.cpu_seconds, "s a minute"),
        )
    ]
    least, most = sizes[0], sizes[-1]
    return [
        *figures,
        Figure("rate, most to fewest synced", most.carried.rate_before_tail / least.carried.rate_before_tail, ""),
        Figure("statements, the same", most.idle.statements / least.idle.statements, "", at_most(1.2)),
        Figure("rows examined, the same", most.idle.rows_examined / least.idle.rows_examined, "", at_most(1.2)),
    ]


def of_workers(tables: int, one: Carried, each: Carried, at_least_times: float | None = None) -> Sequence[Figure]:
    """One worker for all of the tables against one for each."""
    goal = None if at_least_times is None else at_least(at_least_times)
    return [
        Figure(f"{tables} tables, 1 worker", one.rate_before_tail, "rows/s"),
        Figure(f"{tables} tables, 1 worker: cores busy", one.busy_cores, ""),
        Figure(f"{tables} tables, {tables} workers", each.rate_before_tail, "rows/s"),
        Figure(f"{tables} tables, {tables} workers: cores busy", each.busy_cores, ""),
        Figure(f"{tables} workers to 1", each.rate_before_tail / one.rate_before_tail, "", goal),
    ]


def _count(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT COUNT(*) FROM {TABLE}")) or 0)  # noqa: S608  ours


def _secondary_indexes(engine: Engine) -> dict[str, str]:
    """The columns of each, as DDL has them; without the flag's own."""
    query = text(
        "SELECT index_name, GROUP_CONCAT(CONCAT(column_name, IFNULL(CONCAT('(', sub_part, ')'), ''))"
        " ORDER BY seq_in_index) FROM information_schema.statistics WHERE table_schema = DATABASE()"
        " AND table_name = :name AND index_name NOT IN ('PRIMARY', 'bq_sync_flag') GROUP BY index_name"
    )
    with engine.connect() as connection:
        return {str(name): str(columns) for name, columns in connection.execute(query, {"name": TABLE})}


def _counters(engine: Engine) -> tuple[int, int]:
    """Statements that the server has heard, and rows that it has read for them."""
    with engine.connect() as connection:
        questions = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Questions'")).one()[1]
        reads = connection.execute(text("SHOW GLOBAL STATUS LIKE 'Handler_read_%'")).all()
    return int(questions), sum(int(value) for _, value in reads)


if __name__ == "__main__":
    main()
