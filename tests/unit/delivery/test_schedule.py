from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from delivery.schedule import Daily, daily

TOKYO, BERLIN = ZoneInfo("Asia/Tokyo"), ZoneInfo("Europe/Berlin")


def at(clock: str, zone: ZoneInfo) -> Daily:
    return Daily(time.fromisoformat(clock), timedelta(), zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_it_is_due_by_the_wall_clock_of_the_site() -> None:
    due = at("03:30", TOKYO)
    assert due.last(utc("2026-11-24 00:00")) == utc("2026-11-23 18:30")  # 03:30 on the 24th there
    assert due.next(utc("2026-11-24 00:00")) == utc("2026-11-24 18:30")
    assert due.last(utc("2026-11-23 18:30")) == utc("2026-11-23 18:30")
    assert due.last(utc("2026-11-23 18:29")) == utc("2026-11-22 18:30")


@pytest.mark.parametrize(
    ("night", "clock", "due"),
    [
        ("2026-03-28", "02:30", "2026-03-28 01:30"),  # winter
        ("2026-03-29", "02:30", "2026-03-29 01:30"),  # 02:30 is skipped: 03:30 in summer time
        ("2026-03-30", "02:30", "2026-03-30 00:30"),
        ("2026-10-25", "02:30", "2026-10-25 00:30"),  # 02:30 comes twice: the first
        ("2026-10-26", "02:30", "2026-10-26 01:30"),
    ],
)
def test_summer_time_comes_and_goes(night: str, clock: str, due: str) -> None:
    noon = utc(f"{night} 12:00")
    assert at(clock, BERLIN).last(noon) == utc(due)
    assert at(clock, BERLIN).next(noon - timedelta(hours=14)) == utc(due)


def test_every_day_has_one_whenever_somebody_asks() -> None:
    due = at("02:30", BERLIN)
    now, seen = utc("2026-01-01 00:00"), set()
    while now < utc("2027-01-01 00:00"):
        assert due.last(now) <= now < due.next(now)
        assert due.next(now) - due.last(now) <= timedelta(hours=25)
        seen.add(due.last(now).astimezone(BERLIN).date())
        now += timedelta(minutes=30)
    assert len(seen) == 366


def test_sites_are_spread_over_a_window_and_each_keeps_its_time() -> None:
    spreads = [daily("22:00-04:00", TOKYO, f"site-{number}/logs").spread for number in range(1000)]
    assert daily("22:00-04:00", TOKYO, "site-7/logs").spread == spreads[7]
    assert timedelta() <= min(spreads) < timedelta(minutes=5)
    assert timedelta(hours=5, minutes=55) < max(spreads) < timedelta(hours=6)
    assert max(daily("03:30", None, str(number)).spread for number in range(1000)) < timedelta(minutes=30)
