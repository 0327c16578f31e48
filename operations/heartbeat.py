"""What the hourly heartbeat says of a site: columns of bigquery/schemas/heartbeats.json."""

from collections.abc import Callable, Mapping
from datetime import datetime

from operations.health import Sight

Write = Callable[[Mapping[str, object], str], None]


def send_heartbeat(write: Write, version: str, site: str, sight: Sight, now: datetime) -> None:
    """Write it; within an hour it has the same id. Raises what `bigquery.heartbeat.HeartbeatTable.write` does."""
    write(heartbeat(version, site, sight, now), f"{site}-{now:%Y%m%d%H}")


def heartbeat(version: str, site: str, sight: Sight, now: datetime) -> Mapping[str, object]:
    """The row; what only the database knows is NULL where it doesn't answer."""
    row: dict[str, object] = {
        "site": site,
        "sent_at": now.isoformat(),
        "version": version,
        "level": sight.health.level,
        "reasons": list(sight.health.texts),
    }
    if (status := sight.status) is not None:
        ages = [table.oldest_pending_age_seconds for table in status.tables.values()]
        row |= {
            "last_sync_at": status.last_sync_at.isoformat() if status.last_sync_at else None,
            "pending": status.total(lambda table: table.pending).rows,
            "failed": status.total(lambda table: table.failed).rows,
            "oldest_pending_age_seconds": max((age for age in ages if age is not None), default=None),
        }
    return row
