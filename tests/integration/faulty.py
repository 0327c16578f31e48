"""A site whose BigQuery fails as a test says, for both ways of writing, and whose worker's backoffs pass in no time."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField
from prometheus_client import CollectorRegistry

from actors import worker
from actors.measures import WorkerInstruments
from actors.messages import FromPipeline, HearAgain, RetryDue
from actors.parts import Recipient
from actors.scheduler import ThreadScheduler
from database.status import read_status
from database.table_status import TableStatus
from metrics.instruments import Instruments
from operations.health import Health, Thresholds, judge
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.bigquery_service import BigQueryService, bigquery_service
from tests.fakes.faults import Faults
from tests.integration.pipeline import NOTES, NOTES_SCHEMA, NOTES_TABLE, Site, make_site, migrate, settings_of

STORAGE_WRITE, INSERT_ALL = "storage_write", "insert_all"
METHODS = (STORAGE_WRITE, INSERT_ALL)
OPEN = ("begun", "appended")  # the states of batches that aren't done with
FASTER = 3000  # a backoff of 5 s takes 2 ms, a blocked table's 300 s take 0.1 s


class HurriedScheduler(ThreadScheduler):
    """Retries come thousands of times as fast. `waits`: how long they should have been, by who asked for them."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[tuple[str, float]] = []

    def after(self, seconds: float, recipient: Recipient, message: object) -> None:
        if isinstance(message, RetryDue | FromPipeline | HearAgain):
            self.waits.append((recipient.actor_class.__name__, seconds))  # type: ignore[attr-defined]  # an ActorRef
            seconds /= FASTER
        super().after(seconds, recipient, message)


@dataclass
class FaultySite:
    """A site, the BigQuery that it writes to, and what its worker does about faults."""

    site: Site
    service: BigQueryService
    metrics: CollectorRegistry = field(default_factory=CollectorRegistry)
    waits: list[tuple[str, float]] = field(default_factory=list)

    @property
    def writes(self) -> Faults[Any]:
        """The faults of the calls that carry rows."""
        storage = self.site.settings.write_method == STORAGE_WRITE
        return self.service.storage.appends if storage else self.service.rest.inserts

    @contextmanager
    def working(self) -> Iterator[None]:
        """Its worker; see `Site.working`."""
        scheduler = HurriedScheduler()
        self.waits = scheduler.waits
        metrics = Instruments(self.metrics)
        measured = WorkerInstruments(metrics.table, lambda *_: None)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(worker, "ThreadScheduler", lambda: scheduler)
            with self.site.working(instruments=measured):
                yield

    def insert(self, rows: int, table: str = "notes") -> None:
        self.site.run(f"INSERT INTO {table} (label, detail) SELECT 'fine', '[1]' FROM seq_1_to_{rows}")

    def alter(self, change: str, table: str = "notes") -> None:
        """Change the BigQuery table."""
        settings = self.site.settings
        self.site.client.query_and_wait(f"ALTER TABLE `{settings.project_id}.{settings.dataset_id}.{table}` {change}")

    def change_columns(self, schema: Sequence[SchemaField]) -> None:
        """Give BigQuery's table `notes` these columns."""
        table = self.site.client.get_table(self.path("notes"))
        for new in set(schema) - {*table.schema, *NOTES_SCHEMA}:  # the emulator stores columns apart from their list
            self.site.client.query_and_wait(f"ALTER TABLE `{table}` ADD COLUMN {new.name} {new.field_type}")
        table.schema = schema
        self.site.client.update_table(table, ["schema"])

    def path(self, table: str) -> str:
        return f"{self.site.settings.project_id}.{self.site.settings.dataset_id}.{table}"

    def arrived(self, table: str = "notes") -> list[int]:
        """The ids of the rows that BigQuery has, in order; twice, if a row is there twice."""
        return sorted(int(row["note_id"].removeprefix("note_")) for row in self.site.sent(table))

    def failed(self) -> list[tuple[str, str, int]]:
        """Record id, error and retry_count of every failed item."""
        query = "SELECT record_id, last_error, retry_count FROM bq_sync_queue WHERE sync_status = 'failed' ORDER BY id"
        return [(str(record), str(error), int(count)) for record, error, count in self.site.read(query)]

    def batches(self, *states: str) -> list[int]:
        """How many rows each batch of the ledger has that is in one of these states, in order."""
        rows = self.site.read("SELECT state, row_count FROM bq_sync_batch ORDER BY id")
        return [count for state, count in rows if state in states]

    # what an operator sees

    def status(self, table: str = "notes") -> TableStatus:
        return read_status(self.site.engine, self.site.settings).tables[table]

    def health(self) -> Health:
        status = read_status(self.site.engine, self.site.settings)
        return judge(status, status.read_at, Thresholds())

    def attempts_failed(self, error_class: str, table: str = "notes") -> float:
        labels = {"table": table, "error_class": error_class}
        return self.metrics.get_sample_value("bq_sync_failed_attempts_total", labels) or 0.0

    def wait_until_settled(self) -> None:
        """Wait until every row and item is sent or failed."""

        def settled() -> bool:
            tables = read_status(self.site.engine, self.site.settings).tables.values()
            return not any(table.pending.rows + table.syncing.rows for table in tables) and not self.batches(*OPEN)

        self.site.wait_until(settled, "all is settled")

    def wait_until_blocked(self, reason: str, table: str = "notes") -> None:
        """Wait until the table is blocked for a reason with these words; while it is tried it is in other states."""

        def said() -> bool:
            now = self.status(table)
            return now.state == "blocked" and reason in str(now.reason)

        self.site.wait_until(said, f"{table} is blocked: {reason}")


@contextmanager
def faulty_site(
    mariadb: MariaDB,
    emulator: Emulator,
    method: str,
    tables: Sequence[str] = ("notes",),
    *,
    idle_seconds: float | None = None,
    window_seconds: float = -1,
    **settings: Any,
) -> Iterator[FaultySite]:
    """A site with these tables, each shaped like `notes` and with a BigQuery table of its name.

    Args:
        method: of writing.
        idle_seconds: see FakeBigQueryWrite.
        window_seconds: see FakeRest; not at all, unless said otherwise: nothing may rest on BigQuery's memory.
    """
    configured = settings_of(
        {name: {**NOTES_TABLE, "destination": name} for name in tables},
        **{"write_method": method, "stream_settle_seconds": 0, "lookup_settle_seconds": 0, **settings},
    )
    statements = [NOTES.replace("TABLE notes", f"TABLE {name}") for name in tables]
    with (
        bigquery_service(emulator, idle_seconds=idle_seconds, window_seconds=window_seconds) as service,
        make_site(mariadb, service, configured, *statements) as site,
    ):
        for name in tables:
            site.create(name, NOTES_SCHEMA, "written_at")
        migrate(site)
        yield FaultySite(site, service)
