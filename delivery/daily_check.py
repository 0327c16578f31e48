"""The light form of verification, which runs by itself once a day: are there as many rows on both sides, day by day?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import partial
from typing import Protocol

from delivery.both_sides import ONE_DAY, Day, KeyWalk, Read, Rows, Scope, Span, There
from delivery.day_counts import (
    Counted,
    DayDifference,
    Tally,
    VerifyError,
    at_least_and_at_most,
    count_rows,
    differences,
    first_kept,
)
from delivery.errors import DestinationError, ErrorClass
from delivery.lease import Lease
from delivery.source import SourceError
from delivery.steps import Gentle, Steps, ask
from delivery.verify_report import day_as_json

AGAIN = timedelta(hours=20)  # a run that is made up for, or tried again, isn't another day
DAYS_KEPT = 31  # of those that differ


class Checks(Protocol):
    """Where the last check of a table is kept."""

    def last(self) -> datetime | None:
        """When it was. Raises SourceError."""
        ...

    def keep(self, lease: Lease, result: Mapping[str, object]) -> None:
        """Keep a new one. Raises LedgerError or LeaseLost."""
        ...


@dataclass(frozen=True, slots=True)
class DailyCheck:
    """One table's.

    Args:
        days: how many days before today are compared; days (UTC) of which rows are deleted are left out.
        kept_days: how long rows are kept on both sides; None: for ever.
    """

    walk: KeyWalk
    known: Rows
    there: There
    read: Read
    checks: Checks
    days: int
    kept_days: int | None

    def steps(self, lease: Lease, now: datetime, gentle: Gentle) -> Steps[None]:
        """Compare, unless that was done today, and keep the result. While a side doesn't answer, nothing is kept.

        What comes after it is more important: it isn't held up by a side that doesn't answer.

        Raises:
            SourceError: when the last one was isn't known.
            SourceChangedError, LedgerError: it may be begun again at any time.
            LeaseLost: another worker owns the table.
        """
        last = self.checks.last()
        span = self._span(now.date())
        if span is None or (last is not None and now - AGAIN < last <= now):
            return
        counted = Counted()
        try:
            yield from count_rows(self.walk, self.known, self.read, span, gentle, counted)
            if not counted.scopes:
                return  # an empty table: nothing tells which of BigQuery's rows would be its own
            counts = yield from ask(partial(self.there.counts, span, counted.scopes))
            tallies: Mapping[tuple[Day, Scope], Tally] = counted.tallies
            if differences(tallies, counts, surely=True):
                again = Counted()  # rows may have come since
                yield from count_rows(self.walk, self.known, self.read, span, gentle, again)
                tallies = at_least_and_at_most(tallies, again.tallies)
        except VerifyError as error:
            result = uncompared(span, str(error))
        except SourceError:
            return
        except DestinationError as error:
            if error.failure.error_class is not ErrorClass.BLOCKED:
                return
            result = uncompared(span, str(error))
        else:
            # Rows on their way, and history, may be there or not.
            rows_there = sum(count.rows for count in counts)
            result = compared(span, counted.rows, rows_there, differences(tallies, counts, surely=True))
        self.checks.keep(lease, result)

    def _span(self, today: date) -> Span | None:
        """The last days that are over; None: of none of them rows are kept whole."""
        first, last = today - self.days * ONE_DAY, today - ONE_DAY
        if (kept := first_kept(self.kept_days, today)) is not None:
            first = max(first, kept)
        return Span(first, last) if first <= last else None


def compared(span: Span, rows_here: int, rows_there: int, differing: Sequence[DayDifference]) -> dict[str, object]:
    """The result for days that were compared."""
    return uncompared(span, None) | {
        "rowsHere": rows_here,
        "rowsInBigQuery": rows_there,
        "daysThatDiffer": len(differing),
        "days": [day_as_json(day) for day in differing[:DAYS_KEPT]],
    }


def uncompared(span: Span, problem: str | None) -> dict[str, object]:
    """The result where days couldn't be compared, and why."""
    return {"from": str(span.first), "until": str(span.last), "problem": problem}
