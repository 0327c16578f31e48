"""Whether the clocks that decide about a row's age can be believed."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

APART = timedelta(minutes=5)  # more than clocks that are kept right ever differ

# A clock that was never set says 1970, or when the machine was made. All three may agree on it, on a box by itself.
EARLIEST = datetime(2026, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Clocks:
    """What time it is by this machine, and how far the two others are from it."""

    here: datetime
    database_ahead: timedelta
    bigquery_ahead: timedelta

    @property
    def earliest(self) -> datetime:
        """By the slowest of the three, so that no row is taken for older than it is."""
        return self.here + min(self.database_ahead, self.bigquery_ahead, timedelta())

    def problem(self) -> str | None:
        """Why nothing may be deleted by these clocks; None: they can be believed."""
        if not EARLIEST < self.here < LATEST:
            return f"this machine's clock says {self.here:%Y-%m-%d}: set it"
        others = {"the database's clock": self.database_ahead, "BigQuery's clock": self.bigquery_ahead}
        for name, ahead in others.items():
            if abs(ahead) > APART:
                way = "ahead of" if ahead > timedelta() else "behind"
                seconds = abs(ahead).total_seconds()
                return f"{name} is {seconds:,.0f} s {way} this machine's: set the one that is wrong"
        if abs(self.database_ahead - self.bigquery_ahead) > APART:
            return "the database's clock and BigQuery's are more than 5 minutes apart: set the one that is wrong"
        return None
