"""What faults strike: one box with its database and workers, the lines that leave it, and BigQuery behind them."""

import io
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from sqlalchemy import create_engine
from sqlalchemy.exc import DBAPIError

from database.commands import CommandKind
from sandbox.child import Child
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.proxy import Proxy
from tests.chaos.false_clock import FalseClock
from tests.chaos.one_site import LARGE, Site
from tests.chaos.producers import Producers, take_back_promises
from tests.chaos.small_disk import SmallDisk
from tests.chaos.verdict import judge

NAME = "site"
ATTEMPTS = 10  # of ours in the database
WORKERS_USER = "worker"  # not the producers', so that connections can be told apart
WORKERS_PASSWORD = "sandbox"

# Of insert_all: longer than any fault holds back a request that arrives in the end.
SETTLE_SECONDS = 15


@dataclass(frozen=True)
class Variant:
    """How a site is set up."""

    workers: int
    flush_at_commit: int
    settings: dict[str, object]

    @classmethod
    def draw(cls, random: Random) -> Self:
        batch_size = random.choice([10, 40, 200, LARGE])
        settings: dict[str, object] = {
            "batch_size": batch_size,
            "max_batch_rows": random.choice([batch_size, 10_000]),
            "interval_seconds": random.choice([0.2, 0.5, 1]),
            "compression": random.choice(["none", "gzip"]),
            "write_method": random.choice(["storage_write", "storage_write", "storage_write", "insert_all"]),
        }
        return cls(random.choice([1, 2, 2, 3]), random.choice([1, 1, 2]), settings)

    def __str__(self) -> str:
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return f"workers {self.workers}, flush_log_at_trx_commit {self.flush_at_commit}, {settings}"


class Arena:
    """One site on servers of its own; `with` starts and ends them.

    Attributes:
        clock: of the box, which its database and workers share; None: it can't be set here.
        disk: that the database is on; None: it can't be filled here.
        lines: from the workers to the database and to BigQuery's two sides, by name.
        workers: those that should be alive.
        lost: ids in BigQuery of rows that a restored backup doesn't have.
        notes: what happened in the round, in a few words each.
        lacks: what can't be had here, `clock` or `disk`, and why.
    """

    def __init__(self, directory: Path, variant: Variant, seed: int) -> None:
        self.directory = directory
        self.variant = variant
        self._random = Random(f"{seed}/arena")
        self._open = ExitStack()
        self.clock: FalseClock | None = None
        self.disk: SmallDisk | None = None
        self.workers: list[Child] = []
        self.lost: set[str] = set()
        self.notes: list[str] = []
        self.lacks: dict[str, str] = {}

    def __enter__(self) -> Self:
        with ExitStack() as opened:
            self.directory.mkdir(parents=True)
            if problem := FalseClock.why_not():
                self.lacks["clock"] = problem
            else:
                self.clock = FalseClock(self.directory)
            if problem := SmallDisk.why_not(self.directory):
                self.lacks["disk"] = problem
            else:
                self.disk = SmallDisk(self.directory / "disk")
                opened.callback(self.disk.close)
            self._start(opened)
            self._open = opened.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._open.close()

    def _start(self, opened: ExitStack) -> None:
        on_the_box = {} if self.clock is None else self.clock.environment()
        place = self.directory if self.disk is None else self.disk.directory
        self.mariadb = MariaDB(
            place / "mariadb", on_the_box, innodb_flush_log_at_trx_commit=self.variant.flush_at_commit
        )
        self.emulator = Emulator(self.directory / "emulator", persistent=True)
        opened.enter_context(self.mariadb)
        opened.enter_context(self.emulator)
        opened.callback(self._thaw_servers)  # what is frozen couldn't end
        ports = {"database": self.mariadb.port, "streams": self.emulator.grpc_port, "REST": self.emulator.rest_port}
        self.lines = {
            name: opened.enter_context(Proxy("127.0.0.1", port, Random(self._random.random())))
            for name, port in ports.items()
        }
        self.mariadb.execute(f"GRANT ALL ON *.* TO '{WORKERS_USER}'@'%' IDENTIFIED BY '{WORKERS_PASSWORD}'")
        with redirect_stdout(io.StringIO()):  # what migrate says
            self.site = Site(
                self.mariadb,
                self.emulator,
                NAME,
                self.directory,
                environment={**on_the_box, **self._through_the_lines()},
                stream_settle_seconds=1,
                lookup_settle_seconds=SETTLE_SECONDS,
                retention_schedule="never",
                **self.variant.settings,
            )
        opened.callback(self.site.close)
        utc = {"init_command": "SET time_zone = '+00:00'"}
        self.engine = create_engine(self.mariadb.url(NAME), pool_pre_ping=True, connect_args=utc)
        opened.callback(self.engine.dispose)
        self.keep_workers()

    def _through_the_lines(self) -> dict[str, str]:
        ports = {name: line.port for name, line in self.lines.items()}
        return {
            "BQ_SYNC_DATABASE_URL": (
                f"mysql+pymysql://{WORKERS_USER}:{WORKERS_PASSWORD}@127.0.0.1:{ports['database']}/{NAME}"
            ),
            "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{ports['REST']}",
            "BQ_SYNC_STORAGE_ENDPOINT": f"127.0.0.1:{ports['streams']}",
        }

    # its rows

    @contextmanager
    def producing(self, seed: int) -> Iterator[None]:
        """Producers work meanwhile; faults find them as `producers`."""
        self.producers = Producers(self.engine, str(seed))
        with self.producers.running():
            yield

    def rows(self) -> int:
        """How many there are in all tables."""
        return sum(self.site.number(f"SELECT COUNT(*) FROM `{table}`") for table in self.keys)

    def bigquery_id(self, table: str, key: int) -> str:
        """What a row of a shipped table is called in BigQuery."""
        return {"detection_logs": "det_{}", "ai_summary_cache": "SUM-{}", "is21_logs": "inf_{}"}[table].format(key)

    @property
    def keys(self) -> dict[str, str]:
        """The primary key's column of each table."""
        return {name: table.primary_key for name, table in self.site.settings.tables.items()}

    # its workers

    def start_worker(self, *arguments: str) -> Child:
        worker = self.site.worker(*arguments)
        self.workers.append(worker)
        return worker

    def kill_workers(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    def keep_workers(self) -> None:
        """As many as there should be: a supervisor starts those anew that ended by themselves."""
        for worker in [worker for worker in self.workers if not worker.running]:
            self.workers.remove(worker)
            self.notes.append(f"a worker ended by itself with {worker.wait(0)}")
        while len(self.workers) < self.variant.workers:
            self.start_worker()

    def owners(self) -> dict[str, str]:
        """The token of each table's lease; nothing while the database is away."""
        try:
            tokens = self.site.tokens()
        except DBAPIError:
            return {}
        return {table: tokens[table] for table in self.keys if table in tokens}

    # after the faults

    def heal(self) -> None:
        """Make good what a fault has left: then everything must go on by itself."""
        self._thaw_servers()
        if self.disk is not None:
            self.disk.free()
        if self.clock is not None:
            self.clock.set(0)
        for line in self.lines.values():
            line.delay, line.kbps, line.loss = 0.0, None, 0.0
            line.restore()
        if not self.mariadb.child.running:
            self.notes.append("MariaDB ended by itself")
            self.mariadb.start()
        if not self.emulator.child.running:
            self.notes.append("the emulator ended by itself")
            self.emulator.start()
        for worker in self.workers:
            worker.thaw()
        self._random.shuffle(self.workers)
        for worker in self.workers[self.variant.workers :]:
            worker.terminate() if self._random.random() < 0.5 else worker.kill()
            self.workers.remove(worker)
        self.keep_workers()

    def take_back_promises(self) -> None:
        self.insist(lambda: take_back_promises(self.engine, self.keys))

    def flush(self) -> None:
        """Ask for everything that waits, as an operator who is in a hurry does."""
        for table in self.keys:
            self.insist(partial(self.site.ask, CommandKind.FLUSH, table))

    def insist(self, work: Callable[[], None]) -> None:
        """Do it again after a deadlock or a lock wait timeout, as a client of a busy database has to."""
        for _ in range(ATTEMPTS - 1):
            try:
                work()
            except DBAPIError:
                time.sleep(0.2)
            else:
                return
        work()

    def is_drained(self) -> bool:
        """Whether nothing is left to be done; starts workers that ended by themselves."""
        self.keep_workers()
        try:
            return self.site.waiting() == 0
        except DBAPIError:
            return False

    def judge(self) -> int:
        """As `verdict.judge`."""
        return judge(self.engine, self.emulator, self.site.settings, self.lost)

    def stop_workers(self) -> None:
        """Ask all to end; nothing may come after that."""
        for worker in self.workers:
            worker.terminate()
        self.workers.clear()

    def _thaw_servers(self) -> None:
        self.mariadb.thaw()
        self.emulator.thaw()
