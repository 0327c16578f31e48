"""What became of everything that was begun: each branch of recovery, beside rows as BigQuery keeps them."""

from collections.abc import Sequence

import pytest

from delivery.destination import Count, FinalizeResult, NoCount
from delivery.doubts import Doubts
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus, OrphanItem
from delivery.recovery import Adopted, Recovery, TooEarly
from delivery.rows import Key, SentRows
from tests.fakes.database import MemoryDatabase, StoredBatch, StoredStream
from tests.fakes.destination import TIMEOUT, MemoryDestination
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryLedger
from tests.fakes.mapping import sent_rows

BEGUN, APPENDED, COMPLETED = BatchState.BEGUN, BatchState.APPENDED, BatchState.COMPLETED
RELEASED, REFUSED = BatchState.RELEASED, BatchState.REFUSED
NO_LOOK_UP = Failure(ErrorClass.TRANSIENT, "nothing should be looked up", definite=True)
SETTLE_SECONDS = 600.0


class World:
    """A table whose last owner is gone, with the stream "s" and what BigQuery has in it."""

    def __init__(self) -> None:
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        self.bigquery = MemoryDestination()
        self.unreadable: set[int] = set()
        self.recoveries = 0
        self.decided: list[tuple[BatchState, int]] = []
        self.doubts = Doubts(self.db.clock.monotonic)
        self.lookup_settle_seconds = 0.0

    def stream(self, *rows: Key, known: bool = True) -> None:
        """The stream, with these rows in it; `known`: to this process, for long."""
        self.db.streams[1] = StoredStream(1, "s")
        if known:
            self.doubts.streams.add("s")
            self.db.clock.now += SETTLE_SECONDS
        self.bigquery.hold(sent_rows(*rows), "s")

    def batch(self, state: BatchState, offset: int | None, *rows: Key, stream_id: int | None = 1) -> int:
        """A batch in the ledger, each of whose rows has an item where it is begun or appended."""
        id_ = len(self.db.batches) + 1
        self.db.batches[id_] = StoredBatch(id_, state, stream_id, offset, sent_rows(*rows))
        if state in (BEGUN, APPENDED):
            for key in rows:
                self.db.add_item(key, status=ItemStatus.SYNCING, batch_id=id_)
        return id_

    def recover(self) -> tuple[int, ...]:
        """Take the lease and recover; the ids of the batches to be completed."""
        self.recoveries += 1
        lease = Lease("logs", f"token {self.recoveries}", self.recoveries)
        self.ledger.grant(lease)
        recovery = Recovery(
            lease,
            self.ledger,
            self.bigquery,
            self.read_orphans,
            self.doubts,
            SETTLE_SECONDS,
            self.lookup_settle_seconds,
            lambda state, rows: self.decided.append((state, rows)),
        )
        return tuple(batch.id for batch in recovery.run())

    def read_orphans(self, orphans: Sequence[OrphanItem]) -> Adopted:
        readable = [orphan for orphan in orphans if orphan.id not in self.unreadable]
        rows = sent_rows(*(int(orphan.record_id) for orphan in readable))
        return Adopted(rows, tuple(orphan.id for orphan in readable))

    def items_of(self, batch: int) -> list[str]:
        return [item.record_id for item in self.db.items.values() if item.batch_id == batch]

    def pending(self) -> list[str]:
        return [item.record_id for item in self.db.items.values() if item.status is ItemStatus.PENDING]


@pytest.fixture
def world() -> World:
    return World()


def test_nothing_to_recover(world: World) -> None:
    assert world.recover() == ()


# a stream's count decides its batches


def test_batches_below_the_count_are_appended_and_those_above_released(world: World) -> None:
    world.bigquery.look_up_failures.append(NO_LOOK_UP)
    world.stream(1, 2, 3)
    there, lost = world.batch(BEGUN, 0, 1, 2, 3), world.batch(BEGUN, 3, 4, 5)
    assert world.recover() == (there,)
    assert world.db.states() == [APPENDED, RELEASED]
    assert world.decided == [(APPENDED, 3), (RELEASED, 2)]
    assert world.items_of(there) == ["1", "2", "3"]
    assert world.items_of(lost) == []
    assert world.pending() == ["4", "5"]
    assert (world.db.streams[1].final, world.db.streams[1].row_count) == (True, 3)


def test_an_empty_stream_releases_its_batch(world: World) -> None:
    world.stream()
    world.batch(BEGUN, 0, 1)
    assert world.recover() == ()
    assert (world.db.states(), world.db.streams[1].row_count) == ([RELEASED], 0)


def test_finalizing_is_the_fence_an_append_still_under_way_is_refused(world: World) -> None:
    world.stream()
    world.batch(BEGUN, 0, 1)
    world.recover()
    assert "s" in world.bigquery.finalized


def test_batches_that_were_decided_stay_as_they_are(world: World) -> None:
    world.stream(1, 2, 3)
    world.batch(REFUSED, 0, 8, 9)
    world.batch(COMPLETED, 0, 1)
    appended = world.batch(APPENDED, 1, 2)
    begun = world.batch(BEGUN, 2, 3)
    assert world.recover() == (appended, begun)
    assert world.db.states() == [REFUSED, COMPLETED, APPENDED, APPENDED]


def test_a_count_above_the_ledgers_end_means_that_the_database_went_back(world: World) -> None:
    world.stream(1, 2, 3)
    world.batch(BEGUN, 0, 1, 2)
    world.recover()
    assert world.db.states() == [APPENDED]
    assert world.db.lookups.first


def test_a_refused_batch_is_no_part_of_the_ledgers_end(world: World) -> None:
    world.stream(1, 2, 3)
    world.batch(REFUSED, 0, 1, 2, 3)
    world.recover()
    assert world.db.lookups.first


def test_a_count_at_the_ledgers_end_means_nothing(world: World) -> None:
    world.stream(1, 2)
    world.batch(COMPLETED, 0, 1, 2)
    world.recover()
    assert not world.db.lookups.first


# a count that isn't believed, or none: look-ups decide


@pytest.mark.parametrize("answer", [Count(1), NoCount()])
def test_a_count_inside_a_batch_or_none_is_decided_by_look_up(world: World, answer: FinalizeResult) -> None:
    world.stream(1, 2)
    there, lost = world.batch(BEGUN, 0, 1, 2), world.batch(BEGUN, 2, 3, 4)
    world.bigquery.finalize_answers.append(answer)
    assert world.recover() == (there,)
    assert world.db.states() == [APPENDED, RELEASED]
    assert world.items_of(lost) == []
    assert (world.db.streams[1].final, world.db.streams[1].row_count) == (True, None)


def test_a_count_below_what_was_appended_isnt_believed(world: World) -> None:
    world.stream(1, 2, 3)
    appended, begun = world.batch(COMPLETED, 0, 1, 2), world.batch(BEGUN, 2, 3)
    world.bigquery.finalize_answers.append(Count(0))
    assert world.recover() == (begun,)
    assert world.db.states() == [COMPLETED, APPENDED]
    assert world.db.streams[1].row_count is None
    assert appended == 1


def test_a_count_that_isnt_believed_starts_look_ups_for_all(world: World) -> None:
    world.stream(1, 2)
    world.batch(BEGUN, 0, 1, 2)
    world.bigquery.finalize_answers.append(Count(1))
    world.recover()
    assert world.db.lookups.first


@pytest.mark.parametrize("jump", [-1e9, 0.0, 1e9])
def test_a_stream_that_may_be_young_is_asked_for_again_whatever_the_time_is(world: World, jump: float) -> None:
    world.stream(1, known=False)
    batch = world.batch(BEGUN, 0, 1)
    world.bigquery.vanish("s")
    world.db.clock.set_by = jump
    with pytest.raises(TooEarly) as early:
        world.recover()
    assert early.value.seconds == SETTLE_SECONDS
    world.db.clock.now += SETTLE_SECONDS - 1
    with pytest.raises(TooEarly) as early:
        world.recover()
    assert early.value.seconds == 1
    assert (world.db.states(), world.db.streams[1].final) == ([BEGUN], False)
    world.db.clock.now += 1
    assert world.recover() == (batch,)


def test_a_stream_that_is_gone_for_good_is_final_without_a_count(world: World) -> None:
    world.stream(1)
    batch, lost = world.batch(BEGUN, 0, 1), world.batch(BEGUN, 1, 2)
    world.bigquery.vanish("s")
    assert world.recover() == (batch,)
    assert world.db.states() == [APPENDED, RELEASED]
    assert world.items_of(lost) == []
    assert (world.db.streams[1].final, world.db.streams[1].row_count) == (True, None)


def test_an_answer_that_doesnt_come_decides_nothing(world: World) -> None:
    world.stream(1)
    world.batch(BEGUN, 0, 1)
    world.bigquery.finalize_answers.append(TIMEOUT)
    with pytest.raises(DestinationError):
        world.recover()
    assert (world.db.states(), world.db.streams[1].final) == ([BEGUN], False)


# look-ups


def test_a_batch_without_stream_is_looked_up(world: World) -> None:
    world.bigquery.hold(sent_rows(1, 2))
    there = world.batch(BEGUN, None, 1, 2, stream_id=None)
    world.batch(BEGUN, None, 3, 4, stream_id=None)
    assert world.recover() == (there,)
    assert world.db.states() == [APPENDED, RELEASED]
    assert world.pending() == ["3", "4"]


def test_where_some_rows_are_there_they_go_row_by_row(world: World) -> None:
    world.bigquery.hold(sent_rows(2, 3))
    whole = world.batch(BEGUN, None, 1, 2, 3, 4, stream_id=None)
    (found,) = world.recover()
    assert world.db.batches[whole].state is RELEASED
    assert world.db.batches[found].rows == sent_rows(2, 3)
    assert world.items_of(found) == ["2", "3"]
    assert world.pending() == ["1", "4"]


def test_a_look_up_that_fails_decides_nothing(world: World) -> None:
    world.bigquery.hold(sent_rows(1))
    batch = world.batch(BEGUN, None, 1, stream_id=None)
    world.bigquery.look_up_failures.append(TIMEOUT)
    with pytest.raises(DestinationError):
        world.recover()
    assert world.db.states() == [BEGUN]
    assert world.recover() == (batch,)


# what nothing fences off: an empty look-up isn't believed at once


@pytest.fixture
def unfenced(world: World) -> World:
    world.lookup_settle_seconds = 150.0
    return world


def test_rows_that_are_all_there_need_no_wait(unfenced: World) -> None:
    unfenced.bigquery.hold(sent_rows(1, 2))
    batch = unfenced.batch(BEGUN, None, 1, 2, stream_id=None)
    assert unfenced.recover() == (batch,)


@pytest.mark.parametrize("there", [(), (2,)])
def test_rows_that_are_not_there_may_still_be_on_their_way(unfenced: World, there: tuple[int, ...]) -> None:
    unfenced.bigquery.hold(sent_rows(*there))
    batch = unfenced.batch(BEGUN, None, 1, 2, 3, stream_id=None)
    with pytest.raises(TooEarly) as early:
        unfenced.recover()
    assert early.value.seconds == 150
    assert f"{3 - len(there)} rows" in str(early.value)
    assert "150 s" in str(early.value)
    unfenced.db.clock.now += 149
    with pytest.raises(TooEarly, match="in 1 s"):
        unfenced.recover()
    assert unfenced.db.states() == [BEGUN]
    unfenced.db.clock.now += 1
    appended = unfenced.recover()
    assert unfenced.db.batches[batch].state is RELEASED
    assert [unfenced.db.batches[found].rows.keys for found in appended] == ([there] if there else [])


def test_what_rounding_leaves_of_the_wait_is_a_second(unfenced: World) -> None:
    unfenced.batch(BEGUN, None, 1, stream_id=None)
    with pytest.raises(TooEarly):
        unfenced.recover()
    unfenced.db.clock.now += 150 - 1e-9
    with pytest.raises(TooEarly) as early:
        unfenced.recover()
    assert early.value.seconds == 1


def test_rows_that_arrive_in_the_wait_are_counted(unfenced: World) -> None:
    batch = unfenced.batch(BEGUN, None, 1, 2, stream_id=None)
    with pytest.raises(TooEarly):
        unfenced.recover()
    unfenced.bigquery.hold(sent_rows(1, 2))
    assert unfenced.recover() == (batch,)


def test_a_look_up_that_fails_is_no_new_beginning_of_the_wait(unfenced: World) -> None:
    unfenced.batch(BEGUN, None, 1, stream_id=None)
    for failed in (TIMEOUT, TIMEOUT, TIMEOUT):
        unfenced.bigquery.look_up_failures.append(failed)
        with pytest.raises(DestinationError):
            unfenced.recover()
        unfenced.db.clock.now += 50
    assert unfenced.recover() == ()
    assert unfenced.db.states() == [RELEASED]


def test_a_look_up_that_was_asked_too_early_is_not_believed_when_it_is_answered_late(unfenced: World) -> None:
    unfenced.batch(BEGUN, None, 1, stream_id=None)

    class Slow(MemoryDestination):
        def look_up(self, rows: SentRows) -> frozenset[int]:
            unfenced.db.clock.now += 200
            return frozenset()

    unfenced.bigquery = Slow()
    with pytest.raises(TooEarly):
        unfenced.recover()
    assert unfenced.db.states() == [BEGUN]


def test_each_batch_waits_for_itself_and_holds_up_no_other(unfenced: World) -> None:
    first = unfenced.batch(BEGUN, None, 1, stream_id=None)
    with pytest.raises(TooEarly):
        unfenced.recover()
    unfenced.db.clock.now += 100
    second, there = (unfenced.batch(BEGUN, None, key, stream_id=None) for key in (2, 3))
    unfenced.bigquery.hold(sent_rows(3))
    with pytest.raises(TooEarly) as early:
        unfenced.recover()
    assert early.value.seconds == 150
    unfenced.db.clock.now += 50
    with pytest.raises(TooEarly):
        unfenced.recover()
    states = {id_: batch.state for id_, batch in unfenced.db.batches.items()}
    assert states == {first: RELEASED, second: BEGUN, there: APPENDED}


def test_another_process_doubts_anew(unfenced: World) -> None:
    unfenced.batch(BEGUN, None, 1, stream_id=None)
    with pytest.raises(TooEarly):
        unfenced.recover()
    unfenced.db.clock.now += 150
    unfenced.doubts = Doubts(unfenced.db.clock.monotonic)
    with pytest.raises(TooEarly):
        unfenced.recover()


def test_a_batch_whose_stream_is_final_has_its_fence(unfenced: World) -> None:
    unfenced.stream()
    unfenced.batch(BEGUN, 0, 1, 2)
    unfenced.bigquery.finalize_answers.append(NoCount())
    assert unfenced.recover() == ()
    assert unfenced.db.states() == [RELEASED]


# items that an older program left in the middle of sending


def test_orphans_become_batches_that_a_look_up_decides(world: World) -> None:
    world.bigquery.hold(sent_rows(7))
    there, lost, unreadable = (world.db.add_item(key, status=ItemStatus.SYNCING) for key in ("007", "8", "9"))
    world.unreadable = {unreadable}
    (found,) = world.recover()
    assert world.items_of(found) == ["7"]
    assert world.db.statuses(there, lost, unreadable) == [ItemStatus.SYNCING, ItemStatus.PENDING, ItemStatus.PENDING]


def test_any_number_of_orphans_is_decided(world: World) -> None:
    for key in range(1200):
        world.db.add_item(key, status=ItemStatus.SYNCING)
    assert world.recover() == ()
    assert len(world.pending()) == 1200


# repeatable at every point


@pytest.mark.parametrize("transaction", range(8))
@pytest.mark.parametrize("fault", [FailAt(0), FailAt(1), FailAt(2), FailCommit(False), FailCommit(True)])
def test_it_can_fail_anywhere_and_be_run_again(world: World, transaction: int, fault: Fault) -> None:
    world.stream(1, 2)
    there, lost = world.batch(BEGUN, 0, 1, 2), world.batch(BEGUN, 2, 3)
    world.bigquery.hold(sent_rows(5))
    some = world.batch(BEGUN, None, 5, 6, stream_id=None)
    orphan = world.db.add_item(8, status=ItemStatus.SYNCING)
    world.ledger.faults.extend([None] * transaction + [fault])
    try:
        appended = world.recover()
    except LedgerError:
        world.ledger.faults.clear()
        appended = world.recover()
    found = [world.db.batches[batch].rows for batch in appended]
    assert found == [sent_rows(1, 2), sent_rows(5)]
    assert [world.db.batches[batch].state for batch in (there, lost, some)] == [APPENDED, RELEASED, RELEASED]
    assert sorted(world.pending()) == ["3", "6", "8"]
    assert world.db.statuses(orphan) == [ItemStatus.PENDING]


def test_it_ends_where_the_lease_is_lost(world: World) -> None:
    world.stream(1)
    world.batch(BEGUN, 0, 1)

    class Overtaken(MemoryDestination):
        def finalize(self, stream: str) -> FinalizeResult:
            world.ledger.take_away()
            return Count(1)

    world.bigquery = Overtaken()
    with pytest.raises(LeaseLost):
        world.recover()
    assert world.db.states() == [BEGUN]
