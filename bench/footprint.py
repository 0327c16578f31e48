"""What bq-sync takes of a box while nothing happens: `python -m bench.footprint [--seconds 60]`.

On a private MariaDB and emulator, with the shipped configuration and its three tables. First how long it takes from
the start of a worker's process until a row that waits has its flag; several times, and the median. Then worker and API,
as processes of their own, let a few rows through and come to rest, until all that the last batches left open has
closed; and measured are memory and CPU of each process, and the statements that the database heard, by its own log,
in all and by kind. Then the same for `bq-sync run`, which is both in one process. Last, what memory goes for, by
importing each large library into an interpreter of its own.

Memory is what each process holds (RSS), with the pages of libraries that both have counted twice; `shared once` is
what they hold together (PSS). MB are of 1,000,000 bytes.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import text

from bench.backlog import TABLE, fill
from bench.figures import Figure, Goal, Report, at_most, command_of, deliver, parser
from bench.processes import cpu_seconds, peak_mb, rss_mb
from bench.site import Site, site
from database.commands import CommandKind, request
from sandbox.camera import Camera
from sandbox.child import Child
from sandbox.mariadb import MariaDB

PAGE = os.sysconf("SC_PAGE_SIZE")
MOST_MB, MOST_CPU, MOST_STATEMENTS = at_most(180), at_most(0.5), at_most(60)
TOGETHER: tuple[str, ...] = ("worker", "api")
ALONE: tuple[str, ...] = ("run",)
ROWS = 300  # that are let through before it comes to rest
LOOK_SECONDS = 0.02
LONGEST_SECONDS = 120.0
SMALL = {"seconds": 10.0, "settle": 2.0, "starts": 1}
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


@dataclass(frozen=True, slots=True)
class Process:
    """What one process held and used; `cpu_percent` of a core."""

    rss_mb: float
    pss_mb: float
    peak_mb: float
    cpu_percent: float


@dataclass(frozen=True, slots=True)
class Quiet:
    """What all processes took at rest, each by its command, and the statements a minute, by their kind."""

    processes: Mapping[str, Process]
    statements: Mapping[str, float]

    @property
    def rss_mb(self) -> float:
        return sum(each.rss_mb for each in self.processes.values())

    @property
    def pss_mb(self) -> float:
        return sum(each.pss_mb for each in self.processes.values())

    @property
    def cpu_percent(self) -> float:
        return sum(each.cpu_percent for each in self.processes.values())

    @property
    def statements_per_minute(self) -> float:
        return sum(self.statements.values())


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=60.0, help="how long the quiet is measured")
    made.add_argument("--settle", type=float, default=70.0, help="seconds until all is quiet")
    made.add_argument("--starts", type=int, default=3, help="how often a worker is started for the first row")
    arguments = made.parse_args()
    if arguments.small:
        made.set_defaults(**SMALL)
        arguments = made.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-footprint-") as directory, site(Path(directory)) as measured:
        starts = [seconds_to_first_row(measured) for _ in range(arguments.starts)]
        quiets = {
            commands: at_rest(measured, commands, arguments.settle, arguments.seconds) for commands in (TOGETHER, ALONE)
        }
    libraries = {name: _rss_of(f"import {name}") for name in LIBRARIES} | {"nothing": _rss_of("")}
    deliver(report(starts, quiets, libraries), arguments.json)


def seconds_to_first_row(measured: Site) -> float:
    """From the start of the worker's process to the flag of a row that waits."""
    fill(measured.engine, 1)
    worker = measured.child("worker")
    with measured.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        began = time.monotonic()
        worker.start()
        while connection.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {TABLE} WHERE synced_to_bq = 0)")):  # noqa: S608  ours
            if not worker.running or time.monotonic() > began + LONGEST_SECONDS:
                raise worker.failure("carried nothing")
            time.sleep(LOOK_SECONDS)
        took = time.monotonic() - began
    worker.terminate()
    return took


def at_rest(measured: Site, commands: Sequence[str], settle: float, seconds: float) -> Quiet:
    """Start these, let some rows through, and measure what they take when they have come to rest; then end them."""
    Camera(measured.engine).insert_mixed(ROWS)
    children = {command: measured.start(command) for command in commands}
    with measured.engine.begin() as connection:
        request(connection, CommandKind.FLUSH, list(measured.settings.tables))  # else the last ones wait their interval
    progress = measured.progress()
    while progress.waiting():
        time.sleep(0.5)
    time.sleep(settle)
    quiet = _quiet(measured, children, seconds)
    for child in children.values():
        child.terminate()
    return quiet


def _quiet(measured: Site, children: Mapping[str, Child], seconds: float) -> Quiet:
    cpu, began = {name: cpu_seconds(child.pid) for name, child in children.items()}, time.monotonic()
    with _logged(measured.database):
        time.sleep(seconds)
    took = time.monotonic() - began
    processes = {
        name: Process(
            rss_mb(child.pid),
            _pss_mb(child.pid),
            peak_mb(child.pid),
            100 * (cpu_seconds(child.pid) - cpu[name]) / took,
        )
        for name, child in children.items()
    }
    kinds = Counter(map(kind_of, _heard(measured)))
    return Quiet(processes, {kind: 60 * count / took for kind, count in kinds.most_common()})


@contextmanager
def _logged(server: MariaDB) -> Iterator[None]:
    """The server logs all statements, in place of those that it has logged before."""
    server.execute("SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = ON")
    yield
    server.execute("SET GLOBAL general_log = OFF")


def _heard(measured: Site) -> Sequence[str]:
    """The statements in the log, but for our own that ended it."""
    query = "SELECT argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
    with measured.engine.connect() as connection:
        return [heard for heard in connection.scalars(text(query)) if not heard.startswith("SET GLOBAL general_log")]


def kind_of(statement: str) -> str:
    """What the statement does, and with which tables: "SELECT bq_sync_queue"."""
    verb = statement.split(maxsplit=1)[0].upper()
    tables = dict.fromkeys(re.findall(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+`?(\w+)", statement))
    return " ".join([verb, ", ".join(table for table in tables if not table.startswith("anon"))]).strip()


def report(starts: Sequence[float], quiets: Mapping[tuple[str, ...], Quiet], libraries: Mapping[str, float]) -> Report:
    together = quiets[TOGETHER]
    figures = [
        Figure("from the start of the worker to the first row's flag", statistics.median(starts), "s"),
        *_of(together, "worker and API", MOST_MB, MOST_CPU, MOST_STATEMENTS),
        *_of(quiets[ALONE], "run"),
        *(
            Figure(f"worker and API: statements, {kind}", count, "a minute")
            for kind, count in together.statements.items()
        ),
        *(Figure(f"an interpreter that imports {name}", held, "MB") for name, held in libraries.items()),
    ]
    raw = {"starts": list(starts), "quiet": {" ".join(commands): asdict(quiet) for commands, quiet in quiets.items()}}
    return Report("Footprint", command_of("footprint"), figures, raw=raw)


def _of(
    quiet: Quiet, name: str, most_mb: Goal | None = None, most_cpu: Goal | None = None, most: Goal | None = None
) -> Iterator[Figure]:
    yield Figure(f"{name}: memory at rest", quiet.rss_mb, "MB", most_mb)
    yield Figure(f"{name}: memory at rest, shared once", quiet.pss_mb, "MB")
    yield Figure(f"{name}: CPU at rest", quiet.cpu_percent, "% of a core", most_cpu)
    yield Figure(f"{name}: statements at rest", quiet.statements_per_minute, "a minute", most)
    if len(quiet.processes) > 1:
        for command, process in quiet.processes.items():
            yield Figure(f"of them {command}: memory", process.rss_mb, "MB")
            yield Figure(f"of them {command}: CPU", process.cpu_percent, "% of a core")


def _pss_mb(pid: int) -> float:
    """What the process holds, with each page that others have too counted in parts."""
    found = re.search(r"^Pss:\s+(\d+) kB$", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found is not None
    return round(int(found[1]) * 1024 / 1e6, 1)


def _rss_of(code: str) -> float:
    report = f"import os\n{code}\nprint(open('/proc/self/statm').read().split()[1])"
    pages = subprocess.run([sys.executable, "-c", report], capture_output=True, text=True, check=True).stdout
    return round(int(pages) * PAGE / 1e6, 1)


if __name__ == "__main__":
    main()
