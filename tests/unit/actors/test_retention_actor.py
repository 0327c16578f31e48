"""RetentionActor: when it runs, that it says how it went, and that its trouble is its own."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from random import Random

import pytest

from actors.messages import LeaseGone, RecoveryNeeded, RetentionDone, RunRetention, StepAnswered, Tick
from actors.retention_actor import FIRST_SECONDS, MISSED_SECONDS, RetentionActor
from delivery import retention
from delivery.errors import LedgerError
from delivery.housekeeping import Housekeeping
from delivery.lease import Lease
from delivery.retention import Policy
from delivery.schedule import Daily
from delivery.source import SourceChangedError, SourceError
from tests.fakes.background import HeldBackground
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import UNAVAILABLE
from tests.fakes.inbox import Inbox, pump
from tests.fakes.ledger import MemoryLedger
from tests.fakes.measures import KeptMeasures
from tests.fakes.old_rows import DAY, NOW, MemoryBigQuery, MemoryOldRows, sent
from tests.fakes.source import MemorySource

LEASE = Lease("logs", "token", 1)
HOUR = 3600.0


class MemoryReports:
    """Keeps reports. `asked`: how often somebody wanted to know when the last run ended."""

    def __init__(self) -> None:
        self.last: datetime | None = None
        self.kept: list[Mapping[str, object]] = []
        self.shown: list[int] = []
        self.asked = 0
        self.failures: list[Exception] = []

    def last_finished(self) -> datetime | None:
        self.asked += 1
        if self.failures:
            raise self.failures.pop()
        return self.last

    def keep(self, lease: Lease, report: Mapping[str, object]) -> None:
        if self.failures:
            raise self.failures.pop()
        self.kept.append(report)

    def show(self, lease: Lease, command_id: int, report: Mapping[str, object]) -> None:
        self.shown.append(command_id)


class World:
    """A RetentionActor for a table with old rows, some hours before it is due; it ran the day before."""

    def __init__(self, due_in: float = 2 * HOUR) -> None:
        self.db = MemoryDatabase()
        ledger = MemoryLedger(self.db)
        ledger.grant(LEASE)
        self.ledger = ledger
        self.rows = MemoryOldRows(self.db, ledger)
        self.bigquery = MemoryBigQuery()
        self.source = MemorySource(self.db)
        self.reports = MemoryReports()
        self.reports.last = self.now() + timedelta(seconds=due_in) - DAY + timedelta(minutes=1)
        self.upstream = Inbox()
        self.background = HeldBackground()
        self.scheduler = FakeScheduler(self.db.clock)
        self.measures = KeptMeasures()
        at = (NOW + timedelta(seconds=due_in)).astimezone()
        self.actor = RetentionActor(
            self.upstream,
            LEASE,
            Housekeeping(
                Policy(60),
                self.rows,
                self.source,
                self.rows.identities(),
                self.bigquery,
                self.reports,
                7,
                30,
                self.now,
            ),
            Daily(at.time().replace(tzinfo=None), timedelta(), None),
            lambda: self.background,
            self.scheduler,
            self.db.clock,
            self.measures,
            Random(7),
        )
        self.add(1, 2, 3)

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.db.clock.now - 1000.0)

    def add(self, *keys: int) -> None:
        self.rows.add(*keys)
        self.bigquery.hold(*map(sent, keys))

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.actor.actor_ref.tell(message)
        self.run()

    def run(self) -> None:
        while pump(self.actor) or self.background.calls:
            if self.background.calls:
                self.background.run_next()

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, self.run)


@pytest.fixture
def world() -> World:
    return World()


def report(world: World) -> Mapping[str, object]:
    return world.upstream.take_one(RetentionDone).report


def test_whoever_asks_gets_the_report(world: World) -> None:
    world.tell(RunRetention(5, dry_run=True))
    world.advance(60)
    done = world.upstream.take_one(RetentionDone)
    assert (done.command_id, done.report["wouldDelete"], done.report["finished"]) == (5, 3, True)
    assert len(world.db.values) == 3
    world.tell(RunRetention(6, dry_run=False))
    world.advance(60)
    assert report(world)["deleted"] == 3
    assert world.db.values == {}


def test_orders_wait_for_the_run_before_them(world: World) -> None:
    world.tell(RunRetention(5, dry_run=False), RunRetention(6, dry_run=True))
    world.advance(60)
    first, second = world.upstream.take(RetentionDone)
    assert (first.command_id, first.report["deleted"]) == (5, 3)
    assert (second.command_id, second.report["wouldDelete"]) == (6, 0)


def test_it_runs_once_a_day_when_it_is_due(world: World) -> None:
    world.tell(Tick())
    world.advance(1.9 * HOUR)
    assert len(world.db.values) == 3
    world.advance(0.6 * HOUR)
    assert world.db.values == {}
    assert [kept["deleted"] for kept in world.reports.kept] == [3]
    world.add(4)
    world.advance(20 * HOUR)
    assert set(world.db.values) == {4}
    world.advance(4.5 * HOUR)
    assert len(world.reports.kept) == 2
    assert world.db.values == {}


def test_between_runs_the_database_hears_nothing(world: World) -> None:
    world.tell(Tick())
    world.advance(24 * HOUR)
    asked = world.reports.asked
    world.advance(23 * HOUR)
    assert world.reports.asked == asked <= 3


@pytest.mark.parametrize(("ran_before", "wait"), [(True, MISSED_SECONDS), (False, FIRST_SECONDS)])
def test_a_missed_run_begins_a_while_after_the_start(ran_before: bool, wait: tuple[float, float]) -> None:
    world = World(due_in=-HOUR)
    world.reports.last = NOW - 3 * DAY if ran_before else None
    world.tell(Tick())
    world.advance(wait[0] - 1)
    assert len(world.db.values) == 3
    world.advance(wait[1] - wait[0] + 120)
    assert world.db.values == {}


def test_without_a_schedule_it_runs_only_when_asked(world: World) -> None:
    world.actor._schedule = None
    world.tell(Tick())
    world.advance(48 * HOUR)
    assert len(world.db.values) == 3


def test_while_bigquery_does_not_answer_nothing_goes_and_it_tries_again(world: World) -> None:
    world.bigquery.failures.extend([UNAVAILABLE] * 3)
    world.tell(Tick())
    world.advance(2.1 * HOUR)
    assert len(world.db.values) == 3
    (kept,) = world.reports.kept
    assert (kept["finished"], kept["problem"], kept["deleted"]) == (False, UNAVAILABLE.reason, 0)
    world.advance(3 * HOUR)
    assert world.db.values == {}
    assert [kept["finished"] for kept in world.reports.kept] == [False, True]  # what is alike is said once


def test_what_another_try_would_find_again_waits_for_the_next_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MOST_UNCONFIRMED", 2)
    world.rows.add(10, 11)
    world.tell(Tick())
    world.advance(24 * HOUR)
    (kept,) = world.reports.kept
    assert "marked as sent" in str(kept["problem"])
    queries = len(world.bigquery.asked)
    world.advance(1.9 * HOUR)
    assert len(world.bigquery.asked) == queries
    world.advance(HOUR)
    assert len(world.bigquery.asked) == queries + 1


def test_an_error_that_nobody_foresaw_ends_the_run_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(world.rows, "obstacles", broken)
        world.tell(RunRetention(5, dry_run=False))
    assert "ZeroDivisionError" in str(report(world)["problem"])
    with monkeypatch.context() as patch:
        patch.setattr(world.bigquery, "survey", broken)
        world.tell(RunRetention(6, dry_run=False))
    assert "ZeroDivisionError" in str(report(world)["problem"])
    assert len(world.db.values) == 3
    world.tell(RunRetention(7, dry_run=False))
    world.advance(60)
    assert report(world)["deleted"] == 3


def test_a_lost_lease_ends_it_for_good(world: World) -> None:
    world.tell(RunRetention(5, dry_run=False))
    world.ledger.take_away()
    world.advance(60)
    world.upstream.take_one(LeaseGone)
    world.tell(RunRetention(6, dry_run=False))
    world.advance(60)
    assert world.upstream.messages == []
    assert len(world.db.values) == 3


def test_a_table_that_was_altered_is_opened_anew(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def altered(_: object) -> None:
        raise SourceChangedError("other types")

    monkeypatch.setattr(world.source, "rows", altered)
    world.tell(RunRetention(5, dry_run=False))
    assert world.upstream.messages == [RecoveryNeeded("other types")]  # the next pipeline takes the order on


def test_an_answer_of_a_step_that_is_over_is_void(world: World) -> None:
    world.tell(RunRetention(5, dry_run=False))
    world.tell(StepAnswered(1, frozenset(), None), StepAnswered(1, None, RuntimeError("late")))
    world.advance(60)
    assert report(world)["deleted"] == 3


def test_a_long_run_says_how_far_it_is(world: World) -> None:
    world.add(*range(10, 100_000))
    world.tell(RunRetention(5, dry_run=False))
    world.advance(60)
    assert set(world.reports.shown) == {5}
    assert 2 <= len(world.reports.shown) <= 6


def test_a_report_that_cannot_be_kept_hurts_nobody(world: World) -> None:
    world.tell(Tick())
    world.reports.failures.append(LedgerError("full", outcome_unknown=False))
    world.advance(2.5 * HOUR)
    assert world.db.values == {}
    world.tell(RunRetention(5, dry_run=False))
    world.advance(60)
    assert report(world)["finished"]


def test_a_database_that_does_not_say_when_it_ran_is_asked_again(world: World) -> None:
    world.reports.failures.extend([SourceError("away")] * 3)
    world.tell(Tick())
    world.advance(2.5 * HOUR)
    assert world.db.values == {}


def test_what_was_deleted_and_what_bigquery_lacks_is_measured(world: World) -> None:
    world.rows.add(9)
    world.tell(RunRetention(5, dry_run=True))
    world.advance(60)
    world.tell(RunRetention(6, dry_run=False))
    world.advance(60)
    assert world.measures.deleted == [(3, 1)]
