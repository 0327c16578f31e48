"""Chunks of history by load jobs: whatever fails, each row is in BigQuery once, and everything says so."""

import pytest

from delivery.backfill import BackfillError
from delivery.backfill_report import BackfillReport, Fate
from delivery.bulk_backfill import BulkBackfill, Limits
from delivery.doubts import Doubts
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.recovery import Adopted, Recovery
from delivery.rows import SentRows
from delivery.steps import Gentle, run
from tests.fakes.backfill import MemoryChunk, MemoryHistory, MemoryJobs
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import TIMEOUT, UNAVAILABLE
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryLedger
from tests.fakes.source import MemorySource

LEASE = Lease("logs", "token", 1)
DENIED = Failure(ErrorClass.BLOCKED, "no bigquery.jobs.create", definite=True)
COMPLETED, RELEASED = BatchState.COMPLETED, BatchState.RELEASED


class World:
    def __init__(self, rows: int = 25) -> None:
        self.db = MemoryDatabase()
        self.db.add_rows(*range(1, rows + 1))
        self.db.history = set(range(1, rows + 1))
        self.ledger = MemoryLedger(self.db)
        self.ledger.grant(LEASE)
        self.jobs = MemoryJobs()
        self.bad: set[int | str] = set()

    def run(self) -> BackfillReport:
        report, monotonic = BackfillReport(), self.db.clock.monotonic
        recovery = Recovery(
            LEASE, self.ledger, self.jobs, lambda _: Adopted(SentRows((), None, ()), ()), Doubts(monotonic), 600, 0
        )
        backfill = BulkBackfill(
            LEASE,
            self.ledger,
            recovery.run,
            MemoryHistory(self.db),
            MemorySource(self.db),
            self.jobs,
            lambda: MemoryChunk(self.bad),
            Limits(rows=10, new_stream_seconds=2),
            Gentle(monotonic),
            report,
        )
        run(backfill.steps(), self._wait)
        return report

    def _wait(self, seconds: float) -> None:
        self.db.clock.now += seconds

    def demand_each_once(self) -> None:
        assert sorted(self.jobs.arrived, key=int) == sorted(self.db.values, key=int)
        assert self.db.flags == set(self.db.values)
        assert all(stream.final for stream in self.db.streams.values())


@pytest.fixture
def world() -> World:
    return World()


def test_history_goes_in_chunks(world: World) -> None:
    report = world.run()
    world.demand_each_once()
    assert [stream.row_count for stream in world.db.streams.values()] == [10, 10, 5]
    assert world.db.states() == [COMPLETED] * 3
    assert (report.fates, report.passed, report.done) == ({Fate.SENT: 25}, 25, 25)
    assert world.db.synced_rows == 25


def test_what_bigquery_has_is_told_apart(world: World) -> None:
    world.jobs.arrived = [3, 4, 21]
    assert world.run().fates == {Fate.SENT: 22, Fate.THERE: 3}
    world.demand_each_once()


def test_bad_rows_get_failed_items_and_rows_with_items_none(world: World) -> None:
    world.bad = {3}
    world.db.add_item(4)
    assert world.run().fates == {Fate.SENT: 23, Fate.FAILED: 1, Fate.WAITS: 1}
    assert [(item.record_id, item.status) for item in world.db.items.values()] == [
        ("4", ItemStatus.PENDING),
        ("3", ItemStatus.FAILED),
    ]


@pytest.mark.parametrize("failure", [UNAVAILABLE, TIMEOUT])
@pytest.mark.parametrize("fate", ["never", "done", "late"])
def test_an_insert_that_isnt_answered(world: World, failure: Failure, fate: str) -> None:
    world.jobs.inserting.extend([None, (failure, fate)])
    report = world.run()
    for arrive in world.jobs.late:
        arrive()  # and is refused: its id is taken
    world.demand_each_once()
    assert report.fates == {Fate.SENT: 25}
    lost = [] if fate == "done" else [RELEASED]
    assert world.db.states() == [COMPLETED, *lost, COMPLETED, COMPLETED]


def test_an_upload_that_fails_leaves_nothing_in_the_ledger(world: World) -> None:
    world.jobs.staging.extend([UNAVAILABLE, TIMEOUT])
    world.run()
    world.demand_each_once()
    assert world.db.states() == [COMPLETED] * 3


def test_what_needs_somebody_to_act_ends_it_with_nothing_open(world: World) -> None:
    world.jobs.inserting.append((DENIED, "never"))
    with pytest.raises(DestinationError, match="jobs"):
        world.run()
    assert (world.db.states(), world.jobs.arrived, len(world.db.history)) == ([RELEASED], [], 25)
    world.run()
    world.demand_each_once()


@pytest.mark.parametrize("fault", [FailAt(0), FailAt(1), FailAt(2), FailCommit(False), FailCommit(True)])
@pytest.mark.parametrize("nth", range(1, 40, 2))
def test_a_transaction_that_fails(world: World, nth: int, fault: Fault) -> None:
    world.ledger.faults.extend([*[None] * nth, fault])
    world.run()
    world.demand_each_once()


def test_another_owner_ends_it(world: World) -> None:
    world.jobs.before_insert = world.ledger.take_away
    with pytest.raises(LeaseLost):
        world.run()
    world.ledger.grant(LEASE)
    world.jobs.before_insert = lambda: None
    world.run()
    world.demand_each_once()


def test_a_ledger_that_forgot_a_completed_batch_has_everything_looked_up(world: World) -> None:
    world.jobs.before_stage = lambda: world.db.batches.clear()  # after the first chunk a backup is restored
    with pytest.raises(BackfillError, match="went back in time; run it again"):
        world.run()
    assert (world.db.lookups.first, len(world.jobs.arrived)) == (True, 10)
    world.jobs.before_stage = lambda: None
    world.run()
    world.demand_each_once()
