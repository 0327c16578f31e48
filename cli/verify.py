"""`bq-sync verify`: prints what the comparison found, and says by the exit code whether all is there."""

import json
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime

import click

from cli.asking import database, known, load_settings, some_tables
from cli.endings import Exit, Failed
from cli.printing import Column, aligned, count, printable
from cli.progress import Progress, bar
from config.settings import Settings
from delivery.both_sides import ONE_DAY
from delivery.day_counts import DayDifference
from delivery.verify import Plan
from delivery.verify_report import Damage, Damaged, VerifyReport
from operations.reaching import reaching
from operations.verify import Going, Told, Wanted, verify_table

SHOWN = 20  # rows of each kind; --json has all

WHAT = {
    Damage.MISSING: "marked as sent, but not in BigQuery",
    Damage.DUPLICATE: "in BigQuery more than once",
    Damage.DIFFERENT: "other values in BigQuery",
    Damage.EXTRA: "in BigQuery, but not here",
}
UNITS = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))

day = click.DateTime(["%Y-%m-%d"])


@click.command()
@some_tables("Compare only this table")
@click.option("--from", "first", metavar="DAY", type=day, help="Only days (UTC) from then on, such as 2026-11-01.")
@click.option("--until", metavar="DAY", type=day, help="Only days (UTC) before that.")
@click.option("--deep", is_flag=True, help="Compare all values, not only of days that have other counts.")
@click.option("--repair", is_flag=True, help="Ask the worker to send again what is missing.")
@click.option("--hurry", is_flag=True, help="Leave the database no room between reads.")
@click.option(
    "--max-bytes",
    metavar="N",
    type=click.IntRange(min=10_485_760),
    help="What one query may read in BigQuery; default: lookup_max_bytes.",
)
@click.option("--json", "in_json", is_flag=True, help="Print one JSON document instead of lines.")
def verify(
    tables: tuple[str, ...],
    first: datetime | None,
    until: datetime | None,
    deep: bool,
    repair: bool,
    hurry: bool,
    max_bytes: int | None,
    in_json: bool,
) -> None:
    """Compare the tables with BigQuery's: is every row there, once, with its values?

    Counts by day first, then rows and values of the days that differ, or of all (--deep). Without --from and --until
    that is every day of which no row is deleted here yet.

    Exit code: 0 all is there, 7 something differs, 1 a table couldn't be compared.
    """
    settings = load_settings()
    chosen = known(settings, tables)
    if first is not None and until is not None and until <= first:
        raise click.UsageError("--from has to be before --until.")
    if until is not None and until.date() == date.min:
        raise click.UsageError(f"--until has to be behind {date.min}: no day comes before that.")
    wanted = Wanted(
        first.date() if first else None,
        until.date() - ONE_DAY if until else None,
        deep=deep,
        repair=repair,
        hurry=hurry,
        most_bytes=max_bytes or settings.lookup_max_bytes,
    )
    try:
        reports = list(_verify(settings, chosen, wanted, in_json=in_json))
    except KeyboardInterrupt:
        raise Failed("stopped; nothing was changed, unless a table above says that rows were asked for again") from None
    if in_json:
        equal = all(report.equal for report in reports)
        document = {"equal": equal, "tables": [report.as_json() for report in reports]}
        click.echo(json.dumps(document, ensure_ascii=False, indent=2))
    sys.exit(code_of(reports))


def _verify(settings: Settings, tables: Sequence[str], wanted: Wanted, *, in_json: bool) -> Iterator[VerifyReport]:
    """Each table's report, which is printed as soon as it is there."""
    with database(settings), reaching(settings) as reached:
        for table in tables:
            shown = _Shown(table)
            with shown.progress:
                report = verify_table(reached, table, wanted, shown.told)
            if not in_json:
                click.echo("\n".join(lines(report)))
            yield report


class _Shown:
    """One table's comparison, as it goes."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._going = Going()
        self.progress = Progress(self._line)

    @property
    def told(self) -> Told:
        return Told(self._planned, self._goes)

    def _planned(self, plan: Plan) -> None:
        self.progress.wipe()
        what = f"comparing {count(plan.rows, 'row')} of {count(plan.days, 'day')}"
        click.echo(f"{self._table}  {what}; BigQuery reads {size(plan.bytes)} for that", err=True)

    def _goes(self, going: Going) -> None:
        self._going = going
        self.progress.show()

    def _line(self) -> str:
        going = self._going
        if not going.to_compare:
            return f"{self._table}  {going.counted:,} rows counted"
        compared = f"{going.compared:,} of {going.to_compare:,} rows compared"
        return f"{self._table}  {bar(going.compared, going.to_compare)}  {compared}"


def code_of(reports: Sequence[VerifyReport]) -> Exit:
    """The worst of its tables: what couldn't be compared, then what differs."""
    if any(report.problem is not None for report in reports):
        return Exit.FAILED
    return Exit.DONE if all(report.equal for report in reports) else Exit.DIFFERENT


def lines(report: VerifyReport) -> Iterator[str]:
    """The report as people read it: names rows and columns, never values."""
    yield f"{report.table}: {_verdict(report)}"
    if report.problem is not None:
        yield f"  {printable(report.problem)}"
    if report.empty or (report.problem is not None and not report.damaged):
        return
    yield f"  {_days(report)}: {count(report.rows_here, 'row')} here, {report.rows_there:,} in BigQuery{_rest(report)}"
    compared = f"{report.compared:,} compared value by value; " if report.compared else ""
    yield f"  {compared}BigQuery read {size(report.bytes)}"
    if report.days:
        yield from (f"  {line}" for line in _table_of(report.days))
    if report.reused is not None:
        yield (
            f"  the next row gets id {report.reused.next}, but BigQuery has ids up to {report.reused.highest}: was a"
            " backup restored? New rows would be taken for former ones:"
            f" ALTER TABLE {report.table} AUTO_INCREMENT = {report.reused.highest + 1}"
        )
    counts = report.counts
    for damage in Damage:
        if counts[damage]:
            yield f"  {WHAT[damage]}: {count(counts[damage], 'row')}"
            rows = [row for row in report.damaged if row.damage is damage]
            yield from (f"    {_row(row)}" for row in rows[:SHOWN])
            if len(rows) > SHOWN:
                yield f"    and {len(rows) - SHOWN:,} more: --json names all"
    if report.unreadable:
        some = ", ".join(map(str, sorted(report.unreadable, key=str)[:SHOWN]))
        yield f"  can't be compared, since BigQuery couldn't take them as they are now: {printable(some)}"
    if report.asked_again:
        yield f"  asked for again: {count(report.asked_again, 'row')}; the worker sends them: see `bq-sync status`"


def _verdict(report: VerifyReport) -> str:
    if report.problem is not None:
        return click.style("not compared to its end", fg="red")
    if not report.equal:
        return click.style("DIFFERENT", fg="red")
    if report.empty:
        return "no row here, and none was ever sent"
    return click.style("all is there" if report.deep else "all is there, by the counts of each day", fg="green")


def _days(report: VerifyReport) -> str:
    match report.span.first, report.span.last:
        case None, None:
            return "all days"
        case first, None:
            return f"from {first}"
        case None, last:
            return f"until {last}"
    return f"{report.span.first} to {report.span.last}"


def _rest(report: VerifyReport) -> str:
    """Of the rows here, those that needn't be in BigQuery."""
    rest = {
        "not sent yet": report.waiting,
        "history": report.history,
        "never asked for": report.unsent,
        "expired there": report.expired,
    }
    named = [f"{rows:,} {what}" for what, rows in rest.items() if rows]
    return f" ({', '.join(named)})" if named else ""


def _table_of(days: Sequence[DayDifference]) -> Iterator[str]:
    columns = (
        Column("DAY"),
        Column("SENT", right=True),
        Column("NOT SENT", right=True),
        Column("IN BIGQUERY", right=True),
    )
    shown = [
        (str(each.day or "no time"), f"{each.here:,}", f"{each.open:,}", f"{each.there:,}") for each in days[:SHOWN]
    ]
    yield from aligned(columns, shown)
    if len(days) > SHOWN:
        yield f"and {len(days) - SHOWN:,} more days: --json names all"


def _row(row: Damaged) -> str:
    columns = ""
    if row.damage is Damage.DIFFERENT:
        columns = f": {', '.join(row.columns)}" if row.columns else ": has changed here since it was sent"
    key = "" if row.key is None else f" (id {row.key})"
    return printable(f"{' '.join(map(str, row.id))}{key}{columns}")


def size(nbytes: int) -> str:
    """A number of bytes in its largest unit."""
    for unit, name in UNITS:
        if nbytes >= unit:
            return f"{nbytes / unit:.1f} {name}"
    return count(nbytes, "byte")
