"""Whether all is well, and why not: a pure function of the status. API, command line, alerts and heartbeat share it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice

from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from database.counting import Count
from database.daily_checks import LastCheck
from database.failures import explain
from database.retention_reports import LastRun
from database.status import Problem, Status
from database.table_status import NO_WORKER, UNPREPARED, TableStatus
from operations.durations import in_words

NAMES_SAID = 5  # of tables or rows, where there are more
DAYS_SAID = 3
CLOCK_TOLERANCE_SECONDS = 30.0  # by which clocks of one site may differ, and a row's time may lie in the future


class Level(StrEnum):
    """What an operator has to do: nothing, keep an eye on it, act."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class Kind(StrEnum):
    """What can be wrong, by the name that an incident keeps for as long as it lasts."""

    UNREACHABLE = "database_unreachable"
    UNPREPARED = "unprepared"  # the database lacks something
    UNCOUNTABLE = "uncountable"  # a table's rows can't be looked at
    NO_WORKER = "no_worker"
    BLOCKED = "blocked"
    FAILED = "failed"
    PENDING = "pending"
    OLD = "oldest_pending"
    FUTURE = "future"  # rows from the future
    CLOCKS = "clocks"
    UNCONFIRMED = "unconfirmed"  # rows that are marked as synced, but that BigQuery doesn't have
    RETENTION = "retention"  # old rows aren't deleted
    DIFFERENT = "different"  # the daily comparison found other counts in BigQuery
    UNCHECKED = "unchecked"  # it could not be made
    UNCONFIGURED = "unconfigured"  # items of tables that nobody carries
    DISABLED = "disabled"

    @property
    def level(self) -> Level:
        return Level.UNHEALTHY if self in _TO_ACT_ON else Level.DEGRADED


# DISABLED isn't among them, since it is what the configuration asks for; yet it isn't healthy, since no row is sent.
_TO_ACT_ON = frozenset({Kind.UNREACHABLE, Kind.UNPREPARED, Kind.UNCOUNTABLE, Kind.NO_WORKER, Kind.BLOCKED, Kind.FAILED})


@dataclass(frozen=True, slots=True)
class Reason:
    """Something that is wrong, in words; with the tables that it is about, unless it is about all of the site."""

    kind: Kind
    text: str
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Health:
    """Every reason why all is not well, the worst first."""

    reasons: tuple[Reason, ...] = ()

    @property
    def level(self) -> Level:
        levels = {reason.kind.level for reason in self.reasons}
        return next((level for level in (Level.UNHEALTHY, Level.DEGRADED) if level in levels), Level.HEALTHY)

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(reason.text for reason in self.reasons)


@dataclass(frozen=True, slots=True)
class Sight:
    """How a site fares, and what is to be said of that; no status where the database doesn't answer."""

    health: Health
    status: Status | None = None

    @property
    def workers_alive(self) -> bool:
        return self.status is not None and any(table.owner_alive for table in self.status.tables.values())


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


DISABLED = Health(
    (
        Reason(
            Kind.DISABLED,
            "bq-sync is disabled and sends nothing:"
            " set `enabled: true` in the configuration, or BQ_SYNC_ENABLED=true, and restart it",
        ),
    )
)


def unreachable(why: str) -> Health:
    """There is no status to judge: the database doesn't answer, or refuses."""
    return Health((Reason(Kind.UNREACHABLE, why),))


def look(read: Callable[[], Status], thresholds: Thresholds) -> Sight:
    """Read the status and judge it."""
    try:
        status = read()
    except SQLAlchemyError as error:
        return Sight(unreachable(explain(error)))
    return Sight(judge(status, datetime.now(UTC), thresholds), status)


def judge(status: Status, now: datetime, thresholds: Thresholds) -> Health:
    """Unhealthy is what somebody has to act on: a database that isn't ready, no worker, a blocked table, failed rows.

    A table that waits for something that goes away by itself is no reason; what it holds up is, once it is much or old.

    Args:
        now: this machine's clock, with its zone; the database's is in the status.
    """
    return Health(
        (
            *(_reason(problem, status) for problem in status.problems),
            *_reasons_to_act(status, thresholds),
            *_reasons_to_watch(status, thresholds),
            *_retention_reasons(status),
            *_check_reasons(status),
            *_unconfigured_reasons(status),
            *_clock_reasons(status, now),
        )
    )


def _reason(problem: Problem, status: Status) -> Reason:
    if problem.table is None:
        return Reason(Kind.UNPREPARED, problem.text)
    unprepared = status.tables[problem.table].state == UNPREPARED
    return Reason(Kind.UNPREPARED if unprepared else Kind.UNCOUNTABLE, problem.text, (problem.table,))


def _reasons_to_act(status: Status, thresholds: Thresholds) -> Iterator[Reason]:
    ready = {name: table for name, table in status.tables.items() if table.state != UNPREPARED}
    if orphaned := tuple(name for name, table in ready.items() if table.state == NO_WORKER):
        yield Reason(
            Kind.NO_WORKER, f"no worker is running for {', '.join(orphaned)}: start `bq-sync worker`", orphaned
        )
    for name, table in ready.items():
        if table.state == "blocked":
            yield Reason(Kind.BLOCKED, f"{name} is blocked: {table.reason}", (name,))
    failed = status.total(lambda table: table.failed)
    if failed.rows > thresholds.failed:
        limit = f"more than {thresholds.failed:,}"
        yield Reason(Kind.FAILED, f"{_rows(failed)} failed, {limit}: see their errors, then retry them or give them up")


def _reasons_to_watch(status: Status, thresholds: Thresholds) -> Iterator[Reason]:
    pending = status.total(lambda table: table.pending)
    if pending.rows > thresholds.pending:
        yield Reason(Kind.PENDING, f"{_rows(pending)} pending, more than {thresholds.pending:,}")
    for name, table in status.tables.items():
        age = table.oldest_pending_age_seconds
        if age is not None and age > thresholds.oldest_pending_seconds:
            limit, cause = in_words(thresholds.oldest_pending_seconds), _cause(table)
            text = f"{name}: the oldest pending row is {in_words(age)} old (limit: {limit}){cause}"
            yield Reason(Kind.OLD, text, (name,))


def _retention_reasons(status: Status) -> Iterator[Reason]:
    for name, table in status.tables.items():
        run = table.last_retention
        if run is not None and run.unconfirmed:
            text = f"{name}: {run.unconfirmed:,} old rows are marked as sent, but aren't found in BigQuery"
            again = f"`bq-sync backfill --table {name} --again --from DAY --until DAY`, see docs/backfill.md"
            fix = f"they stay here; find out who deleted them there, then send them again: {again}"
            yield Reason(Kind.UNCONFIRMED, f"{text}{_which(run)}: {fix}", (name,))
        if run is not None and run.problem is not None:
            yield Reason(Kind.RETENTION, f"{name}: old rows aren't deleted: {run.problem}", (name,))


def _which(run: LastRun) -> str:
    """Some of the rows that BigQuery doesn't have."""
    some = [str(key) for key in run.unconfirmed_keys[:NAMES_SAID]]
    more = ", ..." if run.unconfirmed > len(some) else ""
    return f" ({'id' if len(some) == 1 else 'ids'} {', '.join(some)}{more})" if some else ""


def _check_reasons(status: Status) -> Iterator[Reason]:
    for name, table in status.tables.items():
        check = table.last_check
        if check is not None and check.differing:
            days = "1 day" if check.differing == 1 else f"{check.differing} days"
            text = f"{name}: BigQuery doesn't have the rows of {days} as they were sent{_which_days(check)}"
            yield Reason(Kind.DIFFERENT, f"{text}: run `bq-sync verify --table {name}`", (name,))
        if check is not None and check.problem is not None:
            yield Reason(Kind.UNCHECKED, f"{name}: it isn't compared with BigQuery: {check.problem}", (name,))


def _which_days(check: LastCheck) -> str:
    """Some of the days, with both counts."""
    said = []
    for day in check.days[:DAYS_SAID]:
        doubled = f", {day.doubled:,} of them doubled" if day.doubled else ""
        said.append(f"{day.day or 'no time'}: {day.here:,} sent, {day.there:,} there{doubled}")
    more = "; ..." if check.differing > len(said) else ""
    return f" ({'; '.join(said)}{more})" if said else ""


def _unconfigured_reasons(status: Status) -> Iterator[Reason]:
    if status.unconfigured:
        yield Reason(Kind.UNCONFIGURED, ": ".join(unconfigured(status.unconfigured)))


def unconfigured(waiting: Mapping[str, Count]) -> tuple[str, str]:
    """What is wrong with items of tables that the configuration doesn't have, and the fix."""
    said = [
        f"{name} ({'about ' if count.is_estimate else ''}{count.rows:,})"
        for name, count in islice(waiting.items(), NAMES_SAID)
    ]
    more = " and others" if len(waiting) > NAMES_SAID else ""
    return (
        f"queue items wait for ever, since their table_name isn't configured: {', '.join(said)}{more}",
        "add the table to `tables`, or correct table_name in bq_sync_queue and in the program that writes it",
    )


def _clock_reasons(status: Status, now: datetime) -> Iterator[Reason]:
    apart = abs((now - status.read_at).total_seconds())
    if apart > CLOCK_TOLERANCE_SECONDS:
        yield Reason(
            Kind.CLOCKS,
            f"the clocks of this machine and the database are {in_words(apart)} apart: set the one that is wrong",
        )
    for name, table in status.tables.items():
        age = table.oldest_pending_age_seconds
        if age is not None and age < -CLOCK_TOLERANCE_SECONDS:
            text = f"{name}: a pending row is {in_words(-age)} in the future: check the clocks and database_timezone"
            yield Reason(Kind.FUTURE, text, (name,))


def _cause(table: TableStatus) -> str:
    """Why the table doesn't get on, where its worker says so, or the database."""
    causes = []
    if table.state != "running" and table.reason:
        causes.append(f"; {table.state}: {table.reason}")
    if table.rowless is not None:
        causes.append(f"; {table.rowless}")
    return "".join(causes)


def _rows(count: Count) -> str:
    return f"{'about ' if count.is_estimate else ''}{count.rows:,} rows"
