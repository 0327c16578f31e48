"""DATETIME to TIMESTAMP and back in SQL, for servers whose time zone tables were never loaded (Debian's aren't)."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)


def to_utc(column: str, zone: ZoneInfo, first: datetime, last: datetime) -> str:
    """SQL for the UTC of a local time. A repeated hour takes its first offset; a skipped one moves forward.

    Args:
        first, last: the column's least and greatest value, without zone.
    """
    return f"{column} - INTERVAL {_offset(column, zone, first, last, in_utc=False)} SECOND"


def to_local(column: str, zone: ZoneInfo, first: datetime, last: datetime) -> str:
    """SQL for the local time of a column in UTC."""
    return f"{column} + INTERVAL {_offset(column, zone, first, last, in_utc=True)} SECOND"


def _offset(column: str, zone: ZoneInfo, first: datetime, last: datetime, *, in_utc: bool) -> str:
    """SQL for the zone's offset in seconds at a time of day that is in UTC, or in the zone itself."""

    def offset(time: datetime) -> int:
        there = time.replace(tzinfo=UTC).astimezone(zone) if in_utc else time.replace(tzinfo=zone)
        return round((there.utcoffset() or timedelta()).total_seconds())

    branches: list[str] = []
    start = first.replace(hour=0, minute=0, second=0, microsecond=0)
    while start <= last:
        if offset(start) != offset(start + _DAY):
            before, after = start, start + _DAY
            while after - before > timedelta(seconds=1):
                middle = (before + (after - before) / 2).replace(microsecond=0)
                before, after = (middle, after) if offset(middle) == offset(start) else (before, middle)
            branches.append(f"WHEN {column} < '{after}' THEN {offset(start)}")
        start += _DAY
    return f"CASE {' '.join(branches)} ELSE {offset(start)} END" if branches else str(offset(start))
