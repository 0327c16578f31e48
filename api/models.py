"""What the API takes and gives, in its own spelling: camelCase, RFC 3339 in UTC."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from database.status import Status, TableStatus
from operations.health import Health, Level


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel)


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


class FlushRequest(_Request):
    """POST /flush; without tables: all."""

    tables: tuple[str, ...] | None = Field(None, min_length=1)


class FlushAnswer(_Answer):
    ok: bool
    flushed_count: int


class RunningFlush(FlushAnswer):
    """A flush that goes on: what is known of each table by now."""

    tables: dict[str, str]


class HealthAnswer(_Answer):
    status: Level
    reasons: tuple[str, ...]

    @classmethod
    def of(cls, health: Health) -> "HealthAnswer":
        return cls(status=health.level, reasons=health.texts)


class QueueStats(_Answer):
    """All tables together."""

    pending: int
    pending_is_estimate: bool
    syncing: int
    completed: int
    failed: int


class TableStats(_Answer):
    pending: int
    pending_is_estimate: bool
    synced: int
    failed: int
    oldest_pending_age_seconds: float | None
    state: str
    reason: str | None
    worker_alive: bool

    @classmethod
    def of(cls, table: TableStatus) -> "TableStats":
        age = table.oldest_pending_age_seconds
        return cls(
            pending=table.pending.rows,
            pending_is_estimate=table.pending.is_estimate,
            synced=table.synced,
            failed=table.failed.rows,
            oldest_pending_age_seconds=None if age is None else round(age, 1),
            state=table.state,
            reason=table.reason,
            worker_alive=table.owner_alive,
        )


class StatusAnswer(_Answer):
    queue_stats: QueueStats
    last_sync_at: datetime | None
    last_error_at: datetime | None
    last_error: str | None
    table_stats: dict[str, TableStats]

    @classmethod
    def of(cls, status: Status) -> "StatusAnswer":
        pending = status.total(lambda table: table.pending)
        return cls(
            queue_stats=QueueStats(
                pending=pending.rows,
                pending_is_estimate=pending.is_estimate,
                syncing=status.total(lambda table: table.syncing).rows,
                completed=status.total(lambda table: table.completed).rows,
                failed=status.total(lambda table: table.failed).rows,
            ),
            last_sync_at=status.last_sync_at,
            last_error_at=status.last_error_at,
            last_error=status.last_error,
            table_stats={name: TableStats.of(table) for name, table in status.tables.items()},
        )
