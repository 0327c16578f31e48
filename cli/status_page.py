"""The status as people read it: what is wrong on top, then a line for each table."""

from collections.abc import Iterator
from datetime import datetime

import click

from cli.printing import Column, age, aligned, count, local, printable, wrapped
from database.counting import Count
from database.daily_checks import LastCheck
from database.retention_reports import LastRun
from database.status import Status
from database.table_status import NO_WORKER, UNPREPARED, TableStatus
from operations.health import Level, Sight

COLOURS = {Level.HEALTHY: "green", Level.DEGRADED: "yellow", Level.UNHEALTHY: "red"}

COLOURS_OF_STATES = {"running": None, "blocked": "red", NO_WORKER: "red", UNPREPARED: "red"}  # others: yellow

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
    paused = "paused, " if table.paused and table.state == NO_WORKER else ""
    colour = COLOURS_OF_STATES.get(table.state, "yellow")
    return click.style(paused + table.state, fg=colour) if colour else table.state


def _details(table: TableStatus, sight: Sight) -> Iterator[str]:
    """Why it isn't running and what it waits for, unless that is said on top; the last error, which may be over; what
    is never sent; how retention and the last comparison with BigQuery went.
    """
    assert sight.status is not None
    for text in (table.reason, table.rowless and str(table.rowless)):
        if text and not any(text in said for said in sight.health.texts):
            yield from wrapped(printable(text), "    ")
    if table.last_error and table.last_error_at and table.last_error != table.reason:
        ago = max(0.0, (sight.status.read_at - table.last_error_at).total_seconds())
        if ago < ERROR_SECONDS:
            yield from wrapped(printable(f"last error, {age(ago)} ago: {table.last_error}"), "    ")
    if table.abandoned.rows:
        items = f"{_rows(table.abandoned)} {'item' if table.abandoned.rows == 1 else 'items'}"
        yield from wrapped(f"{items} abandoned (given up, or UPDATE or DELETE): never sent", "    ")
    if table.last_retention is not None:
        yield from wrapped(printable(_retention(table.last_retention, sight.status.read_at)), "    ")
    if table.last_check is not None and table.last_check.problem is None:
        yield from wrapped(_check(table.last_check, sight.status.read_at), "    ")


def _retention(run: LastRun, now: datetime) -> str:
    """What it did; why it ended before its end is said on top."""
    stayed = sum(run.refused.values())
    kept = f", {count(stayed, 'old row')} stayed" if stayed else ""
    unfinished = "" if run.finished else ", not finished"
    ago = age(max(0.0, (now - run.ended_at).total_seconds()))
    return f"retention, {ago} ago: {count(run.deleted, 'row')} deleted{kept}{unfinished}"


def _check(check: LastCheck, now: datetime) -> str:
    """What it compared; which days differ, or why it couldn't, is said on top."""
    ago = age(max(0.0, (now - check.at).total_seconds()))
    found = f"{count(check.differing, 'day')} of other counts" if check.differing else "all there"
    return f"compared with BigQuery, {ago} ago: {check.first} to {check.last}, {count(check.rows_here, 'row')}, {found}"


def _rows(rows: Count) -> str:
    return f"{'about ' if rows.is_estimate else ''}{rows.rows:,}"
