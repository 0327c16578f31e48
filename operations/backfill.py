"""`bq-sync backfill`: history, or a range of time again, table by table, through the queue of the running worker."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from bigquery.writing import writing
from database.backfill import SqlItems, SqlSelectedRows
from database.source import SqlSource
from delivery import steps
from delivery.backfill import AskFirst, Backfill, BackfillError, Selection
from delivery.backfill_report import BackfillReport
from delivery.steps import Gentle
from mapping.identity import compile_identity, identities
from operations.opening import Opened, open_both_sides
from operations.reaching import Reached

LOOK_SECONDS = 0.5


class NoWorkerError(Exception):
    """Nobody would send the rows; nothing was done."""


def backfill(
    reached: Reached,
    name: str,
    selection: Selection,
    report: BackfillReport,
    show: Callable[[], None],
    *,
    most_waiting: int,
    worker_seconds: float,
    dry_run: bool = False,
) -> None:
    """Have the selected rows of one table sent, and wait until they are.

    Args:
        show: called again and again; `report` says how far it is.
        most_waiting: see `delivery.backfill.Backfill`.
        worker_seconds: so long a worker may take to own the table.

    Raises:
        BackfillError, UnfitError, NoWorkerError: nothing was done.
        SourceError, DestinationError: it ended in the middle; begun anew it goes on.
    """
    settings, engines = reached.settings, reached.engines
    opened = open_both_sides(settings, name, engines, reached.clients)
    demand_selectable(opened, selection, datetime.now(UTC))
    items = SqlItems(engines.write, name, tells_found=settings.write_method == "storage_write")
    if not dry_run:
        _wait_for_worker(items, worker_seconds)
    table, destination = opened.table, opened.destination
    known_by = compile_identity(name, table, opened.source, destination, settings.zone, opened.site)
    looks_up = writing(reached.clients, settings, destination)
    run = Backfill(
        SqlSelectedRows(engines.read, table, opened.source, opened.columns, selection),
        items,
        SqlSource(engines.read, name, opened.columns, known_by.source_columns, known_by.key_of),
        AskFirst(looks_up, identities(known_by)) if selection.again else None,
        most_waiting,
        Gentle(time.monotonic),
        report,
        dry_run,
    )
    try:
        steps.run(run.steps(), time.sleep, show)
    finally:
        looks_up.close()


def demand_selectable(opened: Opened, selection: Selection, now: datetime) -> None:
    """Raise BackfillError where the table's rows can't be selected so."""
    name, table = opened.source.name, opened.table
    if table.synced_flag is None and not selection.again:
        raise BackfillError(
            f"{name} has no synced_flag, so that nothing says which of its rows are history: "
            "say --again with --from and --until; BigQuery is asked which of these rows it lacks"
        )
    if table.age_column is None and (selection.since or selection.until):
        raise BackfillError(f"{name} has no age_column, so that no range of time can be selected: set it")
    days = opened.destination.expiration_days
    if selection.again and selection.since is not None and days is not None:
        # A day more than that: a partition is a day or longer, and what is about to go isn't worth sending.
        kept = now - timedelta(days=days - 1)
        if selection.since < kept:
            raise BackfillError(
                f"BigQuery drops partitions of {table.destination} after {days:g} days, so that it can't tell of older "
                f"rows whether it had them: say --from {kept:%Y-%m-%d} or later"
            )


def _wait_for_worker(items: SqlItems, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while (obstacle := items.obstacle()) is not None:
        if time.monotonic() >= deadline:
            raise NoWorkerError(obstacle)
        time.sleep(LOOK_SECONDS)
