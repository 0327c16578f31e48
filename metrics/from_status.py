"""Metrics that the database knows, from the status: they hold for the whole site, and survive every restart."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

from database.counting import Count
from database.scrape import Scraped
from database.status import Status
from database.table_status import NO_WORKER, PAUSING, RESUMING, UNPREPARED, TableStatus
from operations.health import DISABLED, Health, Level, unreachable

RUNNING = "running"
# `actors.messages.TableState` but for a standby, who writes nothing down, and what the status adds. The API's process
# doesn't load the actors.
OF_OWNERS = ("recovering", RUNNING, "waiting", "blocked", "paused", "stopped")
STATES = (*OF_OWNERS, PAUSING, RESUMING, NO_WORKER, UNPREPARED)
REASON_LENGTH = 120
DATABASE_UP = "Whether the database answered this scrape."


@dataclass(frozen=True, slots=True)
class Told:
    """What the database told, at `now` by this machine's clock."""

    status: Status
    health: Health
    scraped: Scraped
    now: datetime


def collect_unanswered(*, enabled: bool) -> Iterable[Metric]:
    """Where the database doesn't answer: all else that it would tell is absent, since nobody knows."""
    health = unreachable("") if enabled else DISABLED
    return [_single("bq_sync_database_up", DATABASE_UP, 0), _levels(health)]


def collect_told(told: Told) -> Iterable[Metric]:
    """Everything that stands in the database."""
    status = told.status
    yield _single("bq_sync_database_up", DATABASE_UP, 1)
    offset = (told.now - status.read_at).total_seconds()
    yield _single("bq_sync_database_clock_offset_seconds", "This machine's clock minus the database's.", offset)
    yield _levels(told.health)
    if told.scraped.open_incidents is not None:
        yield _single("bq_sync_incidents_open", "Incidents that haven't cleared.", told.scraped.open_incidents)
    holders = InfoMetricFamily(
        "bq_sync_table_worker", "From which host the worker that owns the table is connected.", labels=("table",)
    )
    for table, host in told.scraped.holders.items():
        holders.add_metric((table,), {"host": host})
    yield holders
    yield from _queue(status)
    yield from _states(status)
    yield from _times(status)
    yield from _checks(status)
    synced = CounterMetricFamily("bq_sync_synced_rows", "Rows sent so far, by all workers ever.", labels=("table",))
    for name, of_table in status.tables.items():
        synced.add_metric((name,), of_table.synced)
    yield synced


def _levels(health: Health) -> Metric:
    levels = GaugeMetricFamily("bq_sync_health", "1 for the level that holds, else 0.", labels=("level",))
    for level in Level:
        levels.add_metric((level.value,), float(level is health.level))
    return levels


def _queue(status: Status) -> Iterable[Metric]:
    labels = ("table", "state")
    rows = GaugeMetricFamily("bq_sync_queue_rows", "Rows and queue items in that state.", labels=labels)
    estimated = GaugeMetricFamily(
        "bq_sync_queue_rows_estimated", "Whether bq_sync_queue_rows is an estimate.", labels=labels
    )
    for name, table in status.tables.items():
        for state, count in _counts(table):
            rows.add_metric((name, state), count.rows)
            estimated.add_metric((name, state), float(count.is_estimate))
    return rows, estimated


def _counts(table: TableStatus) -> Sequence[tuple[str, Count]]:
    counts = {
        "pending": table.pending,
        "syncing": table.syncing,
        "completed": table.completed,
        "failed": table.failed,
        "abandoned": table.abandoned,
    }
    return tuple(counts.items())


def _states(status: Status) -> Iterable[Metric]:
    states = GaugeMetricFamily(
        "bq_sync_table_state", "1 for the state that the table is in, else 0.", labels=("table", "state")
    )
    reasons = InfoMetricFamily("bq_sync_table_reason", "Why the table isn't running.", labels=("table",))
    paused = GaugeMetricFamily("bq_sync_table_paused", "Whether an operator paused it.", labels=("table",))
    alive = GaugeMetricFamily("bq_sync_table_worker_alive", "Whether a worker owns it now.", labels=("table",))
    for name, table in status.tables.items():
        for state in STATES:
            states.add_metric((name, state), float(state == table.state))
        if table.state != RUNNING and table.reason:
            reasons.add_metric((name,), {"reason": bounded(table.reason)})
        paused.add_metric((name,), float(table.paused))
        alive.add_metric((name,), float(table.owner_alive))
    return states, reasons, paused, alive


def _times(status: Status) -> Iterable[Metric]:
    oldest = GaugeMetricFamily(
        "bq_sync_oldest_pending_age_seconds",
        "Age of the oldest row that waits: 0 where none does, negative where its time lies in the future.",
        labels=("table",),
    )
    synced = GaugeMetricFamily(
        "bq_sync_last_sync_timestamp_seconds", "When rows were last sent; absent before.", labels=("table",)
    )
    failed = GaugeMetricFamily(
        "bq_sync_last_error_timestamp_seconds", "When something last went wrong; absent before.", labels=("table",)
    )
    for name, table in status.tables.items():
        age = table.oldest_pending_age_seconds
        if age is not None or table.pending.rows == 0:
            oldest.add_metric((name,), age or 0.0)
        for family, at in ((synced, table.last_sync_at), (failed, table.last_error_at)):
            if at is not None:
                family.add_metric((name,), at.timestamp())
    return oldest, synced, failed


def _checks(status: Status) -> Iterable[Metric]:
    """Of the daily comparison; absent before the first, and but for whether it could be made, while it can't."""
    checked = GaugeMetricFamily(
        "bq_sync_check_timestamp_seconds", "When the table was last compared with BigQuery.", labels=("table",)
    )
    differing = GaugeMetricFamily(
        "bq_sync_check_differing", "Days of which BigQuery has other counts of rows.", labels=("table",)
    )
    failed = GaugeMetricFamily(
        "bq_sync_check_failed", "Whether the last comparison with BigQuery could not be made.", labels=("table",)
    )
    for name, table in status.tables.items():
        if (check := table.last_check) is None:
            continue
        failed.add_metric((name,), float(check.problem is not None))
        if check.problem is None:
            checked.add_metric((name,), check.at.timestamp())
            differing.add_metric((name,), check.differing)
    return checked, differing, failed


def bounded(reason: str) -> str:
    """A reason as a label: one line, shortened, and with 0 for each number, so that a countdown is one series."""
    return re.sub(r"\d+", "0", " ".join(reason.split()))[:REASON_LENGTH]


def _single(name: str, text: str, value: float) -> Metric:
    family = GaugeMetricFamily(name, text)
    family.add_metric((), float(value))
    return family
