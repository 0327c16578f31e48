"""What an alert says: to whoever reads it at 3 a.m., on a phone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from alerts.incidents import News
from alerts.message import LONGEST_TITLE, Message, Site, compose
from database.incidents import Incident
from operations.health import Level

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOW = START + timedelta(hours=2, minutes=10)
SITE = Site("tokyo-3", "camera-7")

BLOCKED = Incident("blocked:logs", "logs is blocked: no such table", START)
PENDING = Incident("pending", "1,200 rows pending, more than 1,000", START)
ORPHANED = [Incident(f"no_worker:{table}", "no worker is running for a, b", START) for table in ("a", "b")]


def over(incident: Incident) -> News:
    return News(replace(incident, cleared_at=START + timedelta(hours=2)), is_over=True)


def test_what_is_wrong_where_since_when_and_what_to_do() -> None:
    message = compose(SITE, [News(BLOCKED)], [BLOCKED], NOW)
    assert message == Message(
        "bq-sync tokyo-3: unhealthy: logs is blocked: no such table",
        "logs is blocked: no such table\n"
        "  since 2026-11-23 12:00 UTC\n"
        "  mend what it names; the worker tries again every 5 minutes by itself\n"
        "\n"
        "bq-sync, site tokyo-3 on camera-7, 2026-11-23 14:10 UTC",
        Level.UNHEALTHY,
    )


def test_it_is_over() -> None:
    message = compose(SITE, [over(BLOCKED)], [], NOW)
    assert message.title == "bq-sync tokyo-3: healthy again, it was: logs is blocked: no such table"
    assert message.level is Level.HEALTHY
    assert "it lasted 2 h, from 2026-11-23 12:00 UTC to 2026-11-23 14:00 UTC" in message.body


def test_it_is_over_but_not_all_is_well() -> None:
    message = compose(SITE, [over(BLOCKED)], [PENDING], NOW)
    assert message.title == "bq-sync tokyo-3: over: logs is blocked: no such table"
    assert "Still:\n- 1,200 rows pending" in message.body


def test_the_worst_gives_the_title_and_the_rest_is_counted() -> None:
    message = compose(SITE, [News(PENDING), News(BLOCKED)], [PENDING, BLOCKED], NOW)
    assert message.title == "bq-sync tokyo-3: unhealthy: logs is blocked: no such table (and 1 more)"
    assert compose(SITE, [News(PENDING)], [PENDING], NOW).level is Level.DEGRADED


def test_what_concerns_several_tables_is_said_once() -> None:
    message = compose(SITE, [News(each) for each in ORPHANED], ORPHANED, NOW)
    assert message.body.count("no worker is running") == 1
    assert message.title == "bq-sync tokyo-3: unhealthy: no worker is running for a, b"


def test_a_channel_that_was_down_all_the_time_hears_that_it_was_and_is_over() -> None:
    message = compose(SITE, [News(BLOCKED), over(BLOCKED)], [], NOW)
    assert message.level is Level.HEALTHY
    assert message.body.count("logs is blocked") == 1


def test_a_site_that_has_no_name_yet_is_known_by_its_machine() -> None:
    assert compose(Site(None, "camera-7"), [News(PENDING)], [], NOW).title.startswith("bq-sync camera-7: degraded")


def test_a_title_is_short() -> None:
    long = replace(BLOCKED, description="x" * 500)
    message = compose(SITE, [News(long)], [], NOW)
    assert len(message.title) == LONGEST_TITLE
    assert "x" * 500 in message.body
