"""SyncMarker: what became of rows is written down before anybody is told, whatever the database does."""

import pytest

from actors.messages import (
    BatchAppended,
    Drain,
    Drained,
    Flush,
    Flushed,
    LeaseGone,
    RecoveryNeeded,
    RetryNow,
    RowsDecided,
    RowsSettled,
    StateChanged,
    TableState,
)
from actors.sync_marker import SyncMarker
from delivery.complete import CHUNK, GENTLE_CHUNK
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.settle import Outcome, RowRef
from delivery.throttle import Throttle
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.inbox import Inbox, pump
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryLedger
from tests.fakes.mapping import sent_rows
from tests.fakes.measures import KeptMeasures
from tests.fakes.throttle import Others

LEASE = Lease("logs", "token", 1)
ANY_FAULT = [FailAt(0), FailAt(1), FailAt(2), FailCommit(False), FailCommit(True)]


class World:
    """A SyncMarker that holds the lease."""

    def __init__(self, throttle: Throttle | None = None) -> None:
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        self.ledger.grant(LEASE)
        self.scheduler = FakeScheduler(self.db.clock)
        self.upstream = Inbox()
        self.measures = KeptMeasures()
        self.marker = SyncMarker(
            self.upstream, self.ledger, LEASE, self.scheduler, measures=self.measures, throttle=throttle
        )

    def begin(self, rows: int, first: int = 1) -> BatchAppended:
        """A begun batch of these source rows, which BigQuery has; the first has an item."""
        keys = tuple(range(first, first + rows))
        self.db.add_rows(*keys)
        with self.ledger.transaction(LEASE) as tx:
            batch = tx.add_batch(BatchState.BEGUN, None, None, sent_rows(*keys))
        item = self.db.add_item(first, status=ItemStatus.SYNCING, batch_id=batch)
        return BatchAppended(batch, (RowRef(first, item), *(RowRef(key) for key in keys[1:])))

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.marker.on_receive(message)
            pump(self.marker)

    def advance(self, seconds: float = 3600.0) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.marker))

    def is_completed(self, appended: BatchAppended) -> bool:
        keys = {ref.key for ref in appended.rows}
        items = [ref.item for ref in appended.rows if ref.item is not None]
        return (
            self.db.batches[appended.batch_id].state is BatchState.COMPLETED
            and keys <= self.db.flags
            and self.db.statuses(*items) == [ItemStatus.COMPLETED] * len(items)
        )


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("rows", [3, 2 * CHUNK])
def test_a_batch_is_completed_and_then_settled(world: World, rows: int) -> None:
    appended = world.begin(rows)
    world.tell(appended)
    assert world.is_completed(appended)
    assert world.upstream.messages == [RowsSettled(appended.rows, sent=rows, batch=appended.batch_id)]
    assert world.db.synced_rows == rows


@pytest.mark.parametrize("fault", [FailAt(0), FailAt(1), FailCommit(False), FailCommit(True)])
@pytest.mark.parametrize("step", range(4))
def test_a_step_that_fails_is_repeated_and_nothing_is_settled_before(world: World, step: int, fault: Fault) -> None:
    appended, after = world.begin(2 * CHUNK), world.begin(1, first=5000)
    world.ledger.faults.extend([None] * step + [fault])
    world.tell(appended, after)
    assert world.upstream.take(RowsSettled) == []
    assert world.upstream.take_one(StateChanged).state is TableState.WAITING
    world.advance()
    assert world.upstream.take_one(StateChanged).state is TableState.RUNNING
    assert world.is_completed(appended)
    assert world.is_completed(after)
    assert [settled.rows for settled in world.upstream.take(RowsSettled)] == [appended.rows, after.rows]
    assert world.db.synced_rows == 2 * CHUNK + 1


def test_it_is_repeated_however_long_it_takes(world: World) -> None:
    appended = world.begin(3)
    world.ledger.faults.extend([FailAt(0)] * 50)
    world.tell(appended)
    world.advance(50 * 300.0)
    assert world.is_completed(appended)


def test_somebody_who_waits_has_it_repeated_at_once(world: World) -> None:
    appended = world.begin(3)
    world.ledger.faults.extend([FailAt(0), FailAt(0)])
    world.tell(appended, RetryNow(), RetryNow())
    assert len(world.upstream.take(RowsSettled)) == 1
    world.advance()
    assert world.upstream.take(RowsSettled) == []


@pytest.mark.parametrize("fault", [None, *ANY_FAULT])
def test_a_decision_is_written_down_once_and_then_settled(world: World, fault: Fault | None) -> None:
    item = world.db.add_item(1)
    rows = (RowRef(1, item), RowRef(2))
    world.ledger.faults.append(fault)
    world.tell(RowsDecided(rows, Outcome.FAILED, "no good"))
    world.advance()
    assert [(stored.record_id, stored.status) for stored in world.db.items.values()] == [
        ("1", ItemStatus.FAILED),
        ("2", ItemStatus.FAILED),
    ]
    assert world.upstream.take(RowsSettled) == [RowsSettled(rows)]


def test_a_barrier_passes_behind_what_came_before_it(world: World) -> None:
    appended = world.begin(3)
    world.ledger.faults.append(FailAt(0))
    world.tell(appended, Flush(7))
    assert Flushed(7) not in world.upstream.messages
    world.advance()
    settled = [message for message in world.upstream.messages if not isinstance(message, StateChanged)]
    assert settled == [RowsSettled(appended.rows, sent=3, batch=appended.batch_id), Flushed(7)]


def test_a_drain_has_what_failed_repeated_at_once(world: World) -> None:
    appended = world.begin(3)
    world.ledger.faults.append(FailAt(0))
    world.tell(appended, Drain())
    settled = [message for message in world.upstream.messages if not isinstance(message, StateChanged)]
    assert settled == [RowsSettled(appended.rows, sent=3, batch=appended.batch_id), Drained()]


@pytest.mark.parametrize("faults", [[FailAt(0), FailAt(0)], [None, FailAt(0), FailAt(0)]])
def test_a_drain_leaves_what_fails_again_to_recovery(world: World, faults: list[Fault | None]) -> None:
    appended = world.begin(2 * CHUNK)
    world.ledger.faults.extend(faults)
    world.tell(appended, Drain())
    assert world.upstream.take_one(RecoveryNeeded).reason == "the database can't be reached"
    world.advance()
    assert not world.upstream.take(Drained)
    assert not world.upstream.take(RowsSettled)


@pytest.mark.parametrize("rows", [3, 2 * CHUNK])
def test_a_lost_lease_ends_it_and_nothing_is_written(world: World, rows: int) -> None:
    appended = world.begin(rows)
    world.ledger.take_away()
    world.tell(appended, Flush(7))
    assert [type(message) for message in world.upstream.messages] == [LeaseGone]
    assert world.db.flags == set()
    assert world.db.states() == [BatchState.BEGUN]
    world.advance()
    assert world.upstream.take(Flushed) == []


def test_a_batch_that_recovery_found_appended_is_completed(world: World) -> None:
    appended = world.begin(3)
    with world.ledger.transaction(LEASE) as tx:
        tx.set_state(appended.batch_id, BatchState.APPENDED, was=BatchState.BEGUN)
    world.tell(BatchAppended(appended.batch_id, tuple(RowRef(ref.key) for ref in appended.rows)))
    assert world.is_completed(appended)


def test_rows_are_measured_once_however_often_a_step_is_repeated(world: World) -> None:
    world.ledger.faults.extend([None, FailAt(0), FailCommit(True)])
    world.tell(world.begin(2 * CHUNK), RowsDecided((RowRef(9000), RowRef(9001)), Outcome.FAILED, "no good"))
    assert world.measures.settled == {}
    world.advance()
    assert world.measures.settled == {None: 2 * CHUNK, Outcome.FAILED: 2}


def test_beside_others_flags_are_set_in_small_chunks_with_rests_between() -> None:
    world = World(Others().throttle)
    appended = world.begin(3 * GENTLE_CHUNK)
    world.tell(appended)
    flags = [len(world.db.flags)]
    while world.scheduler.delays:
        world.scheduler.deliver_next()
        pump(world.marker)
        flags.append(len(world.db.flags))
    assert sorted(set(flags)) == [0, GENTLE_CHUNK, 2 * GENTLE_CHUNK, 3 * GENTLE_CHUNK]
    assert world.is_completed(appended)


def test_it_rests_once_before_a_step_whatever_others_of_ours_do_meanwhile() -> None:
    throttle = Others().throttle
    world = World(throttle)
    appended = world.begin(2 * GENTLE_CHUNK)
    world.tell(appended)
    rests = 0
    while world.scheduler.delays:
        for _ in range(100):
            with throttle.work():
                pass
        world.scheduler.deliver_next()
        pump(world.marker)
        rests += 1
    assert world.is_completed(appended)
    assert rests == 3  # before each step but the first


def test_what_comes_while_it_rests_waits_its_turn() -> None:
    world = World(Others().throttle)
    first, second = world.begin(2 * GENTLE_CHUNK), world.begin(1, first=5000)
    world.tell(first, second)
    assert world.upstream.take(RowsSettled) == []
    assert len(world.scheduler.delays) == 1
    world.advance()
    assert [settled.batch for settled in world.upstream.take(RowsSettled)] == [first.batch_id, second.batch_id]


def test_while_somebody_waits_for_the_end_it_doesnt_rest() -> None:
    world = World(Others().throttle)
    appended = world.begin(CHUNK)
    world.tell(appended)
    before = world.ledger.transactions
    world.tell(Drain())
    assert world.is_completed(appended)
    assert world.ledger.transactions == before + 1  # and it does the rest at once
    assert world.upstream.take(Drained) == [Drained()]
    world.advance()  # of the rest that was begun nothing comes
    assert world.upstream.take(Drained) == []


def test_beside_others_a_step_that_fails_is_repeated_too() -> None:
    world = World(Others().throttle)
    appended = world.begin(2 * GENTLE_CHUNK)
    world.ledger.faults.extend([None, FailAt(0)])
    world.tell(appended)
    world.advance()
    assert world.is_completed(appended)
    assert world.db.synced_rows == 2 * GENTLE_CHUNK
