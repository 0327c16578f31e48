"""How a site may fare, as the API says it (docs/api.md)."""

import math
from typing import Any

from tests.browser.fake_api import Answers, Json

TABLES = ("detection_logs", "ai_summary_cache", "is21_logs")
FROM = "2026-11-23T11:04:00Z"
PERMISSION = (
    "the service account lacks a permission on the table"
    " (PERMISSION_DENIED: Permission bigquery.tables.updateData denied on table semantic_events)"
)
UNREACHABLE = "BigQuery can't be reached (UNAVAILABLE: failed to connect to all addresses)"
DISABLED = (
    "bq-sync is disabled and sends nothing: set `enabled: true` in the configuration, or BQ_SYNC_ENABLED=true,"
    " and restart it"
)


def table(**values: Any) -> Json:
    """A table that runs."""
    return {
        "pending": 3,
        "pendingIsEstimate": False,
        "synced": 184_211,
        "failed": 0,
        "oldestPendingAgeSeconds": 4.2,
        "rowless": None,
        "state": "running",
        "reason": None,
        "paused": False,
        "workerAlive": True,
        "lastSyncAt": "2026-11-23T12:03:01Z",
        "lastErrorAt": None,
        "lastError": None,
    } | values


def site(
    *tables: Json, level: str = "healthy", reasons: tuple[str, ...] = (), failed: tuple[Json, ...] = (), **more: Any
) -> Answers:
    """All answers of a site with these tables."""
    stats = dict(
        zip(TABLES, tables or (table(), table(pending=0, oldestPendingAgeSeconds=None), table()), strict=False)
    )
    status = {
        "readAt": "2026-11-23T12:03:09Z",
        "siteId": "tokyo-3",
        "version": "0.1.0",
        "enabled": True,
        "queueStats": {
            "pending": sum(of["pending"] for of in stats.values()),
            "pendingIsEstimate": any(of["pendingIsEstimate"] for of in stats.values()),
            "syncing": 0,
            "completed": 77,
            "failed": sum(of["failed"] for of in stats.values()),
            "abandoned": 0,
        },
        "lastSyncAt": max((of["lastSyncAt"] for of in stats.values() if of["lastSyncAt"]), default=None),
        "lastErrorAt": None,
        "lastError": None,
        "tableStats": stats,
        "unconfigured": {},
    } | more
    return {
        "GET /status": status,
        "GET /health": (503 if level == "unhealthy" else 200, {"status": level, "reasons": list(reasons)}),
        "GET /activity": {"from": FROM, "rowsPerMinute": {name: _hour(place) for place, name in enumerate(stats)}},
        "GET /failed": {"failed": list(failed), "next": None},
    }


def _hour(place: int) -> list[int]:
    """A busy street, a few summaries, and inferences with a gap in which the line was down."""
    wave = [42 + 18 * math.sin(minute / 6) + 9 * math.sin(minute * 1.9) for minute in range(60)]
    match place:
        case 0:
            return [round(rows) for rows in wave]
        case 1:
            return [round(wave[minute] / 14) if minute % 5 == 0 else 0 for minute in range(60)]
        case _:
            return [
                0 if 24 <= minute < 37 else round(rows * (5 if minute == 37 else 1.6))
                for minute, rows in enumerate(wave)
            ]


def failed_row(number: int, table_name: str = "detection_logs", error: str | None = None) -> Json:
    return {
        "id": number,
        "table": table_name,
        "recordId": str(880_000 + number),
        "operation": "INSERT",
        "error": error or "severity: is NULL, but the column is REQUIRED",
        "retryCount": 0,
        "createdAt": f"2026-11-23T11:{number % 60:02}:00Z",
    }


FAILED = (
    failed_row(41),
    failed_row(40, error="detected_at: 'not a time' isn't a time"),
    failed_row(38, "is21_logs", "row not found"),
)


def healthy() -> Answers:
    return site(
        table(lastError=UNREACHABLE, lastErrorAt="2026-11-23T11:40:12Z"),
        table(pending=0, oldestPendingAgeSeconds=None, synced=2_904, lastSyncAt="2026-11-23T11:59:20Z"),
        table(pending=11, oldestPendingAgeSeconds=7.9, synced=402_118, failed=1),
        failed=(failed_row(38, "is21_logs", "row not found"),),
    )


def degraded() -> Answers:
    waiting = {
        "state": "waiting",
        "reason": UNREACHABLE,
        "lastError": UNREACHABLE,
        "lastErrorAt": "2026-11-23T12:02:48Z",
    }
    waiting |= {"lastSyncAt": "2026-11-23T10:51:07Z"}
    return site(
        table(pending=48_200, pendingIsEstimate=True, oldestPendingAgeSeconds=4_320, **waiting),
        table(pending=4, oldestPendingAgeSeconds=4_200, **waiting),
        table(pending=1_911, oldestPendingAgeSeconds=4_300, **waiting),
        level="degraded",
        reasons=(
            "about 50,115 rows pending, more than 1,000",
            f"detection_logs: the oldest pending row is 72 min old (limit: 5 min); waiting: {UNREACHABLE}",
        ),
    )


def unhealthy() -> Answers:
    blocked = {"state": "blocked", "reason": PERMISSION, "lastError": PERMISSION, "lastErrorAt": "2026-11-23T12:01:02Z"}
    return site(
        table(pending=812, oldestPendingAgeSeconds=860, failed=2, **blocked),
        table(pending=0, oldestPendingAgeSeconds=None),
        table(failed=1),
        level="unhealthy",
        reasons=(
            f"detection_logs is blocked: {PERMISSION}",
            f"detection_logs: the oldest pending row is 14 min old (limit: 5 min); blocked: {PERMISSION}",
        ),
        failed=FAILED,
    )


def paused() -> Answers:
    return site(
        table(paused=True, state="paused", pending=240, oldestPendingAgeSeconds=190),
        table(paused=True, state="pausing"),
        table(),
    )


def worker_dead() -> Answers:
    dead = {"workerAlive": False, "state": "no worker"}
    return site(
        table(pending=92, oldestPendingAgeSeconds=140, **dead),
        table(pending=0, oldestPendingAgeSeconds=None, **dead),
        table(pending=51, oldestPendingAgeSeconds=139, paused=True, **dead),
        level="unhealthy",
        reasons=(f"no worker is running for {', '.join(TABLES)}: start `bq-sync worker`",),
    )


def first_start() -> Answers:
    """As it was installed: not even a database is known."""
    unset = (503, {"detail": "database_url isn't set: set BQ_SYNC_DATABASE_URL"})
    return {
        "GET /status": unset,
        "GET /health": {"status": "degraded", "reasons": [DISABLED]},
        "GET /activity": unset,
        "GET /failed": unset,
    }


def unprepared() -> Answers:
    """The database is known, but `migrate` hasn't run."""
    lacks = "the database has no bq_sync_batch, bq_sync_queue: run `bq-sync migrate`"
    nothing = {"workerAlive": False, "pending": 0, "synced": 0, "oldestPendingAgeSeconds": None, "lastSyncAt": None}
    none = {"GET /activity": {"from": FROM, "rowsPerMinute": {name: [0] * 60 for name in TABLES}}}
    return (
        site(
            *(table(state="unprepared", reason=lacks, **nothing) for _ in TABLES),
            level="degraded",
            reasons=(DISABLED,),
            enabled=False,
        )
        | none
    )
