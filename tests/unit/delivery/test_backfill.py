"""How history comes into the queue, with regard for others, and that a run may fail anywhere."""

import pytest

from delivery.backfill import AskFirst, Backfill
from delivery.backfill_report import BackfillReport, Fate
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.ledger import ItemStatus
from delivery.old_rows import Identities
from delivery.patience import ATTEMPTS
from delivery.source import SourceError
from delivery.steps import Gentle, run
from tests.fakes.backfill import MemoryHistory, MemoryItems
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import UNAVAILABLE
from tests.fakes.old_rows import MemoryBigQuery, sent
from tests.fakes.source import MemorySource

DENIED = Failure(ErrorClass.BLOCKED, "no bigquery.jobs.create", definite=True)


class World:
    def __init__(self) -> None:
        self.db = MemoryDatabase()
        self.rows = MemoryHistory(self.db)
        self.items = MemoryItems(self.db)
        self.bigquery = MemoryBigQuery()
        self.report = BackfillReport()
        self.said: list[str | None] = []

    def add(self, rows: int) -> None:
        self.db.add_rows(*range(1, rows + 1))
        self.db.history = set(range(1, rows + 1))

    def run(self, *, most_waiting: int = 100, dry_run: bool = False, ask_first: bool = False) -> BackfillReport:
        identities = Identities(("event_id", "tid"), "at", lambda values: sent(values[0]))  # type: ignore[arg-type]  # keys
        self.report = BackfillReport()
        backfill = Backfill(
            self.rows,
            self.items,
            MemorySource(self.db),
            AskFirst(self.bigquery, identities) if ask_first else None,
            most_waiting,
            Gentle(self.db.clock.monotonic),
            self.report,
            dry_run,
        )
        run(backfill.steps(), self._wait, lambda: self.said.append(self.report.waits_for))
        return self.report

    def _wait(self, seconds: float) -> None:
        self.db.clock.now += seconds


@pytest.fixture
def world() -> World:
    return World()


def test_every_row_gets_an_item_and_no_more_wait_than_allowed(world: World) -> None:
    world.add(2500)
    world.items.at_once = 7
    report = world.run(most_waiting=50)
    assert (len(world.db.items), world.items.most) == (2500, 50)
    assert (report.fates, report.passed, report.under_way) == ({Fate.SENT: 2500}, 2500, 0)
    assert all(item.resend for item in world.db.items.values())


def test_items_of_others_take_room_too(world: World) -> None:
    world.add(20)
    world.items.at_once = 1
    for key in range(1001, 1031):
        world.db.add_item(key)
    world.run(most_waiting=10)
    assert world.items.most <= 30


def test_rows_that_an_item_decides_about_are_left_alone(world: World) -> None:
    world.add(5)
    world.items.nobody.extend(["no worker"] * 2)
    for key, status in ((1, ItemStatus.PENDING), (2, ItemStatus.FAILED), (3, ItemStatus.ABANDONED)):
        world.db.add_item(key, status=status)
    report = world.run()
    assert report.fates == {Fate.WAITS: 1, Fate.FAILED_BEFORE: 1, Fate.GIVEN_UP: 1, Fate.SENT: 2}


def test_what_became_of_each_row_is_told(world: World) -> None:
    world.add(10)
    world.items.bad, world.items.there = {1}, {2, 3}
    assert world.run().fates == {Fate.FAILED: 1, Fate.THERE: 2, Fate.SENT: 7}
    assert world.run().fates == {Fate.FAILED_BEFORE: 1}


def test_a_dry_run_adds_nothing(world: World) -> None:
    world.add(10)
    assert world.run(dry_run=True).fates == {Fate.WOULD_SEND: 10}
    assert world.db.items == {}


def test_what_bigquery_has_gets_no_item_where_it_is_asked_first(world: World) -> None:
    world.add(10)
    world.bigquery.hold(*map(sent, range(1, 8)))
    world.bigquery.failures.append(UNAVAILABLE)
    assert world.run(ask_first=True).fates == {Fate.THERE: 7, Fate.SENT: 3}
    assert UNAVAILABLE.reason in world.said
    assert len(world.db.items) == 3


def test_that_nobody_sends_is_told_and_waited_out(world: World) -> None:
    world.add(10)
    world.items.nobody.extend(["no worker owns logs"] * 3)
    assert world.run().fates == {Fate.SENT: 10}
    assert "no worker owns logs" in world.said


def test_a_database_that_is_away_for_a_while_is_waited_for(world: World) -> None:
    world.add(10)
    world.rows.failures.extend([True, True, False, True])
    assert world.run().fates == {Fate.SENT: 10}
    assert "the database can't be reached" in world.said
    assert world.said[-1] is None


def test_but_not_for_ever(world: World) -> None:
    world.rows.failures.extend([True] * (ATTEMPTS + 1))
    with pytest.raises(SourceError):
        world.run()


def test_what_needs_somebody_to_act_ends_it_at_once(world: World) -> None:
    world.add(10)
    world.bigquery.failures.append(DENIED)
    with pytest.raises(DestinationError, match="jobs"):
        world.run(ask_first=True)
    assert world.run(ask_first=True).fates == {Fate.SENT: 10}
