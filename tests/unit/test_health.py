"""Health: every threshold from both sides, and the reasons in words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from database.counting import Count
from database.retention_reports import LastRun
from database.rowless import Rowless
from database.status import Problem, Status
from database.table_status import UNPREPARED, TableStatus
from operations.health import DISABLED, Health, Kind, Level, Reason, Thresholds, judge, unreachable

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = TableStatus("running", owner_alive=True, pending=Count(3), oldest_pending_age_seconds=4.0, synced=100)


def health(*tables: TableStatus, now: datetime = NOW, problems: tuple[Problem, ...] = ()) -> Health:
    names = ("logs", "summaries")
    return judge(Status(NOW, dict(zip(names, tables, strict=False)), problems), now, Thresholds())


def test_all_is_well() -> None:
    assert health(WELL, WELL) == Health()


@pytest.mark.parametrize(
    "table",
    [
        replace(WELL, pending=Count(1000)),
        replace(WELL, failed=Count(10)),
        replace(WELL, oldest_pending_age_seconds=300.0),
        replace(WELL, oldest_pending_age_seconds=-30.0),
        replace(WELL, oldest_pending_age_seconds=None),
        replace(WELL, noted="waiting", noted_reason="the network is down"),
        replace(WELL, noted="recovering"),
    ],
)
def test_up_to_a_threshold_all_is_well(table: TableStatus) -> None:
    assert health(table) == Health()


@pytest.mark.parametrize(
    ("table", "level", "reason"),
    [
        (replace(WELL, pending=Count(1001)), Level.DEGRADED, "1,001 rows pending, more than 1,000"),
        (
            replace(WELL, pending=Count(1_200_000, is_estimate=True)),
            Level.DEGRADED,
            "about 1,200,000 rows pending, more than 1,000",
        ),
        (
            replace(WELL, failed=Count(11)),
            Level.UNHEALTHY,
            "11 rows failed, more than 10: see their errors, then retry them or give them up",
        ),
        (
            replace(WELL, oldest_pending_age_seconds=301.0),
            Level.DEGRADED,
            "logs: the oldest pending row is 5 min old (limit: 5 min)",
        ),
        (
            replace(WELL, noted="waiting", noted_reason="the network is down", oldest_pending_age_seconds=7_200.0),
            Level.DEGRADED,
            "logs: the oldest pending row is 2 h old (limit: 5 min); waiting: the network is down",
        ),
        (
            replace(WELL, oldest_pending_age_seconds=-32_400.0),
            Level.DEGRADED,
            "logs: a pending row is 9 h in the future: check the clocks and database_timezone",
        ),
        (
            replace(WELL, noted="blocked", noted_reason="no such table"),
            Level.UNHEALTHY,
            "logs is blocked: no such table",
        ),
        (replace(WELL, owner_alive=False), Level.UNHEALTHY, "no worker is running for logs: start `bq-sync worker`"),
    ],
)
def test_beyond_it_there_is_a_reason(table: TableStatus, level: Level, reason: str) -> None:
    judged = health(table)
    assert (judged.level, judged.texts) == (level, (reason,))


def test_thresholds_are_for_the_whole_site() -> None:
    half = replace(WELL, pending=Count(600))
    assert health(half, half).texts == ("1,200 rows pending, more than 1,000",)


def test_what_a_dead_worker_noted_last_is_no_reason_of_its_own() -> None:
    dead = replace(WELL, owner_alive=False, noted="blocked", noted_reason="no such table")
    text = "no worker is running for logs, summaries: start `bq-sync worker`"
    assert health(dead, dead).reasons == (Reason(Kind.NO_WORKER, text, ("logs", "summaries")),)


def test_a_database_that_isnt_ready_is_one_reason_not_one_for_each_table() -> None:
    table = TableStatus(UNPREPARED, "run migrate")
    judged = health(table, table, problems=(Problem("run migrate"),))
    assert judged == Health((Reason(Kind.UNPREPARED, "run migrate"),))
    assert judged.level is Level.UNHEALTHY


def test_a_table_that_lacks_something_and_one_that_cant_be_counted() -> None:
    problems = (Problem("logs: no such column", "logs"), Problem("summaries: locked", "summaries"))
    assert health(TableStatus(UNPREPARED), WELL, problems=problems).reasons == (
        Reason(Kind.UNPREPARED, "logs: no such column", ("logs",)),
        Reason(Kind.UNCOUNTABLE, "summaries: locked", ("summaries",)),
    )


def test_a_database_that_doesnt_answer() -> None:
    assert unreachable("it is gone").level is Level.UNHEALTHY


def test_what_waits_for_a_row_that_isnt_there_says_so() -> None:
    rowless = Rowless(1, first_item=12, first_record="99999", has_flag=True)
    (reason,) = health(replace(WELL, oldest_pending_age_seconds=400.0, rowless=rowless)).texts
    assert reason == (
        "logs: the oldest pending row is 7 min old (limit: 5 min); item 12 names record 99999, which isn't in the"
        " table; such an item waits 10 min for its row, then it is completed as gone"
    )
    assert str(Rowless(20, 12, "7", has_flag=False)) == (
        "item 12 names record 7, which isn't in the table (at least 20 items are like that);"
        " such an item waits 10 min for its row, then it fails"
    )
    assert health(replace(WELL, rowless=rowless)) == Health()  # its row may come


def test_items_of_tables_that_nobody_configured() -> None:
    status = Status(NOW, {"logs": WELL}, unconfigured={"lgos": Count(3), "log": Count(20_000, is_estimate=True)})
    (reason,) = judge(status, NOW, Thresholds()).reasons
    assert (reason.kind, reason.kind.level) == (Kind.UNCONFIGURED, Level.DEGRADED)
    assert "isn't configured: lgos (3), log (about 20,000): add the table to `tables`" in reason.text


@pytest.mark.parametrize(
    ("table", "state"),
    [
        (TableStatus("running", owner_alive=True), "running"),
        (TableStatus("running"), "no worker"),
        (TableStatus("blocked", "no such table"), "no worker"),
        (TableStatus("paused", paused=True), "no worker"),
        (TableStatus("paused", paused=True, owner_alive=True), "paused"),
        (TableStatus("waiting", paused=True, owner_alive=True), "pausing"),
        (TableStatus("paused", owner_alive=True), "resuming"),
        (TableStatus(UNPREPARED), "unprepared"),
        (TableStatus(UNPREPARED, paused=True, owner_alive=True), "unprepared"),
    ],
)
def test_the_state_is_what_the_table_does_now(table: TableStatus, state: str) -> None:
    assert table.state == state
    assert table.reason == (None if state == "no worker" else table.noted_reason)


def test_clocks_that_differ() -> None:
    assert health(WELL, now=NOW + timedelta(seconds=30)) == Health()
    for now in (NOW + timedelta(minutes=10), NOW - timedelta(minutes=10)):
        reason = "the clocks of this machine and the database are 10 min apart: set the one that is wrong"
        judged = health(WELL, now=now)
        assert (judged.level, judged.texts) == (Level.DEGRADED, (reason,))


def test_the_worst_comes_first() -> None:
    both = replace(WELL, failed=Count(11), pending=Count(2000))
    assert health(both).level is Level.UNHEALTHY
    assert ["failed" in reason for reason in health(both).texts] == [True, False]


def test_disabled_says_how_to_enable_it() -> None:
    assert DISABLED.level is Level.DEGRADED
    assert "BQ_SYNC_ENABLED=true" in DISABLED.texts[0]


def test_what_retention_could_not_confirm_or_do() -> None:
    examples: dict[str, list[int | str]] = {"notInBigQuery": [4, 5], "waits": [9]}
    ran = LastRun(NOW, finished=True, deleted=7, refused={"notInBigQuery": 2, "waits": 5}, examples=examples)
    (reason,) = health(replace(WELL, last_retention=ran)).reasons
    assert (reason.kind.level, reason.tables) == (Level.DEGRADED, ("logs",))
    assert "2 old rows are marked as sent, but aren't found in BigQuery (ids 4, 5): they stay here;" in reason.text
    (many,) = health(replace(WELL, last_retention=replace(ran, refused={"notInBigQuery": 2000}))).texts
    assert "2,000 old rows are marked as sent, but aren't found in BigQuery (ids 4, 5, ...):" in many
    (reason,) = health(replace(WELL, last_retention=LastRun(NOW, finished=False, problem="GRANT DELETE"))).reasons
    assert "old rows aren't deleted: GRANT DELETE" in reason.text
    assert health(replace(WELL, last_retention=LastRun(NOW, finished=True, refused={"waits": 5}))).reasons == ()
