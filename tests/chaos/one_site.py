"""One site under attack: its database and dataset, a camera that fills it, and the worker processes that carry it."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from random import Random, SystemRandom

import pytest
from sqlalchemy import create_engine, make_url, text
from sqlalchemy.exc import DBAPIError

from config.files import CHECKOUT_FILE
from config.settings import Settings, load
from database.commands import CommandKind, request
from delivery.complete import CHUNK
from operations.migrate import migrate_up
from sandbox.camera import Camera, run
from sandbox.camera_tables import create_tables
from sandbox.child import Child
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.progress import Progress
from sandbox.proxy import Proxy
from tests.chaos.doomed_worker import WATCHED, Fate, Point, reached
from tests.chaos.warm import WarmWorker

FULL = bool(os.environ.get("CHAOS_FULL"))
thorough = pytest.mark.thorough  # a case for `make chaos` that `make test` leaves out
SEED = "CHAOS_SEED"

# What waits before a worker comes.
BACKLOG = (
    {"detection_logs": 20_000, "ai_summary_cache": 500, "is21_logs": 5_000}
    if FULL
    else {"detection_logs": 1_600, "ai_summary_cache": 40, "is21_logs": 360}
)
SMALL = 200  # a batch that is completed in one transaction
LARGE = CHUNK + 100  # one whose flags are set in several

PRODUCER_RATE = 150.0  # rows a second beside that

DRAIN_SECONDS = 300.0 if FULL else 60.0
START_SECONDS = 60.0  # until a worker does what it is waited for
TAKE_OVER_SECONDS = 15.0  # what is promised: from a worker's end, or its freezing, to its successor's work


class Site:
    """A site with the three shipped tables; `settings` are set through the environment, as BQ_SYNC_<NAME>.

    `environment` is added to the workers' own, and wins.
    """

    def __init__(
        self,
        mariadb: MariaDB,
        emulator: Emulator,
        name: str,
        directory: Path,
        environment: Mapping[str, str] | None = None,
        **settings: object,
    ) -> None:
        self.name = name
        self.mariadb = mariadb
        self._emulator = emulator
        self._directory = directory
        self._workers: list[Child] = []
        self._commands: list[Child] = []
        mariadb.create_database(name)
        emulator.create_dataset(name)
        emulator.create_shipped_tables(name)
        chosen = {
            "enabled": True,
            "database_url": mariadb.url(name),
            "project_id": emulator.project,
            "dataset_id": name,
            "interval_seconds": 1,
            "batch_size": SMALL,
            "database_share": 0.2,  # twice as much as shipped: rests that are half as long
            **settings,
        }
        self._environment = {f"BQ_SYNC_{name.upper()}": str(value) for name, value in chosen.items()}
        self._environment |= emulator.environment() | {"PYTHONUNBUFFERED": "1"} | dict(environment or {})
        self.settings: Settings = load(os.environ | self._environment)
        # Outlives the server, and a comparison that takes its time; database.engine's sessions are short of patience.
        utc = {"init_command": "SET time_zone = '+00:00'"}
        self._engine = create_engine(mariadb.url(name), pool_pre_ping=True, connect_args=utc)
        self._camera = Camera(self._engine)
        create_tables(self._engine)
        migrate_up(self._engine, self.settings, "send", print)

    def close(self) -> None:
        """End its processes. Its rows go when the servers go, which a test may have ended by now."""
        for child in (*self._workers, *self._commands):
            child.kill()
        self._engine.dispose()

    # its rows

    def fill(self) -> None:
        """Insert BACKLOG; half of the rows are enqueued."""
        for table, rows in BACKLOG.items():
            self._camera.insert(table, rows)

    def add_a_row(self) -> None:
        """Insert one row into each table, which is found by its flag alone."""
        camera = Camera(self._engine, enqueue_share=0)
        for table in self.settings.tables:
            camera.insert(table, 1)

    @contextmanager
    def producing(self) -> Iterator[None]:
        """The camera inserts meanwhile, and waits for a database that is away."""
        stopped = threading.Event()
        thread = threading.Thread(
            target=run, args=(self._camera, stopped), kwargs={"rate": PRODUCER_RATE, "rows": None}
        )
        thread.start()
        try:
            yield
        finally:
            stopped.set()
            thread.join()

    def waiting(self) -> int:
        """Rows, items and batches that aren't done with."""
        with closing(self._emulator.client()) as client:
            return Progress(self._engine, client, self.settings).waiting()

    def insert(self, table: str, rows: int) -> None:
        """Insert so many rows into the table; half of them are enqueued."""
        self._camera.insert(table, rows)

    def run(self, statement: str) -> None:
        with self._engine.begin() as connection:
            connection.execute(text(statement))

    def keys(self, table: str, up_to: int) -> list[int]:
        """The ids of the table's rows, up to one."""
        with self._engine.connect() as connection:
            query = f"SELECT id FROM {table} WHERE id <= :up_to ORDER BY id"
            return list(connection.scalars(text(query), {"up_to": up_to}))

    def sent(self, table: str) -> int:
        """How many rows of the table are in BigQuery."""
        name = f"{self.settings.project_id}.{self.settings.dataset_id}.{self.settings.tables[table].destination}"
        with closing(self._emulator.client()) as client:
            (row,) = client.query_and_wait(f"SELECT COUNT(*) FROM `{name}`")
            return int(row[0])

    def ask(self, kind: CommandKind, table: str) -> None:
        """Ask the table's owner for it, whoever that is."""
        with self._engine.begin() as connection:
            request(connection, kind, [table])

    def number(self, query: str, **values: object) -> int:
        """The one number that a query of the site's database returns."""
        with self._engine.connect() as connection:
            return int(connection.execute(text(query), values).scalar_one())

    def tokens(self) -> dict[str, str]:
        """Who owns each table: its lease's token."""
        with self._engine.connect() as connection:
            rows = connection.execute(text("SELECT name, token FROM bq_sync_lease"))
            return {row.name: row.token for row in rows}

    def taken_over(self, before: dict[str, str]) -> float:
        """Wait until every table has a new owner that carries it, and return how long that took, in seconds."""

        def carried() -> bool:
            with self._engine.connect() as connection:
                running = set(connection.scalars(text("SELECT table_name FROM bq_sync_table WHERE state = 'running'")))
            return self._all_new(before) and running >= self.settings.tables.keys()

        return until(carried, START_SECONDS, "every table has a new owner", self.logs)

    def leased_anew(self, before: dict[str, str]) -> None:
        """Wait until every table has a new lease; recovery is still to come."""
        until(lambda: self._all_new(before), START_SECONDS, "every table has a new lease", self.logs)

    def _all_new(self, before: dict[str, str]) -> bool:
        tokens = self.tokens()
        return all(table in tokens and tokens[table] != before.get(table) for table in self.settings.tables)

    def carried_on(self) -> None:
        """Wait for the next few batches of detections, and demand that there is more to do after them."""
        done = self.batches("completed")
        until(
            lambda: self.batches("completed") >= done + 5, START_SECONDS, "five more batches are completed", self.logs
        )
        assert self.waiting() > 100, "the backlog is too small for this test"

    def open_batches(self) -> int:
        """Batches of all tables that are neither completed nor taken back."""
        return self.number("SELECT COUNT(*) FROM bq_sync_batch WHERE state IN ('begun', 'appended')")

    def batches(self, state: str) -> int:
        """The watched table's batches in this state."""
        query = "SELECT COUNT(*) FROM bq_sync_batch WHERE table_name = :table AND state = :state"
        return self.number(query, table=WATCHED, state=state)

    def dump(self, file: Path) -> None:
        self.mariadb.dump(self.name, file)

    def restore(self, file: Path) -> None:
        self.mariadb.restore(self.name, file)

    # its workers

    def worker(self, *arguments: str) -> Child:
        """Start a worker process."""
        log = self._directory / f"worker-{len(self._workers) + 1}.log"
        if "LD_PRELOAD" in self._environment:  # that library has to be there from the process's start
            command = [sys.executable, "-m", "tests.chaos.doomed_worker", *arguments]
            child = Child("the worker", command, log, environment=self._environment, directory=CHECKOUT_FILE.parents[1])
        else:
            child = WarmWorker(log, arguments, self._environment)
        child.start()
        self._workers.append(child)
        return child

    def command(self, *arguments: str) -> Child:
        """Start `bq-sync` with these arguments."""
        log = self._directory / f"command-{len(self._commands) + 1}.log"
        call = "from cli.main import main; main()"
        child = Child(
            "bq-sync",
            [sys.executable, "-c", call, *arguments],
            log,
            environment=self._environment,
            directory=CHECKOUT_FILE.parents[1],
        )
        child.start()
        self._commands.append(child)
        return child

    def through(self, *, database: Proxy | None = None, rest: Proxy | None = None, write: Proxy | None = None) -> None:
        """Let workers that start from now on reach MariaDB, BigQuery's REST API, or its appends through a proxy."""
        if database is not None:
            url = make_url(self.mariadb.url(self.name)).set(port=database.port)
            self._environment["BQ_SYNC_DATABASE_URL"] = url.render_as_string(hide_password=False)
        if rest is not None:
            self._environment["BIGQUERY_EMULATOR_HOST"] = f"http://127.0.0.1:{rest.port}"
        if write is not None:
            self._environment["BQ_SYNC_STORAGE_ENDPOINT"] = f"127.0.0.1:{write.port}"

    def doomed(self, point: Point, fate: Fate, nth: int = 1) -> Child:
        """Start a worker that ends, or stops, by itself at the point's n-th time."""
        return self.worker("--at", point, "--how", fate, "--nth", str(nth))

    def killed_at_random(self, random: Random, kills: int, longest: float) -> Iterator[None]:
        """Kill one worker after another, each within so many seconds of its first lease; yields after each."""
        for _ in range(kills):
            owners = self.tokens()
            worker = self.worker()
            self.leased_anew(owners)
            time.sleep(random.uniform(0, longest))
            worker.kill()
            yield

    def drain(self) -> None:
        """Wait until nothing is left to be done; MariaDB is asked, since it is the cheaper one."""
        until(lambda: self.waiting() == 0, DRAIN_SECONDS, "nothing is left to be done", self.logs)

    def finish(self) -> None:
        """Let the workers do what is left, stop them, and demand that each row is in BigQuery once, with its values."""
        self.drain()
        for worker in self._workers:
            if worker.running:
                # One that was started a moment ago doesn't listen to signals yet.
                until(partial(said, worker, "\n"), START_SECONDS, f"{worker.log} begins", self.logs)
                code = worker.terminate()
                assert code == 0, f"the worker ended with {code}\n{worker.log_tail(40)}"
        with closing(self._emulator.client()) as client:
            compared = compare(self._engine, client, self.settings)
        assert compared.equal, f"{compared.report()}\n{self.logs()}"
        assert all(table.source_rows for table in compared.tables.values())

    def logs(self) -> str:
        """How the processes' logs end."""
        return "\n".join(f"--- {child.log}\n{child.log_tail(40)}" for child in (*self._workers, *self._commands))


def replayable() -> Random:
    """Random, and said: CHAOS_SEED replays its moments."""
    seed = int(os.environ.get(SEED, SystemRandom().randrange(1_000_000)))
    print(f"{SEED}={seed} replays this run's moments")
    return Random(seed)


def until(holds: Callable[[], bool], seconds: float, what: str, explain: Callable[[], str] = str) -> float:
    """Wait until something holds that can only be looked at, and return how long that took.

    A database that is away is a reason to look again.
    """
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        try:
            if holds():
                return time.monotonic() - began
        except DBAPIError:
            pass  # killed or frozen by the test
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:.0f} s: {what}\n{explain()}")


def died_at(worker: Child, point: Point) -> None:
    """The worker killed itself, at this point."""
    code = worker.wait(START_SECONDS)
    assert code == -9, f"the worker ended with {code}\n{worker.log_tail(40)}"
    assert said(worker, reached(point))


def froze_at(worker: Child, point: Point) -> None:
    """The worker stopped itself, at this point."""
    until(lambda: is_frozen(worker), START_SECONDS, f"frozen at {point}", lambda: worker.log_tail(40))
    assert said(worker, reached(point))


def is_frozen(worker: Child) -> bool:
    # The state stands behind the program's name, which is in parentheses.
    return Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def said(worker: Child, words: str) -> bool:
    """Whether the worker's log has these words."""
    return words in worker.log_text()
