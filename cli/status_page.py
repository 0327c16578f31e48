"""The status as people read it: what is wrong on top, then a line for each table."""

from collections.abc import Iterator

import click

from cli.printing import Column, age, aligned, local, printable, wrapped
from database.counting import Count
from database.status import UNPREPARED, Status, TableStatus
from operations.health import Level, Sight

COLOURS = {Level.HEALTHY: "green", Level.DEGRADED: "yellow", Level.UNHEALTHY: "red"}

ERROR_SECONDS = 86_400.0  # an older one is history

COLUMNS = (
    Column("TABLE"),
    Column("STATE"),
    Column("WAITING", right=True),
    Column("OLDEST", right=True),
    Column("FAILED", right=True),
    Column("SENT", right=True),
    Column("LAST SYNC"),
)


def page(sight: Sight) -> Iterator[str]:
    """Its lines."""
    level = sight.health.level
    at = f" at {local(sight.status.read_at)}" if sight.status else ""
    yield click.style(level.value, fg=COLOURS[level], bold=True) + at
    for reason in sight.health.texts:
        yield from wrapped(printable(reason), "  ")
    if sight.status is None:
        return
    yield ""
    titles, *rows = aligned(COLUMNS, [_row(name, table, sight.status) for name, table in sight.status.tables.items()])
    yield click.style(titles, bold=True)
    for row, table in zip(rows, sight.status.tables.values(), strict=True):
        yield row
        yield from _details(table, sight)


def _row(name: str, table: TableStatus, status: Status) -> tuple[str, ...]:
    last = None if table.last_sync_at is None else (status.read_at - table.last_sync_at).total_seconds()
    failed = f"{table.failed.rows:,}"
    return (
        name,
        _state(table),
        _rows(table.pending),
        age(table.oldest_pending_age_seconds),
        click.style(failed, fg="red") if table.failed.rows else failed,
        f"{table.synced:,}",
        "never" if last is None else f"{age(max(0.0, last))} ago",
    )


def _state(table: TableStatus) -> str:
    """What the table does; without a worker it does nothing, whatever the last one noted."""
    if table.state == UNPREPARED:
        return click.style(UNPREPARED, fg="red")
    if not table.owner_alive:
        return click.style("paused, no worker" if table.paused else "no worker", fg="red")
    if table.paused != (table.state == "paused"):
        return click.style("pausing" if table.paused else "resuming", fg="yellow")
    colour = {"running": None, "blocked": "red"}.get(table.state, "yellow")
    return click.style(table.state, fg=colour) if colour else table.state


def _details(table: TableStatus, sight: Sight) -> Iterator[str]:
    """Why it isn't running, unless that is said on top; and the last error, which may be over."""
    assert sight.status is not None
    reason = table.reason if table.owner_alive else None
    if reason and not any(reason in text for text in sight.health.texts):
        yield from wrapped(printable(reason), "    ")
    if table.last_error and table.last_error_at and table.last_error != table.reason:
        ago = max(0.0, (sight.status.read_at - table.last_error_at).total_seconds())
        if ago < ERROR_SECONDS:
            yield from wrapped(printable(f"last error, {age(ago)} ago: {table.last_error}"), "    ")


def _rows(rows: Count) -> str:
    return f"{'about ' if rows.is_estimate else ''}{rows.rows:,}"
