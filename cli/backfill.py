"""`bq-sync backfill`: has history sent, or a range of time again."""

import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial

import click

from cli.asking import database, known, load_settings, some_tables
from cli.endings import Exit, Failed
from cli.printing import age, count, printable
from cli.progress import Progress, bar
from config.settings import Settings
from delivery.backfill import BackfillError, Selection
from delivery.backfill_report import BackfillReport, Fate
from delivery.bulk_backfill import NBYTES, ROWS, Limits
from delivery.errors import DestinationError, LeaseLost, LedgerError
from delivery.source import SourceChangedError, SourceError
from operations.backfill import NoWorkerError
from operations.backfill import backfill as through_queue
from operations.bulk_backfill import bulk_backfill
from operations.control import Patience
from operations.opening import UnfitError
from operations.reaching import Reached, reaching

Run = Callable[..., None]  # of one table; it gets what it reaches, the table, the report, and what shows it

PATIENCE = Patience()
ENDS = (BackfillError, DestinationError, LeaseLost, LedgerError, SourceChangedError, SourceError, UnfitError)
GOES_ON = "the same command goes on from there"
LEFT = {
    Fate.WAITS: "an item of theirs waits already",
    Fate.FAILED_BEFORE: "they failed before: `bq-sync failed --table {table}`, mend them, and `bq-sync retry`",
    Fate.GIVEN_UP: "they were given up with `bq-sync clear-failed`",
    Fate.DROPPED: "gone, or given up meanwhile",
}


@click.command()
@some_tables("Only rows of this table")
@click.option("--again", is_flag=True, help="Rows marked as sent that BigQuery lacks. Needs a range.")
@click.option(
    "--from", "since", type=click.DateTime(), help="Only rows of this age or younger, in the database's zone."
)
@click.option("--until", metavar="DATE", type=click.DateTime(), help="Only rows older than that.")
@click.option("--most-waiting", metavar="ROWS", type=click.IntRange(1, 100_000), help="Let so many wait in the queue.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and tell how many rows it would be.")
@click.option("--load", is_flag=True, help="By load jobs, for very many rows. No worker may own the table meanwhile.")
@click.option("--chunk-rows", metavar="ROWS", type=click.IntRange(1, 500_000), help="Of a load job. [default: 100000]")
@click.option("--chunk-megabytes", metavar="MB", type=click.IntRange(1, 10_000), help="Of a job. [default: 200]")
def backfill(
    tables: tuple[str, ...],
    again: bool,
    since: datetime | None,
    until: datetime | None,
    most_waiting: int | None,
    dry_run: bool,
    load: bool,
    chunk_rows: int | None,
    chunk_megabytes: int | None,
) -> None:
    """Send history, or a range of time again.

    History are rows that were there before bq-sync (flag NULL). No row is doubled, however often it is run.

    Exit code: 0 done, 6 some table has no worker; 1 where rows failed, or it ended in the middle: run it again.
    """
    if again and (since is None or until is None):
        raise click.UsageError("--again needs --from and --until.")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from has to be before --until.")
    if load and (again or most_waiting):
        raise click.UsageError("--load sends history alone, and not through the queue: no --again, no --most-waiting.")
    if (chunk_rows or chunk_megabytes) and not load:
        raise click.UsageError("--chunk-rows and --chunk-megabytes go with --load.")
    settings = load_settings()
    zone = settings.zone or UTC
    selection = Selection(again, since and since.replace(tzinfo=zone), until and until.replace(tzinfo=zone))
    run: Run
    if load and not dry_run:
        limits = Limits(chunk_rows or ROWS, chunk_megabytes * 1_000_000 if chunk_megabytes else NBYTES)
        run = partial(bulk_backfill, selection=selection, limits=limits)
    else:
        waiting = most_waiting or max(1, settings.pending_threshold // 2)
        run = partial(
            through_queue,
            selection=selection,
            most_waiting=waiting,
            worker_seconds=PATIENCE.taken,
            dry_run=dry_run,
        )
    with database(settings), reaching(settings) as reached:
        codes = [_one(reached, table, run) for table in _chosen(settings, tables, again=again)]
    sys.exit(max(codes, default=Exit.DONE))


def _chosen(settings: Settings, tables: Sequence[str], *, again: bool) -> Sequence[str]:
    """The tables that were named; where none was, all that can have history."""
    chosen = known(settings, tables)
    return chosen if tables or again else [each for each in chosen if settings.tables[each].synced_flag is not None]


def _one(reached: Reached, table: str, run: Run) -> Exit:
    """Backfill the table and say what became of it; what befalls one table is no other one's."""
    report, estimate = BackfillReport(), Estimate()
    try:
        with Progress(lambda: estimate.line(table, report)) as progress:
            run(reached, table, report=report, show=progress.show)
    except NoWorkerError as nobody:
        click.echo(f"bq-sync: {nobody}", err=True)
        return Exit.NO_WORKER
    except ENDS as error:
        _tell(table, report)
        click.echo(f"bq-sync: {table}: {error}" + (f"; {GOES_ON}" if report.total else ""), err=True)
        return Exit.FAILED
    except KeyboardInterrupt:
        _tell(table, report)
        raise Failed(f"stopped; what is on its way still arrives, and {GOES_ON}") from None
    _tell(table, report)
    return Exit.FAILED if report.fates[Fate.FAILED] else Exit.DONE


def _tell(table: str, report: BackfillReport) -> None:
    if report.total is None:
        return  # nothing was begun
    for line in told(table, report):
        click.echo(printable(line))


def told(table: str, report: BackfillReport) -> Sequence[str]:
    """What became of the rows, a line each."""
    fates = report.fates
    if fates[Fate.WOULD_SEND]:
        first = f"{count(fates[Fate.WOULD_SEND], 'row')} would be sent"
    else:
        first = f"{count(fates[Fate.SENT], 'row')} sent"
    lines = [f"{table}  {first}, {fates[Fate.THERE]:,} were there already"]
    if failed := fates[Fate.FAILED]:
        lines.append(f"{table}  {count(failed, 'row')} failed: see `bq-sync failed --table {table}`")
    lines += [
        f"{table}  {count(fates[fate], 'row')} left alone: {why.format(table=table)}"
        for fate, why in LEFT.items()
        if fates[fate]
    ]
    if report.under_way:
        lines.append(f"{table}  {count(report.under_way, 'row')} on the way")
    return lines


class Estimate:
    """How many rows a second are done, and how long the rest takes if it goes on so."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def line(self, table: str, report: BackfillReport) -> str:
        if report.total is None:
            return f"{table}  counting rows" + _waits(report)
        about = "about " if report.total.is_estimate else ""
        total = max(report.total.rows, report.passed)
        rate = report.done / max(self._clock() - self._began, 0.001)
        left = f", {age((total - report.done) / rate)} left" if rate > 0 else ""
        rows = f"{report.done:,} of {about}{total:,} rows"
        return f"{table}  {bar(report.done, total)}  {rows}, {rate:,.0f} a second{left}{_waits(report)}"


def _waits(report: BackfillReport) -> str:
    return f"; {report.waits_for}" if report.waits_for else ""
