"""A site with everything real: a database, a dataset, and a worker in this process that carries rows between them."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import pykka
import pytest
from google.cloud import bigquery
from google.cloud.bigquery import DEFAULT_RETRY, Client
from sqlalchemy import Engine, text

from actors import command_reader, worker
from actors.measures import WorkerInstruments
from actors.parts import Clock, Scheduler
from actors.table import OpenedTable
from actors.worker import Opener, Worker
from bigquery.connect import Clients
from config.settings import Settings, load
from database.commands import CommandKind, CommandState, Outcome, outcomes, request
from database.engine import Engines, connect
from operations.migrate import migrate_up
from operations.source_changes import History
from sandbox.mariadb import MariaDB

SECONDS = 30.0  # how long anything may take until it counts as never happening
INTERVAL_SECONDS = 0.1
RETRY = DEFAULT_RETRY.with_timeout(10)

Row = dict[str, Any]


class BigQuery(Protocol):
    """Where a site's rows go: the emulator, or what stands in front of it."""

    @property
    def storage_endpoint(self) -> str: ...

    def environment(self) -> dict[str, str]: ...

    def client(self) -> Client: ...

    def create_dataset(self, name: str) -> None: ...

    def drop_dataset(self, name: str) -> None: ...


@dataclass(frozen=True)
class Site:
    """A site with its settings. `waits_at_most` bounds every wait, in seconds."""

    settings: Settings
    url: str
    engine: Engine
    client: Client
    emulator: BigQuery
    waits_at_most: float = SECONDS

    # the database

    def run(self, *statements: str, **values: object) -> None:
        """Run the statements in one transaction."""
        with self.engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement), values)

    def read(self, query: str, **values: object) -> list[tuple[Any, ...]]:
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(query), values)]

    def enqueue(self, table: str, record_id: object, **columns: object) -> int:
        """Insert a queue item, as a producer in any language does; its id."""
        item = {"table_name": table, "record_id": str(record_id), **columns}
        names, places = ", ".join(item), ", ".join(f":{name}" for name in item)
        with self.engine.begin() as connection:
            inserted = connection.execute(text(f"INSERT INTO bq_sync_queue ({names}) VALUES ({places})"), item)
            return int(inserted.lastrowid)

    def item(self, item_id: int) -> tuple[Any, ...]:
        """An item's status, its last error, and whether it names a batch."""
        query = "SELECT sync_status, last_error, batch_id IS NOT NULL FROM bq_sync_queue WHERE id = :id"
        ((status, error, named),) = self.read(query, id=item_id)
        return status, error, bool(named)

    def state(self, table: str) -> str:
        """What the table's owner has noted last; empty before it has noted anything."""
        rows = self.read("SELECT state FROM bq_sync_table WHERE table_name = :table", table=table)
        return str(rows[0][0]) if rows else ""

    # BigQuery

    def sent(self, table: str) -> list[Row]:
        """All rows of a BigQuery table.

        By a query: the emulator can't list a table's rows while another thread of it appends.
        """
        query = f"SELECT * FROM `{self.settings.project_id}.{self.settings.dataset_id}.{table}`"
        rows = self.client.query_and_wait(query, api_timeout=10, wait_timeout=10, retry=RETRY, job_retry=RETRY)
        return [dict(row.items()) for row in rows]

    def create(self, table: str, schema: Sequence[bigquery.SchemaField], partition_column: str | None = None) -> None:
        """Make a BigQuery table, partitioned by day of a column."""
        made = bigquery.Table(f"{self.settings.project_id}.{self.settings.dataset_id}.{table}", schema=list(schema))
        if partition_column is not None:
            made.time_partitioning = bigquery.TimePartitioning(field=partition_column)
        self.client.create_table(made, timeout=10, retry=RETRY)

    # its worker

    @contextmanager
    def working(
        self, *, lookup_first: bool = False, opener: Opener | None = None, instruments: WorkerInstruments | None = None
    ) -> Iterator[None]:
        """A worker of this site in this process, until the end of the `with` block.

        At its end every actor of this process ends, and the worker's connections are closed, as with a process.
        """
        failures: list[str] = []
        kept: list[Engines | Clients] = []

        def keeping(
            settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
        ) -> OpenedTable:
            kept.extend((engines, clients))
            return (opener or worker.open_table)(settings, name, engines, clients, scheduler, clock)

        with pytest.MonkeyPatch.context() as patch:
            for name, value in self.emulator.environment().items():
                patch.setenv(name, value)
            patch.setattr(command_reader, "EVERY_SECONDS", INTERVAL_SECONDS)
            running = Worker(self.settings, self.url, (), lookup_first, failures.append, keeping, instruments)
            running.start()
            try:
                yield
            finally:
                running.stop()
                pykka.ActorRegistry.stop_all()
                for each in kept:
                    _close(each)
        assert failures == []

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Wait for a condition.

        Raises:
            AssertionError: it didn't come true; with how the tables fare.
        """
        deadline = time.monotonic() + self.waits_at_most
        while not holds():
            if time.monotonic() > deadline:
                tables = self.read("SELECT table_name, state, reason FROM bq_sync_table")
                raise AssertionError(f"after {self.waits_at_most:g} s still not: {what}; tables: {tables}")
            time.sleep(0.05)

    def wait_until_drained(self) -> None:
        """Wait until no row and no item waits and no batch is open."""
        self.wait_until(lambda: self.waiting() == 0, "nothing waits")

    def waiting(self) -> int:
        """How many rows, items and batches aren't done with; failed and abandoned items are."""
        counts = [
            f"SELECT COUNT(*) FROM `{name}` WHERE `{table.synced_flag}` = 0"
            for name, table in self.settings.tables.items()
            if table.synced_flag is not None
        ]
        counts.append("SELECT COUNT(*) FROM bq_sync_queue WHERE sync_status IN ('pending', 'syncing')")
        counts.append("SELECT COUNT(*) FROM bq_sync_batch WHERE state IN ('begun', 'appended')")
        return sum(count for ((count,),) in map(self.read, counts))

    def flush(self, *tables: str) -> int:
        """Let a worker send what waits in these tables (default: all), and wait until it has: how many rows it was.

        Whatever can be decided of what was committed before is decided when this returns.
        """
        return self.flushed(self.ask_to_flush(*tables))

    def ask_to_flush(self, *tables: str) -> str:
        """Write the commands, and don't wait; what the request is known by."""
        with self.engine.begin() as connection:
            return request(connection, CommandKind.FLUSH, tables or tuple(self.settings.tables))

    def flushed(self, asked: str) -> int:
        """Wait until that request is done: how many rows were sent by it."""
        self.wait_until(lambda: all(outcome.state is CommandState.DONE for outcome in self.outcomes(asked)), "flushed")
        return sum(int(str(outcome.result["flushedCount"])) for outcome in self.outcomes(asked))

    def outcomes(self, asked: str) -> tuple[Outcome, ...]:
        """What has become of that request's commands, one for each table."""
        with self.engine.connect() as connection:
            return outcomes(connection, asked)


@contextmanager
def make_site(
    mariadb: MariaDB, emulator: BigQuery, settings: Settings, *statements: str, beside: "Site | None" = None
) -> Iterator[Site]:
    """A site with a database on which these statements were run; not migrated yet.

    Its dataset is empty, or that of the site `beside`.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    dataset = name if beside is None else beside.settings.dataset_id
    mariadb.create_database(name)
    if beside is None:
        emulator.create_dataset(dataset)
    url = mariadb.url(name)
    engine = connect(url)
    client = emulator.client()
    site = Site(
        settings.model_copy(update={"dataset_id": dataset, "storage_endpoint": emulator.storage_endpoint}),
        url,
        engine,
        client,
        emulator,
    )
    try:
        site.run(*statements)
        yield site
    finally:
        client.close()
        engine.dispose()
        mariadb.drop_database(name)
        if beside is None:
            emulator.drop_dataset(dataset)


def migrate(site: Site, history: History | None = "send") -> None:
    problems = migrate_up(site.engine, site.settings, history, lambda _: None)
    assert problems == ()


def settings_of(tables: Mapping[str, Mapping[str, Any]], **settings: Any) -> Settings:
    """Settings with these tables, as they would stand in the file."""
    return Settings.model_validate(
        {
            "enabled": True,
            "project_id": "mobesorder",
            "dataset_id": "set_by_make_site",
            "database_timezone": "UTC",
            "interval_seconds": INTERVAL_SECONDS,
            "lookup_settle_seconds": 0,  # nothing of ours is still on its way
            "tables": tables,
            **settings,
        }
    )


def shipped_settings(**settings: object) -> Settings:
    """The shipped configuration."""
    shipped = load({"BQ_SYNC_ENABLED": "true", "BQ_SYNC_INTERVAL_SECONDS": str(INTERVAL_SECONDS)})
    return shipped.model_copy(update=settings)


def _close(connections: Engines | Clients) -> None:
    if isinstance(connections, Engines):
        connections.read.dispose()
        connections.write.dispose()
    else:
        connections.close()


# A small table, for what doesn't depend on a table's shape.

NOTES = """
CREATE TABLE notes (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    label VARCHAR(100) NULL,
    detail LONGTEXT NULL,
    written_at DATETIME NOT NULL DEFAULT '2026-01-05 09:00:00'
) ENGINE=InnoDB
"""

NOTES_SCHEMA = (
    bigquery.SchemaField("note_id", "STRING", "REQUIRED"),
    bigquery.SchemaField("label", "STRING", "REQUIRED"),
    bigquery.SchemaField("detail", "JSON"),
    bigquery.SchemaField("written_at", "TIMESTAMP"),
)

NOTES_TABLE: Mapping[str, Any] = {
    "destination": "notes",
    "primary_key": "id",
    "age_column": "written_at",
    "columns": {"note_id": {"template": "note_{id}"}, "label": "label", "detail": "detail", "written_at": "written_at"},
}


@contextmanager
def notes_site(
    mariadb: MariaDB, emulator: BigQuery, table: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[Site]:
    """A site with the table `notes`, migrated; `table` changes its settings."""
    configured = settings_of({"notes": {**NOTES_TABLE, **(table or {})}}, **settings)
    with make_site(mariadb, emulator, configured, NOTES) as site:
        site.create("notes", NOTES_SCHEMA, "written_at")
        migrate(site)
        yield site
