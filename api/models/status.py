"""GET /status, /health, /activity, and the probes."""

from datetime import date, datetime
from typing import Literal

from pydantic import Field

from api.models.base import Answer
from api.roles import Role
from database.activity import Activity
from database.daily_checks import LastCheck
from database.retention_reports import LastRun
from database.rowless import Rowless
from database.status import Status
from database.table_status import TableStatus
from operations.health import Health, Level


class SessionAnswer(Answer):
    """What this request may do. `tokens` is false where none is set."""

    role: Role
    tokens: bool


class HealthAnswer(Answer):
    status: Level
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, health: Health) -> "HealthAnswer":
        return cls(status=health.level, reasons=health.texts)


class QueueStats(Answer):
    """All tables together."""

    pending: int
    pending_is_estimate: bool
    syncing: int
    completed: int
    failed: int
    abandoned: int


class RowlessStats(Answer):
    """Pending items that wait for rows which aren't there, of the oldest: how many, and the first of them."""

    items: int
    id: int
    record_id: str

    @classmethod
    def of(cls, rowless: Rowless) -> "RowlessStats":
        return cls(items=rowless.items, id=rowless.first_item, record_id=rowless.first_record)


class RetentionStats(Answer):
    """How a table's last run of retention went, dry runs left out. `refused`: how many rows stayed, by the reason."""

    ended_at: datetime
    finished: bool
    problem: str | None
    deleted: int
    refused: dict[str, int]

    @classmethod
    def of(cls, run: LastRun) -> "RetentionStats":
        return cls(
            ended_at=run.ended_at,
            finished=run.finished,
            problem=run.problem,
            deleted=run.deleted,
            refused=dict(run.refused),
        )


class CheckStats(Answer):
    """The last daily comparison with BigQuery, of the days `from_` to `until` (UTC), both included.

    `days_that_differ`: of other counts on both sides. `problem`: why nothing could be compared.
    """

    at: datetime
    from_: date = Field(serialization_alias="from")
    until: date
    rows_here: int
    rows_in_big_query: int = Field(serialization_alias="rowsInBigQuery")
    days_that_differ: int
    problem: str | None

    @classmethod
    def of(cls, check: LastCheck) -> "CheckStats":
        return cls(
            at=check.at,
            from_=check.first,
            until=check.last,
            rows_here=check.rows_here,
            rows_in_big_query=check.rows_there,
            days_that_differ=check.differing,
            problem=check.problem,
        )


class TableStats(Answer):
    pending: int
    pending_is_estimate: bool
    synced: int
    failed: int
    oldest_pending_age_seconds: float | None
    rowless: RowlessStats | None
    state: str
    reason: str | None
    paused: bool
    worker_alive: bool
    last_sync_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None
    last_retention: RetentionStats | None
    last_check: CheckStats | None

    @classmethod
    def of(cls, table: TableStatus) -> "TableStats":
        age = table.oldest_pending_age_seconds
        return cls(
            pending=table.pending.rows,
            pending_is_estimate=table.pending.is_estimate,
            synced=table.synced,
            failed=table.failed.rows,
            oldest_pending_age_seconds=None if age is None else round(age, 1),
            rowless=None if table.rowless is None else RowlessStats.of(table.rowless),
            state=table.state,
            reason=table.reason,
            paused=table.paused,
            worker_alive=table.owner_alive,
            last_sync_at=table.last_sync_at,
            last_error_at=table.last_error_at,
            last_error=table.last_error,
            last_retention=None if table.last_retention is None else RetentionStats.of(table.last_retention),
            last_check=None if table.last_check is None else CheckStats.of(table.last_check),
        )


class StatusAnswer(Answer):
    """`site_id` is null until a worker has derived it. `unconfigured`: pending items of unknown tables, by name."""

    read_at: datetime
    site_id: str | None
    version: str | None
    enabled: bool
    queue_stats: QueueStats
    last_sync_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None
    table_stats: dict[str, TableStats]
    unconfigured: dict[str, int]

    @classmethod
    def of(cls, status: Status, *, site_id: str | None, version: str | None, enabled: bool) -> "StatusAnswer":
        pending = status.total(lambda table: table.pending)
        return cls(
            read_at=status.read_at,
            site_id=site_id,
            version=version,
            enabled=enabled,
            queue_stats=QueueStats(
                pending=pending.rows,
                pending_is_estimate=pending.is_estimate,
                syncing=status.total(lambda table: table.syncing).rows,
                completed=status.total(lambda table: table.completed).rows,
                failed=status.total(lambda table: table.failed).rows,
                abandoned=status.total(lambda table: table.abandoned).rows,
            ),
            last_sync_at=status.last_sync_at,
            last_error_at=status.last_error_at,
            last_error=status.last_error,
            table_stats={name: TableStats.of(table) for name, table in status.tables.items()},
            unconfigured={name: count.rows for name, count in status.unconfigured.items()},
        )


class ActivityAnswer(Answer):
    """Rows that reached BigQuery in each minute of the last hour, the oldest first; the last one isn't over."""

    from_: datetime = Field(serialization_alias="from")
    rows_per_minute: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, activity: Activity) -> "ActivityAnswer":
        return cls(
            from_=activity.start,
            rows_per_minute={table: tuple(rows) for table, rows in activity.rows.items()},
        )


class ProbeAnswer(Answer):
    status: Literal["ok"] = "ok"
