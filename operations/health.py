"""Whether all is well, and why not: a pure function of the status. API, command line, alerts and heartbeat share it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from config.settings import Settings
from database.counting import Count
from database.status import UNPREPARED, Status, TableStatus

CLOCK_TOLERANCE_SECONDS = 30.0  # by which clocks of one site may differ, and a row's time may lie in the future


class Level(StrEnum):
    """What an operator has to do: nothing, keep an eye on it, act."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True, slots=True)
class Health:
    """How bad it is, and every reason in words, the worst first."""

    level: Level
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What is still well: so many rows pending, so many failed, the oldest pending so old."""

    pending: int = 1000
    failed: int = 10
    oldest_pending_seconds: float = 300

    @classmethod
    def of(cls, settings: Settings) -> "Thresholds":
        return cls(
            pending=settings.pending_threshold,
            failed=settings.failed_threshold,
            oldest_pending_seconds=settings.oldest_pending_threshold_seconds,
        )


# Not unhealthy, since it is what the configuration asks for; not healthy, since no row is sent.
DISABLED = Health(
    Level.DEGRADED,
    (
        "bq-sync is disabled and sends nothing:"
        " set `enabled: true` in the configuration, or BQ_SYNC_ENABLED=true, and restart it",
    ),
)


def judge(status: Status, now: datetime, thresholds: Thresholds) -> Health:
    """Unhealthy is what somebody has to act on: a database that isn't ready, no worker, a blocked table, failed rows.

    A table that waits for something that goes away by itself is no reason; what it holds up is, once it is much or old.

    Args:
        now: this machine's clock, with its zone; the database's is in the status.
    """
    unhealthy = [*status.problems, *_reasons_to_act(status, thresholds)]
    degraded = [*_reasons_to_watch(status, thresholds), *_clock_reasons(status, now)]
    level = Level.UNHEALTHY if unhealthy else Level.DEGRADED if degraded else Level.HEALTHY
    return Health(level, (*unhealthy, *degraded))


def _reasons_to_act(status: Status, thresholds: Thresholds) -> Iterator[str]:
    ready = {name: table for name, table in status.tables.items() if table.state != UNPREPARED}
    if orphaned := [name for name, table in ready.items() if not table.owner_alive]:
        yield f"no worker is running for {', '.join(orphaned)}: start `bq-sync worker`"
    for name, table in ready.items():
        if table.owner_alive and table.state == "blocked":
            yield f"{name} is blocked: {table.reason}"
    failed = status.total(lambda table: table.failed)
    if failed.rows > thresholds.failed:
        limit = f"more than {thresholds.failed:,}"
        yield f"{_rows(failed)} failed, {limit}: see their errors, then retry them or give them up"


def _reasons_to_watch(status: Status, thresholds: Thresholds) -> Iterator[str]:
    pending = status.total(lambda table: table.pending)
    if pending.rows > thresholds.pending:
        yield f"{_rows(pending)} pending, more than {thresholds.pending:,}"
    for name, table in status.tables.items():
        age = table.oldest_pending_age_seconds
        if age is not None and age > thresholds.oldest_pending_seconds:
            limit, cause = _duration(thresholds.oldest_pending_seconds), _cause(table)
            yield f"{name}: the oldest pending row is {_duration(age)} old (limit: {limit}){cause}"


def _clock_reasons(status: Status, now: datetime) -> Iterator[str]:
    apart = abs((now - status.read_at).total_seconds())
    if apart > CLOCK_TOLERANCE_SECONDS:
        yield f"the clocks of this machine and the database are {_duration(apart)} apart: set the one that is wrong"
    for name, table in status.tables.items():
        age = table.oldest_pending_age_seconds
        if age is not None and age < -CLOCK_TOLERANCE_SECONDS:
            yield f"{name}: a pending row is {_duration(-age)} in the future: check the clocks and database_timezone"


def _cause(table: TableStatus) -> str:
    """Why the table doesn't get on, where its worker says so."""
    troubled = table.owner_alive and table.state != "running" and table.reason
    return f"; {table.state}: {table.reason}" if troubled else ""


def _rows(count: Count) -> str:
    return f"{'about ' if count.is_estimate else ''}{count.rows:,} rows"


def _duration(seconds: float) -> str:
    for unit, name in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s"
