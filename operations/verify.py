"""`bq-sync verify`: whether BigQuery has every row that it should have, once and with its values; and mending it."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime

from bigquery.compare import TableInBigQuery
from bigquery.confirm import BigQueryConfirming
from bigquery.lookup import Lookup
from config.settings import TableSettings
from database.backfill import SqlItems
from database.daily_checks import keep_verified, rows_sent
from database.key_walk import SqlKeyWalk
from database.old_rows import SqlOldRows
from database.source import SqlSource
from delivery.backfill import ITEMS_AT_ONCE, free_of_items
from delivery.backfill_report import BackfillReport
from delivery.both_sides import ONE_DAY, Span
from delivery.confirm import Confirmation
from delivery.daily_check import compared
from delivery.day_counts import VerifyError, first_kept
from delivery.errors import DestinationError
from delivery.rows import Key
from delivery.source import Source, SourceChangedError, SourceError
from delivery.steps import Gentle, run
from delivery.verify import Plan, Verification
from delivery.verify_report import Damage, VerifyReport
from mapping.compile import MappingError
from mapping.identity import compile_identity, identities
from mapping.verified import differing, reader, side_by_side
from operations.opening import Opened, UnfitError, open_both_sides
from operations.reaching import Reached


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be compared, and how.

    Attributes:
        first, last: days (UTC), both included; None: as far as rows are kept here.
        deep: values of all rows, else of days that have other counts on both sides.
        repair: ask for missing rows to be sent again.
        hurry: leave the database no room between reads.
        most_bytes: that one query may read in BigQuery.
    """

    first: date | None = None
    last: date | None = None
    deep: bool = False
    repair: bool = False
    hurry: bool = False
    most_bytes: int = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Told:
    """Who is told how it goes: what is about to be read row by row, and again and again how far it is."""

    planned: Callable[[Plan], None] = lambda _plan: None
    progress: Callable[["Going"], None] = lambda _going: None


@dataclass(frozen=True, slots=True)
class Going:
    """Rows counted here, rows compared, and rows that are to be compared (0: that isn't known yet)."""

    counted: int = 0
    compared: int = 0
    to_compare: int = 0


def verify_table(reached: Reached, name: str, wanted: Wanted, told: Told) -> VerifyReport:
    """Compare a table, and perhaps ask for what is missing. What keeps it from its end is the report's `problem`."""
    now = datetime.now(UTC)
    report = VerifyReport(name, span_of(reached.settings.tables[name], wanted, now), now, deep=wanted.deep)
    try:
        opened = open_both_sides(reached.settings, name, reached.engines, reached.clients)
        verification = _verification(reached, opened, wanted, report, told.planned)

        def rest(seconds: float) -> None:
            told.progress(Going(verification.counted.rows, report.compared, report.to_compare))
            time.sleep(seconds)

        run(verification.steps(), rest)
        if report.empty and (sent := rows_sent(reached.engines.read, name)):
            report.problem = (
                f"the table has no row, though {sent:,} were sent: nothing tells which of BigQuery's rows are"
                " its own, nor which ids they have. Was it emptied? See docs/troubleshooting.md before rows are added"
            )
        _keep_what_was_found(reached, verification, now.date())
        if wanted.repair:
            run(verification.look_everywhere(), rest)
            missing = [row.key for row in report.damaged if row.damage is Damage.MISSING and row.key is not None]
            report.asked_again = _ask_again(reached, name, verification.known, missing)
    except (UnfitError, MappingError) as error:
        report.problem = "; ".join(error.problems)
    except (VerifyError, DestinationError, SourceError) as error:
        report.problem = str(error)
    except SourceChangedError as error:
        report.problem = f"{error}: verify again"
    return report


def _keep_what_was_found(reached: Reached, verification: Verification, today: date) -> None:
    """Where all is there, and all days of the daily check were compared: health mustn't say for a day that it isn't."""
    report, span = verification.report, verification.report.span
    first = today - reached.settings.verify_days * ONE_DAY
    if not report.equal or report.empty or span.last is not None or (span.first is not None and span.first > first):
        return
    oldest = min((day for day in verification.counted.bounds if day is not None), default=first)
    result = compared(Span(min(first, oldest), today - ONE_DAY), report.rows_here, report.rows_there, ())
    with suppress(SourceError):  # who verifies needn't have the right to write
        keep_verified(reached.engines.write, report.table, result)


def span_of(table: TableSettings, wanted: Wanted, now: datetime) -> Span:
    """The days that are compared: those that were asked for, else those of which no row is deleted here yet."""
    if wanted.first is not None or wanted.last is not None:
        return Span(wanted.first, wanted.last)
    deletes = table.synced_flag is not None and table.age_column is not None
    return Span(first_kept(table.retention_days if deletes else None, now.date()), None, timeless=True)


def _ask_again(reached: Reached, name: str, source: Source, missing: Sequence[Key]) -> int:
    """Ask for these rows, unless an item decides about them already; how many were asked for. Raises SourceError.

    The worker looks each up before it sends it, so that asking twice doubles nothing.
    """
    items = SqlItems(reached.engines.write, name, tells_found=False)
    asked = 0
    for start in range(0, len(missing), ITEMS_AT_ONCE):
        free = free_of_items(source, missing[start : start + ITEMS_AT_ONCE], BackfillReport())
        if free:
            items.add(free)
            asked += len(free)
    return asked


def _verification(
    reached: Reached, opened: Opened, wanted: Wanted, report: VerifyReport, planned: Callable[[Plan], None]
) -> Verification:
    settings, engines, clients = reached.settings, reached.engines, reached.clients
    name, destination, whole = opened.source.name, opened.destination, opened.mapping
    by = side_by_side(name, opened.table, opened.source, destination, opened.site)
    known = compile_identity(
        name,
        opened.table,
        opened.source,
        destination,
        settings.zone,
        opened.site,
        also=by.columns,
    )
    columns = [column for column in destination.columns.values() if column.name in opened.table.columns]
    gentle = Gentle(time.monotonic, hurry=wanted.hurry)
    known_rows = SqlSource(engines.read, name, opened.columns, known.source_columns, known.key_of)
    confirmation = Confirmation(
        SqlOldRows(engines, name, None),
        BigQueryConfirming(
            clients,
            settings,
            destination.name,
            Lookup(clients.rest, settings, destination).places_there,
            lambda: datetime.now(UTC),
        ),
        identities(known),
        queries_allowed=True,
        expiration_days=destination.expiration_days,
        now=report.started_at,
        gentle=gentle,
    )
    return Verification(
        SqlKeyWalk(engines.read, opened.source, opened.columns),
        known_rows,
        SqlSource(engines.read, name, opened.columns, whole.source_columns, whole.key_of),
        TableInBigQuery(clients.rest, settings, destination, by, columns, wanted.most_bytes),
        reader(known, by),
        reader(whole, by),
        identities(known),
        differing(columns),
        by.time.name,
        confirmation,
        gentle,
        report,
        wanted.first is None and wanted.last is None,
        planned,
    )
