"""What the processes measure while they work: every counter, gauge and histogram, each defined once.

Label values are few and known beforehand: tables, outcomes, routes. What is derived from the database instead stands in
`metrics.from_status`.
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from sqlalchemy import Engine

from delivery.errors import ErrorClass
from delivery.ledger import BatchState
from delivery.settle import Outcome
from metrics.database_time import measure_statements

ACTORS = ("TableOwner", "Poller", "Batcher", "BqWriter", "SyncMarker", "RetentionActor")
SENT = "sent"  # the outcome of a row beside those of `Outcome`

# What a series takes in a file, name, labels, help and all; see `sizes`.
SERIES_BYTES = 300


@dataclass(frozen=True, slots=True)
class Definition:
    name: str
    help: str
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()


ROWS = Definition(
    "bq_sync_rows_total",
    "Rows that were found and are settled, by what became of them.",
    ("table", "outcome"),
)
BATCHES = Definition("bq_sync_batches_total", "Batches that ended, by how.", ("table", "outcome"))
SENT_BYTES = Definition("bq_sync_sent_bytes_total", "Encoded bytes of batches that BigQuery took.", ("table",))
BATCH_ROWS = Definition(
    "bq_sync_batch_rows",
    "Rows in a batch that BigQuery took.",
    ("table",),
    (1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000),
)
APPEND_SECONDS = Definition(
    "bq_sync_append_duration_seconds",
    "From an append's first byte to BigQuery's answer.",
    ("table",),
    (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
LATENCY = Definition(
    "bq_sync_delivery_latency_seconds",
    "Age of rows, some hundred of each batch, when BigQuery had them.",
    ("table",),
    (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 10_800, 43_200, 86_400),
)
FAILED_ATTEMPTS = Definition(
    "bq_sync_failed_attempts_total",
    "Calls to BigQuery that failed, by class of error; most are repeated.",
    ("table", "error_class"),
)
PIPELINE_RESTARTS = Definition(
    "bq_sync_pipeline_restarts_total",
    "Times that a table's actors were started anew, since this one died of an unforeseen error.",
    ("table", "actor"),
)
MAILBOX = Definition("bq_sync_mailbox_messages", "Messages that wait for an actor.", ("table", "actor"))
RETENTION = Definition(
    "bq_sync_retention_rows_total",
    "Rows old enough to go: deleted locally, or refused since BigQuery didn't confirm them.",
    ("table", "outcome"),
)
STATEMENT_SECONDS = Definition(
    "bq_sync_database_statement_duration_seconds",
    "What a statement took, commits apart, by what the connection is for.",
    ("role",),
    (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 8),
)
DATABASE_ERRORS = Definition(
    "bq_sync_database_errors_total", "Statements and connections that failed, by what for.", ("role",)
)
RESTS = Definition(
    "bq_sync_rest_seconds_total", "Seconds that Pollers and SyncMarkers waited to leave the database to others.", ()
)
STARTS = Definition("bq_sync_process_starts_total", "Starts of a process of that kind on this box.", ("kind",))
REQUESTS = Definition(
    "bq_sync_api_requests_total",
    "Requests by route and class of status.",
    ("method", "route", "status"),
)
REQUEST_SECONDS = Definition(
    "bq_sync_api_request_duration_seconds",
    "From a request to the end of its answer.",
    ("route",),
    (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30),
)

DEFINITIONS = (
    ROWS,
    BATCHES,
    SENT_BYTES,
    BATCH_ROWS,
    APPEND_SECONDS,
    LATENCY,
    FAILED_ATTEMPTS,
    PIPELINE_RESTARTS,
    MAILBOX,
    RETENTION,
    STATEMENT_SECONDS,
    DATABASE_ERRORS,
    RESTS,
    STARTS,
    REQUESTS,
    REQUEST_SECONDS,
)

# Changes when a definition does: files that follow another one can't be gone on with.
SIGNATURE = hashlib.sha256(repr((DEFINITIONS, version("prometheus_client"))).encode()).hexdigest()[:16]


def sizes(tables: int, routes: int) -> dict[str, int]:
    """How large a process's files get at most, by prometheus_client's name for each."""
    return {
        "counter": SERIES_BYTES * (30 * tables + 10 * routes + 10),
        "histogram": SERIES_BYTES * (45 * tables + 12 * routes + 40),
        "gauge_livesum": SERIES_BYTES * len(ACTORS) * tables,
    }


class Instruments:
    """Everything that one process can measure; a series exists once somebody asked for it.

    Args:
        registry: where they can be read; None: only in the files of `metrics.shared`.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # untyped there; shared files have no room for them, so they'd come and go

        def counter(of: Definition) -> Counter:
            return Counter(of.name, of.help, of.labels, registry=registry)

        def histogram(of: Definition) -> Histogram:
            return Histogram(of.name, of.help, of.labels, buckets=of.buckets, registry=registry)

        self.rows, self.batches, self.sent_bytes = counter(ROWS), counter(BATCHES), counter(SENT_BYTES)
        self.failed_attempts, self.pipeline_restarts = counter(FAILED_ATTEMPTS), counter(PIPELINE_RESTARTS)
        self.retention = counter(RETENTION)
        self.batch_rows, self.latency = histogram(BATCH_ROWS), histogram(LATENCY)
        self.append_seconds = histogram(APPEND_SECONDS)
        self.mailbox = Gauge(MAILBOX.name, MAILBOX.help, MAILBOX.labels, multiprocess_mode="livesum", registry=registry)
        self.statement_seconds, self.database_errors = histogram(STATEMENT_SECONDS), counter(DATABASE_ERRORS)
        self.rests = counter(RESTS)
        self.starts = counter(STARTS)
        self.requests, self.request_seconds = counter(REQUESTS), histogram(REQUEST_SECONDS)

        self._tables: list[TableInstruments] = []

    def table(self, name: str) -> "TableInstruments":
        self._tables.append(table := TableInstruments(self, name))
        return table

    def sample(self) -> None:
        """Look into the mailboxes of all tables."""
        for table in list(self._tables):
            table.sample()

    def observe_engine(self, engine: Engine, role: str) -> None:
        """Time the engine's statements from now on."""
        measure_statements(engine, self.statement_seconds.labels(role), self.database_errors.labels(role))


class TableInstruments:
    """What a table's pipeline tells of its work; fits `actors.measures.Measures`. Every series begins at 0."""

    def __init__(self, of: Instruments, table: str) -> None:
        self._rows = {
            outcome: of.rows.labels(table, outcome.value if outcome else SENT) for outcome in (None, *Outcome)
        }
        ends = (BatchState.APPENDED, BatchState.REFUSED, BatchState.RELEASED)
        self._batches = {state: of.batches.labels(table, state.value) for state in ends}
        self._sent_bytes = of.sent_bytes.labels(table)
        self._batch_rows = of.batch_rows.labels(table)
        self._append_seconds = of.append_seconds.labels(table)
        self._latency = of.latency.labels(table)
        self._failed_attempts = {kind: of.failed_attempts.labels(table, kind.value) for kind in ErrorClass}
        self._restarts = {actor: of.pipeline_restarts.labels(table, actor) for actor in (*ACTORS, "other")}
        self._deleted, self._refused = (of.retention.labels(table, outcome) for outcome in ("deleted", "refused"))
        self._mailboxes = {actor: of.mailbox.labels(table, actor) for actor in ACTORS}
        self._waiting: dict[str, Callable[[], int]] = dict.fromkeys(ACTORS, int)  # nothing, until it is watched

    def batch_ended(self, state: BatchState, rows: int, nbytes: int) -> None:
        self._batches[state].inc()
        if state is BatchState.APPENDED:
            self._batch_rows.observe(rows)
            self._sent_bytes.inc(nbytes)

    def append_took(self, seconds: float) -> None:
        self._append_seconds.observe(seconds)

    def failed_attempt(self, error_class: ErrorClass) -> None:
        self._failed_attempts[error_class].inc()

    def rows_settled(self, outcome: Outcome | None, rows: int) -> None:
        self._rows[outcome].inc(rows)

    def rows_arrived(self, ages: Sequence[float]) -> None:
        for age in ages:
            self._latency.observe(max(0.0, age))  # a sum that falls would look like a restart

    def pipeline_failed(self, actor: str) -> None:
        self._restarts.get(actor, self._restarts["other"]).inc()

    def retention_ran(self, deleted: int, refused: int) -> None:
        self._deleted.inc(deleted)
        self._refused.inc(refused)

    def watch_mailbox(self, actor: str, waiting: Callable[[], int]) -> None:
        if actor in self._mailboxes:
            self._waiting[actor] = waiting

    def sample(self) -> None:
        """Look into the mailboxes."""
        for actor, waiting in list(self._waiting.items()):
            self._mailboxes[actor].set(waiting())
