"""When a daily run is due, in the site's local time."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

SPREAD_MINUTES = 30  # of a schedule that is a time and no window


@dataclass(frozen=True, slots=True)
class Daily:
    """Once a day at `at` and some minutes, by the wall clock of `zone` (None: of this machine).

    In the night in which the hour of `at` is skipped it is an hour later; where it comes twice, the first counts.
    """

    at: time
    spread: timedelta
    zone: ZoneInfo | None

    def last(self, now: datetime) -> datetime:
        """When it was due last, at `now` or before."""
        today = self._local(now)
        return max(due for days in (-2, -1, 0, 1) if (due := self._due(today + timedelta(days=days))) <= now)

    def next(self, now: datetime) -> datetime:
        """When it is due next, after `now`."""
        today = self._local(now)
        return min(due for days in (-1, 0, 1, 2) if (due := self._due(today + timedelta(days=days))) > now)

    def _local(self, now: datetime) -> datetime:
        return now.astimezone(self.zone).replace(tzinfo=None)

    def _due(self, day: datetime) -> datetime:
        wall = datetime.combine(day.date(), self.at, self.zone)
        return wall.astimezone(UTC) + self.spread


def daily(schedule: str, zone: ZoneInfo | None, name: str) -> Daily:
    """The schedule of whoever is called that: each has minutes of its own, the same ones every day.

    Args:
        schedule: "03:30" (some time in the half hour from then on), or a window such as "22:00-04:00".
    """
    first, _, last = schedule.partition("-")
    at = time.fromisoformat(first)
    minutes = _minutes(last) - _minutes(first) if last else SPREAD_MINUTES
    # A fleet of sites has one schedule; their queries and its deletes mustn't come all at once.
    chance = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) / 2**32
    return Daily(at, timedelta(minutes=(minutes % (24 * 60)) * chance), zone)


def _minutes(clock: str) -> int:
    at = time.fromisoformat(clock)
    return at.hour * 60 + at.minute
