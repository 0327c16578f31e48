"""What a camera server feels of bq-sync: `python -m bench.gentleness [--rounds 3] [--seconds 10] [--backlog 150000]`.

On a private MariaDB and emulator, three producers, one after the other, each a process of its own whose every statement
is a transaction: one that inserts rows of about 1 KB as fast as it can, one that inserts 50 a second, and one that
changes 50 rows a second, at random among those that wait, as a camera server does that completes its rows later. Each
goes through these phases, again and again, in turn forwards and backwards, so that a machine that gets slower or faster
meanwhile does so for all of them alike; compared are the medians of the rounds.

- without: bq-sync doesn't run.
- idle: it runs, and nothing is there for it to carry: the producer's rows are history (their flag is NULL).
- following: it carries the producer's own rows as they come, and nothing else waits. That is every day.
- catching up: it carries a backlog too; the phase ends with it, should the producer take longer.
- beside the emulator: the same, with the emulator at everybody's priority.

Worker and API run as deploy/systemd has them: with CPUWeight=idle. BigQuery is far away from a real box, and the
emulator is on this one: but for the last phase it has only the processor time that nobody else wants. What the
producer loses more in that phase is the emulator's doing. With --one-core the box (MariaDB, producer, bq-sync) is one
core, and the emulator has the others to itself.

A lock wait of over 50 ms makes the statement that waited take as long. So there are at most as many as the producer had
such statements, and as the server counted waits for row locks in the phase. What the server wrote to its redo log for
each row that bq-sync carried is measured without a producer, and once more with a binary log.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import Engine, text

from bench import backlog, priority
from bench.backlog import TABLE
from bench.figures import Figure, Goal, Report, at_least, at_most, command_of, deliver, parser
from bench.latency import percentile
from bench.priority import Background
from bench.producer import Commit, Order, Producer
from bench.site import LOOK_SECONDS, Site, site_on
from database.commands import Following, read_following, set_paused
from sandbox.child import Child
from sandbox.mariadb import MariaDB

WITHOUT, IDLE, FOLLOWING = "without", "idle", "following"
CATCHING_UP, BESIDE = "catching up", "beside the emulator"
FAST, STEADY, TOUCHING = "as fast as it can", "50 rows/s", "50 changes/s"
PHASES: Mapping[str, Sequence[str]] = {
    FAST: (WITHOUT, IDLE, FOLLOWING, CATCHING_UP, BESIDE),
    STEADY: (WITHOUT, IDLE, FOLLOWING, CATCHING_UP, BESIDE),
    TOUCHING: (WITHOUT, CATCHING_UP),
}
BACKLOGGED = (CATCHING_UP, BESIDE)
RATE = 50.0
LONG_MS = 50.0
WARM_UP_SECONDS = 1.0
SETTLE_SECONDS = 1.0  # for what the phase before has left the server to do
LONGEST_SECONDS = 600.0  # that anything is waited for
SMALL = {"rounds": 1, "seconds": 1.5, "backlog": 30_000, "redo_rows": 2_000, "producer": FAST}


class TooFewRowsError(Exception):
    """There is nothing to measure; says which option has to be larger."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A producer's commits in one phase, and what the server counted meanwhile.

    Attributes:
        long: commits that took over LONG_MS.
        waits: for row locks; `waited_ms` in all.
        carried: rows a second that bq-sync marked.
        redo: bytes of the redo log.
    """

    producer: str
    name: str
    commits: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    long: int
    waits: int
    waited_ms: int
    carried: float
    redo: int

    @property
    def per_second(self) -> float:
        return self.commits / self.seconds

    @property
    def long_waits(self) -> int:
        """The most that there can have been."""
        return min(self.long, self.waits)


@dataclass(frozen=True, slots=True)
class Written:
    """What the server wrote while it let so many rows be carried, in bytes: redo log, binary log, all of InnoDB."""

    rows: int
    redo: int
    binlog: int
    all: int


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--rounds", type=int, default=3)
    made.add_argument("--seconds", type=float, default=10.0, help="that a phase is measured")
    made.add_argument("--backlog", type=int, default=150_000, help="rows that wait when a phase of catching up begins")
    made.add_argument("--redo-rows", type=int, default=20_000, help="that are carried for what is written per row")
    made.add_argument("--producer", choices=list(PHASES), help="one of them alone")
    made.add_argument("--one-core", action="store_true", help="everything but the emulator on one core")
    arguments = made.parse_args()
    if arguments.small:
        made.set_defaults(**SMALL)
        arguments = made.parse_args()
    producers = [arguments.producer] if arguments.producer else list(PHASES)
    logs = {"": {}} if arguments.small else {"": {}, ", with a binary log": {"log_bin": True, "sync_binlog": 1}}
    if arguments.one_core:
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # all that is started from here on
    phases: list[Phase] = []
    longest_wait = 0
    with priority.background() as background:
        for producer in producers:
            found, longest = measure(producer, background, arguments)
            phases += found
            longest_wait = max(longest_wait, longest)
    written = {name: written_per_row(arguments.redo_rows, options) for name, options in logs.items()}
    deliver(report(phases, longest_wait, written, background.is_idle), arguments.json)


def measure(producer: str, background: Background, arguments: argparse.Namespace) -> tuple[list[Phase], int]:
    """All rounds of a producer, on a site of their own; and the longest wait for a row lock in it, in milliseconds."""
    with _site(arguments.one_core, {}) as measured:
        backlog.add_indexes(measured.engine)
        backlog.fill(measured.engine, arguments.backlog)
        box = Box(measured, background, arguments.backlog)
        phases = []
        for number in range(arguments.rounds):
            names = [name for name in PHASES[producer] if name != BESIDE or os.geteuid() == 0]
            for name in names if number % 2 == 0 else reversed(names):
                box.prepare(name)
                phases.append(run(measured, producer, name, arguments.seconds, arguments.backlog))
        return phases, _status(measured.engine)["Innodb_row_lock_time_max"]


def run(measured: Site, producer: str, name: str, seconds: float, waiting: int) -> Phase:
    """`waiting`: so many rows may wait, of which some are changed.

    Where a backlog is carried, what the producer did after its last row isn't looked at.
    """
    last = _last_waiting(measured.engine) if name in BACKLOGGED else backlog.last_key(measured.engine)
    order = Order(
        rate=None if producer == FAST else RATE,
        seconds=seconds,
        warm_up=WARM_UP_SECONDS,
        history=name in (WITHOUT, IDLE),
        touch=(max(1, last - waiting + 1), last) if producer == TOUCHING else None,
    )
    began, before = time.monotonic(), _status(measured.engine)
    process = Producer(measured.url, order, measured.directory / "producer.log")
    while process.running and not (name in BACKLOGGED and _is_carried(measured.engine, last)):
        time.sleep(LOOK_SECONDS)
    ended, after = time.monotonic(), _status(measured.engine)
    counted = {status: after[status] - before[status] for status in after}
    commits = [commit for commit in process.commits() if commit.ended < ended]
    if not commits:
        raise TooFewRowsError(f"the backlog of {waiting} rows was carried before the producer began: --backlog")
    return summary(producer, name, commits, counted, ended - began)


def summary(
    producer: str, name: str, commits: Sequence[Commit], counted: Mapping[str, int], counted_seconds: float
) -> Phase:
    """`counted`: by the server and by bq-sync, within so many seconds, which are more than the commits'."""
    took = [commit.milliseconds for commit in commits]
    return Phase(
        producer,
        name,
        len(commits),
        commits[-1].ended - commits[0].began,
        percentile(took, 0.5),
        percentile(took, 0.99),
        max(took),
        sum(each > LONG_MS for each in took),
        counted["Innodb_row_lock_waits"],
        counted["Innodb_row_lock_time"],
        counted["carried"] / counted_seconds,
        counted["Innodb_os_log_written"],
    )


class Box:
    """Brings bq-sync, the emulator and the backlog into the state that a phase begins with."""

    def __init__(self, measured: Site, background: Background, backlog_rows: int) -> None:
        self._background = background
        self._engine = measured.engine
        self._batch_size = measured.settings.batch_size
        self._rows = backlog_rows
        self._worker, self._api = (measured.child(command) for command in ("worker", "api"))
        self._emulator = measured.emulator.child.pid

    def prepare(self, name: str) -> None:
        """Returns when everything has come to rest but what the phase is about."""
        (self._background.release if name == BESIDE else self._background.take)(self._emulator)
        if name == WITHOUT:
            self._worker.terminate()
            self._api.terminate()
            time.sleep(SETTLE_SECONDS)
            return
        if not self._worker.running:
            self._start()
        if name in BACKLOGGED:
            self._pause()
            if (missing := self._rows - _waiting(self._engine)) > 0:
                backlog.fill(self._engine, missing)
            time.sleep(SETTLE_SECONDS)
            self._resume()
        else:
            _until(lambda: _waiting(self._engine) < self._batch_size, self._worker)
            time.sleep(SETTLE_SECONDS)

    def _start(self) -> None:
        for child in (self._worker, self._api):
            child.start()
            self._background.take(child.pid)
        self._resume()

    def _pause(self) -> None:
        with self._engine.begin() as connection:
            set_paused(connection, [TABLE], True)
        _until(lambda: TABLE in self._following().noted_paused, self._worker)

    def _resume(self) -> None:
        """Returns when rows are carried again."""
        with self._engine.begin() as connection:
            set_paused(connection, [TABLE], False)
        carried = _carried(self._engine)
        if not _waiting(self._engine):
            backlog.fill(self._engine, 1)
        _until(lambda: _carried(self._engine) > carried, self._worker)

    def _following(self) -> Following:
        with self._engine.connect() as connection:
            return read_following(connection, [TABLE])


def written_per_row(rows: int, options: Mapping[str, str | int | bool]) -> Written:
    """What is written for each row that is carried, without a producer."""
    with _site(one_core=False, options=options) as measured:
        backlog.add_indexes(measured.engine)
        backlog.fill(measured.engine, rows)
        worker = measured.child("worker")
        time.sleep(SETTLE_SECONDS)
        before = _status(measured.engine)
        worker.start()
        _until(lambda: _waiting(measured.engine) < measured.settings.batch_size, worker)
        time.sleep(SETTLE_SECONDS)
        after = _status(measured.engine)
    counted = {status: after[status] - before[status] for status in after}
    return Written(
        counted["carried"],
        counted["Innodb_os_log_written"],
        counted["Binlog_bytes_written"],
        counted["Innodb_data_written"],
    )


def report(phases: Sequence[Phase], longest_wait: int, written: Mapping[str, Written], is_idle: bool = True) -> Report:
    notes = []
    if not is_idle:
        notes.append("bq-sync and the emulator ran with a low weight only, not in an idle group: others wait for them")
    if os.geteuid():
        notes.append("not measured beside the emulator: only root may give it back its priority")
    figures = [
        *(figure for producer in dict.fromkeys(phase.producer for phase in phases) for figure in _of(producer, phases)),
        Figure("waits for row locks over 50 ms, at most", sum(p.long_waits for p in phases), "", at_most(0)),
        Figure("longest wait for a row lock", longest_wait, "ms", at_most(LONG_MS)),
        *(
            figure
            for name, each in written.items()
            for figure in (
                Figure(f"redo log per row carried{name}", each.redo / each.rows, "bytes"),
                *([Figure("binary log per row carried", each.binlog / each.rows, "bytes")] if each.binlog else []),
            )
        ),
        *_of_an_insert(phases),
    ]
    raw = {"phases": [asdict(each) for each in phases], "written": {name: asdict(w) for name, w in written.items()}}
    return Report("Gentleness", command_of("gentleness"), figures, notes, raw)


def _of(producer: str, phases: Sequence[Phase]) -> Iterator[Figure]:
    """A producer's throughput and latency without bq-sync, and those of the other phases in relation to them."""
    median = {phase.name: phase for phase in _medians(phases) if phase.producer == producer}
    without = median.pop(WITHOUT)
    yield Figure(f"{producer}, without: throughput", without.per_second, "rows/s")
    yield Figure(f"{producer}, without: p50", without.p50_ms, "ms")
    yield Figure(f"{producer}, without: p99", without.p99_ms, "ms")
    for name, phase in median.items():
        strict = name == CATCHING_UP
        yield _ratio(f"{producer}, {name}: throughput", phase.per_second, without.per_second, strict, at_least(0.95))
        yield _ratio(f"{producer}, {name}: p50", phase.p50_ms, without.p50_ms)
        yield _ratio(f"{producer}, {name}: p99", phase.p99_ms, without.p99_ms, strict, at_most(1.25))
        if name != IDLE:
            yield Figure(f"{producer}, {name}: rows carried meanwhile", phase.carried, "rows/s")
    if producer == FAST and BESIDE in median:
        lost, with_emulator = (1 - median[name].per_second / without.per_second for name in (CATCHING_UP, BESIDE))
        share = max(0.0, 1 - max(0.0, lost) / with_emulator) if with_emulator > 0 else 0.0
        yield Figure("of what it loses beside the emulator, the emulator's share", 100 * share, "%")


def _ratio(name: str, value: float, base: float, strict: bool = False, goal: Goal | None = None) -> Figure:
    return Figure(f"{name}, of that without", value / base, "", goal if strict else None)


def _of_an_insert(phases: Sequence[Phase]) -> Iterator[Figure]:
    """For comparison: what the producer's own rows cost."""
    inserts = [phase for phase in phases if (phase.producer, phase.name) == (FAST, WITHOUT)]
    if inserts:
        yield Figure(
            "redo log per row inserted", sum(p.redo for p in inserts) / sum(p.commits for p in inserts), "bytes"
        )


def _medians(phases: Sequence[Phase]) -> Iterator[Phase]:
    """For each producer and phase one, in which each number is the median of the rounds'."""
    for producer, name in dict.fromkeys((phase.producer, phase.name) for phase in phases):
        rounds = [asdict(each) for each in phases if (each.producer, each.name) == (producer, name)]
        numbers = [field for field, value in rounds[0].items() if not isinstance(value, str | bool)]
        middle = {field: statistics.median(each[field] for each in rounds) for field in numbers}
        yield Phase(**(rounds[0] | middle))


@contextmanager
def _site(one_core: bool, options: Mapping[str, str | int | bool]) -> Iterator[Site]:
    with (
        tempfile.TemporaryDirectory(prefix="bq-sync-gentleness-") as directory,
        MariaDB(Path(directory) / "mariadb", None, **options) as server,
        site_on(server, Path(directory), retention_schedule="never") as measured,
    ):
        if one_core:
            others = set(range(os.cpu_count() or 1)) - os.sched_getaffinity(0)
            priority.pin(measured.emulator.child.pid, others)
        yield measured


def _until(reached: Callable[[], bool], worker: Child) -> None:
    """Wait for it, for as long as the worker runs.

    Raises:
        ChildError: it ended, or it takes too long.
    """
    deadline = time.monotonic() + LONGEST_SECONDS
    while not reached():
        if not worker.running or time.monotonic() > deadline:
            raise worker.failure("didn't get on")
        time.sleep(LOOK_SECONDS)


def _waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT COUNT(*) FROM {TABLE} WHERE synced_to_bq = 0")) or 0)  # noqa: S608  ours


def _last_waiting(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text(f"SELECT MAX(id) FROM {TABLE} WHERE synced_to_bq = 0")) or 0)  # noqa: S608  ours


def _is_carried(engine: Engine, key: int) -> bool:
    with engine.connect() as connection:
        return bool(connection.scalar(text(f"SELECT synced_to_bq FROM {TABLE} WHERE id = {key}")))  # noqa: S608  ours


def _carried(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT SUM(synced_rows) FROM bq_sync_table")) or 0)


def _status(engine: Engine) -> dict[str, int]:
    """What the server counts, and the rows that bq-sync does."""
    names = (
        "'Innodb_row_lock_waits', 'Innodb_row_lock_time', 'Innodb_row_lock_time_max', 'Innodb_os_log_written',"
        " 'Innodb_data_written', 'Binlog_bytes_written'"
    )
    with engine.connect() as connection:
        rows = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({names})"))
        return {name: int(value) for name, value in rows} | {"carried": _carried(engine)}


if __name__ == "__main__":
    main()
