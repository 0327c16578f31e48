"""What is done for a table once a day: it is compared with BigQuery, old rows go, and our own tables are cleaned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from delivery.cleaning import Cleaning
from delivery.daily_check import DailyCheck
from delivery.lease import Lease
from delivery.old_rows import Confirming, Identities, OldRows
from delivery.retention import Policy, Retention
from delivery.retention_report import Report
from delivery.source import Source
from delivery.steps import Gentle, Steps


class Reports(Protocol):
    """Where reports of runs are kept. Each may raise LedgerError or LeaseLost, but for `last_finished`: SourceError."""

    def last_finished(self) -> datetime | None:
        """When the last run ended that wasn't a dry one and went to its end."""
        ...

    def keep(self, lease: Lease, report: Mapping[str, object]) -> None:
        """Keep the report of a run that nobody asked for."""
        ...

    def show(self, lease: Lease, command_id: int, report: Mapping[str, object]) -> None:
        """Say how far the run is that answers this command."""
        ...


@dataclass(frozen=True, slots=True)
class Housekeeping:
    """One table's.

    Args:
        completed_days: how long completed items are kept at least; `ledger_days`: batches and streams.
        now: by this machine's clock.
        check: compares both sides; None: the table can't be compared, or nobody wants that.
    """

    policy: Policy
    rows: OldRows
    source: Source
    identities: Identities
    destination: Confirming
    reports: Reports
    completed_days: int
    ledger_days: int
    now: Callable[[], datetime]
    check: DailyCheck | None = None

    def steps(
        self, lease: Lease, report: Report, monotonic: Callable[[], float], *, daily: bool = False
    ) -> Steps[None]:
        """One run; a daily one compares both sides first. Raises what `Retention.steps` does."""
        gentle = Gentle(monotonic)
        if daily and self.check is not None:
            yield from self.check.steps(lease, self.now(), gentle)
        now = yield from Retention(
            self.policy,
            lease,
            self.rows,
            self.source,
            self.identities,
            self.destination,
            self.now,
            gentle,
            report,
        ).steps()
        days = self.policy.retention_days
        rows_rest = days is not None and self.policy.problem is None
        yield from Cleaning(
            lease,
            self.rows,
            self.source,
            gentle,
            report,
            self.completed_days,
            # Rows that are younger than retention_days are there: of their batches none may go, so none is asked about.
            max(self.ledger_days, days or 0) if rows_rest else self.ledger_days,
            rows_rest,
            now,
        ).steps()
