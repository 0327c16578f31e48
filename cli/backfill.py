"""`bq-sync backfill`: has history sent, or a range of time again."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import click

from cli.asking import database, known, load_settings, some_tables
from cli.endings import Exit, Failed
from cli.printing import count, printable
from cli.progress import Estimate, Progress
from delivery.backfill import BackfillError, Selection
from delivery.backfill_report import BackfillReport, Fate
from delivery.errors import DestinationError
from delivery.source import SourceChangedError, SourceError
from operations.backfill import NoWorkerError, Reached, reaching
from operations.backfill import backfill as backfill_table
from operations.opening import UnfitError

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
@click.option("--until", type=click.DateTime(), help="Only rows older than that.")
@click.option("--most-waiting", metavar="ROWS", type=click.IntRange(1, 100_000), help="Let so many wait in the queue.")
@click.option("--dry-run", is_flag=True, help="Send nothing, and tell how many rows it would be.")
def backfill(
    tables: tuple[str, ...],
    again: bool,
    since: datetime | None,
    until: datetime | None,
    most_waiting: int | None,
    dry_run: bool,
) -> None:
    """Send history, or a range of time again.

    History are rows that were there before bq-sync (flag NULL). No row is doubled, however often it is run.

    Exit code: 0 done, 6 some table has no worker; 1 where rows failed, or it ended in the middle: run it again.
    """
    if again and (since is None or until is None):
        raise click.UsageError("--again needs --from and --until.")
    if since is not None and until is not None and since >= until:
        raise click.UsageError("--from has to be before --until.")
    settings = load_settings()
    zone = settings.zone or UTC
    selection = Selection(again, since and since.replace(tzinfo=zone), until and until.replace(tzinfo=zone))
    most_waiting = most_waiting or max(1, settings.pending_threshold // 2)
    chosen = known(settings, tables)
    with database(settings), reaching(settings) as reached:
        codes = [_one(reached, table, selection, most_waiting, dry_run) for table in chosen]
    sys.exit(max(codes))


def _one(reached: Reached, table: str, selection: Selection, most_waiting: int, dry_run: bool) -> Exit:
    report, estimate = BackfillReport(), Estimate()
    try:
        with Progress(lambda: estimate.line(table, report)) as progress:
            backfill_table(reached, table, selection, report, progress.show, most_waiting=most_waiting, dry_run=dry_run)
    except NoWorkerError as nobody:
        click.echo(f"bq-sync: {nobody}", err=True)
        return Exit.NO_WORKER
    except (BackfillError, UnfitError) as error:
        raise Failed(str(error)) from error
    except (DestinationError, SourceError, SourceChangedError) as error:
        _tell(table, report)
        raise Failed(f"{table}: {error}; {GOES_ON}") from error
    except KeyboardInterrupt:
        _tell(table, report)
        raise Failed(f"stopped; what is in the queue is still sent, and {GOES_ON}") from None
    _tell(table, report)
    return Exit.FAILED if report.fates[Fate.FAILED] else Exit.DONE


def _tell(table: str, report: BackfillReport) -> None:
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
        lines.append(f"{table}  {count(report.under_way, 'row')} in the queue")
    return lines
