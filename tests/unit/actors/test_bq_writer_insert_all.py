"""BqWriter where there are no streams: nothing fences off a request, so that little may be repeated."""

import pytest

from actors.bq_writer import WriterLimits
from actors.messages import Drain, LeaseGone, RecoveryNeeded, RetryNow
from delivery.errors import ErrorClass
from delivery.ledger import BatchState, ItemStatus
from tests.fakes.destination import TIMEOUT, UNAVAILABLE, Answered, Delayed
from tests.fakes.ledger import FailAt
from tests.fakes.writer_world import World, failure

BEGUN, REFUSED = BatchState.BEGUN, BatchState.REFUSED


@pytest.fixture
def world() -> World:
    return World(insert_all=True)


def test_batches_stand_in_the_ledger_without_stream_and_offset(world: World) -> None:
    world.send(1, 2)
    world.send(3)
    assert world.holds(1, 2, 3)
    assert world.appended() == [(1, 2), (3,)]
    assert [(batch.stream_id, batch.offset) for batch in world.db.batches.values()] == [(None, None)] * 2
    assert world.db.streams == {}


def test_what_was_refused_for_now_is_repeated(world: World) -> None:
    world.bigquery.faults.extend([Answered(UNAVAILABLE)] * 20)
    world.send(1, 2)
    world.advance(20 * 300)
    assert world.holds(1, 2)
    assert world.db.states() == [BEGUN]
    assert world.upstream.take(RecoveryNeeded) == []


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.QUOTA, ErrorClass.UNKNOWN])
def test_an_attempt_of_unknown_outcome_is_never_repeated_and_the_next_batch_is_smaller(
    world: World, error_class: ErrorClass
) -> None:
    world.bigquery.faults.append(Answered(failure(error_class, definite=False), written=True))
    world.send(1, 2, 3, 4)
    world.send(5)
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded("the reason", next_rows=2)
    assert world.db.states() == [BEGUN]
    assert world.bigquery.ids == ["det_1", "det_2", "det_3", "det_4"]


def test_nor_is_it_after_refusals(world: World) -> None:
    world.bigquery.faults.extend([Answered(UNAVAILABLE), Answered(UNAVAILABLE), Delayed()])
    world.send(1)
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded(TIMEOUT.reason, next_rows=1)
    assert world.holds()


def test_a_blocked_table_of_unknown_outcome_waits_like_any_and_then_recovers(world: World) -> None:
    world.bigquery.faults.append(Answered(failure(ErrorClass.BLOCKED, definite=False)))
    world.send(1)
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded("the reason", blocked=True)
    assert world.db.states() == [BEGUN]


def test_an_owner_that_was_succeeded_while_it_waited_repeats_nothing(world: World) -> None:
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(1)
    world.ledger.take_away()
    world.tell(RetryNow())
    assert len(world.upstream.take(LeaseGone)) == 1
    world.advance()
    assert world.holds()


def test_an_owner_that_cant_ask_for_its_lease_repeats_nothing_until_it_can(world: World) -> None:
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(1)
    world.ledger.faults.append(FailAt(0))
    world.tell(RetryNow())
    assert world.holds()
    world.advance()
    assert world.holds(1)


def test_an_owner_that_was_succeeded_while_its_batch_waited_for_the_disk_sends_nothing() -> None:
    world = World(WriterLimits(new_stream_seconds=2.0), insert_all=True)
    world.send(1)
    world.ledger.take_away()
    world.advance(2)
    assert len(world.upstream.take(LeaseGone)) == 1
    assert world.holds()


def test_each_batch_waits_until_its_row_is_on_the_disk() -> None:
    world = World(WriterLimits(new_stream_seconds=2.0), insert_all=True)
    for keys in ((1,), (1, 2)):
        world.send(keys[-1])
        world.advance(1.9)
        assert world.holds(*keys[:-1])
        world.advance(0.1)
        assert world.holds(*keys)


def test_a_bad_row_is_taken_out_and_the_rest_begins_anew(world: World) -> None:
    world.bad = {"det_2": "label: no good"}
    item = world.db.add_item(2)
    world.send(1, (2, item), 3)
    assert world.holds(1, 3)
    assert (world.db.items[item].status, world.db.items[item].last_error) == (ItemStatus.FAILED, "label: no good")
    assert world.db.states() == [REFUSED, BEGUN]


def test_a_row_that_is_refused_without_being_named_is_found(world: World) -> None:
    world.bigquery.names_bad_rows = False
    world.bad = {"det_3": "it doesn't say"}
    world.send(1, 2, 3, 4, 5)
    world.advance()
    assert world.holds(1, 2, 4, 5)


def test_a_database_that_has_forgotten_a_completion_is_noticed(world: World) -> None:
    world.send(1)
    world.complete(1)
    world.db.batches.clear()
    world.send(1)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert world.db.lookups.first
    assert world.bigquery.ids == ["det_1"]


def test_a_drain_leaves_what_was_refused_once_to_one_more_attempt(world: World) -> None:
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(1)
    world.tell(Drain())
    assert world.holds(1)
