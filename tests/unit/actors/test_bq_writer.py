"""BqWriter: one batch at a time, begun before it is sent, and every answer that may come."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from actors.bq_writer import WriterLimits
from actors.messages import (
    AppendMeasured,
    BatchAppended,
    BatchReady,
    Drain,
    Flush,
    LeaseGone,
    QuotaExceeded,
    RecoveryNeeded,
    RetryNow,
    RowsDecided,
    RowsSettled,
    StateChanged,
    TableState,
    WriterReady,
)
from delivery.errors import ErrorClass, Failure
from delivery.ledger import BatchState, ItemStatus
from delivery.settle import Outcome, RowRef
from delivery.trial import WITNESSES
from delivery.uplink import Uplink
from tests.fakes.destination import TIMEOUT, UNAVAILABLE, Answered, Delayed
from tests.fakes.ledger import FailAt, FailCommit
from tests.fakes.mapping import outgoing, sent_rows
from tests.fakes.writer_world import World, failure

BEGUN, APPENDED, REFUSED = BatchState.BEGUN, BatchState.APPENDED, BatchState.REFUSED


# what goes well


def test_a_batch_is_in_the_ledger_before_it_is_in_bigquery() -> None:
    world = World(held=True)
    item = world.db.add_item(2)
    world.send(1, (2, item))
    world.answer()  # the stream is made
    assert world.db.states() == [BEGUN]
    assert world.db.statuses(item) == [ItemStatus.SYNCING]
    assert world.holds()
    world.answer()
    assert world.holds(1, 2)
    assert world.marker.take_one(BatchAppended) == BatchAppended(1, (RowRef(1), RowRef(2, item)))
    assert world.db.states() == [BEGUN]  # the marker says that it is appended


def test_batches_go_to_one_stream_behind_each_other() -> None:
    world = World()
    world.send(1, 2)
    world.send(3)
    world.send(4, 5)
    assert world.appended() == [(1, 2), (3,), (4, 5)]
    assert [(batch.stream_id, batch.offset) for batch in world.db.batches.values()] == [(1, 0), (1, 2), (1, 3)]
    assert list(world.bigquery.streams) == ["stream-0"]
    assert len(world.upstream.take(WriterReady)) == 3


def test_only_one_batch_is_begun_at_a_time() -> None:
    world = World(held=True)
    world.send(1)
    world.send(2)
    world.answer()
    assert world.db.states() == [BEGUN]
    world.answer()
    assert world.db.states() == [BEGUN, BEGUN]
    assert world.appended() == [(1,)]


def test_what_an_append_took_is_measured() -> None:
    world = World()
    world.send(1, 2)
    measured = world.upstream.take_one(AppendMeasured)
    assert (measured.rows, measured.nbytes) == (2, outgoing(1, 2).encoded.nbytes)


def test_rows_whose_item_was_decided_meanwhile_are_left_out_and_settled() -> None:
    world = World()
    given_up, waiting = world.db.add_item(1, status=ItemStatus.ABANDONED), world.db.add_item(2)
    world.send((1, given_up), (2, waiting))
    assert world.upstream.take_one(RowsSettled).rows == (RowRef(1, given_up),)
    assert world.appended() == [(2,)]
    assert world.holds(2)


def test_a_batch_of_which_nothing_is_left_is_settled_and_the_next_one_goes() -> None:
    world = World()
    given_up = world.db.add_item(1, status=ItemStatus.ABANDONED)
    world.send((1, given_up))
    world.send(2)
    assert world.upstream.take_one(RowsSettled).rows == (RowRef(1, given_up),)
    assert world.holds(2)
    assert len(world.upstream.take(WriterReady)) == 2


# fact 7, and a shared line


def test_a_new_stream_waits_until_its_row_is_on_the_disk() -> None:
    world = World(WriterLimits(new_stream_seconds=2.0))
    world.send(1)
    assert world.db.states() == [BEGUN]
    world.tell(RetryNow())
    world.advance(1.9)
    assert world.holds()
    world.advance(0.1)
    assert world.holds(1)
    world.send(2)
    assert world.holds(1, 2)


def test_a_new_stream_isnt_used_where_the_lease_was_lost_meanwhile() -> None:
    # A power cut of the database alone may have undone what was begun; nobody would know of the stream.
    world = World(WriterLimits(new_stream_seconds=2.0))
    world.send(1)
    world.ledger.take_away()
    world.advance(2.0)
    assert world.holds()


def test_a_refused_batchs_offset_waits_until_the_refusal_is_on_the_disk() -> None:
    # Else a power cut could leave a ledger that takes other rows at this offset for the refused ones.
    world = World(WriterLimits(new_stream_seconds=2.0))
    world.bad["det_1"] = "invalid value"
    world.send(1, 2)
    world.advance(2.0)
    assert world.db.states() == [REFUSED, BEGUN]
    assert world.holds()
    world.advance(1.9)
    assert world.holds()
    world.advance(0.1)
    assert world.holds(2)


def test_the_line_is_left_alone_for_as_long_as_a_batch_should_take() -> None:
    world = World(slow_line())
    world.send(1)
    world.send(2)
    assert world.holds(1)
    world.tell(RetryNow())
    world.advance(9.9)
    assert world.holds(1)
    world.advance(0.1)
    assert world.holds(1, 2)


def test_tables_share_the_line() -> None:
    limits = slow_line()
    one, other = World(limits), World(limits)
    one.send(1)
    other.send(2)
    assert (one.holds(1), other.holds()) == (True, True)
    one.send(3)
    other.advance(10)
    assert other.holds(2)
    one.advance(19.9)
    assert one.holds(1)
    one.advance(0.1)
    assert one.holds(1, 3)


def test_a_repeated_append_waits_for_its_turn() -> None:
    limits = slow_line()
    world, other = World(limits), World(limits)
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(1)
    other.send(2)  # its turn is in 10 s, for 10 s
    world.tell(RetryNow())
    world.advance(19.9)
    assert world.holds()
    world.advance(0.1)
    assert world.holds(1)


def test_batches_are_sized_by_the_share_of_the_line_that_is_ours() -> None:
    world = World(slow_line())
    world.send(1)
    assert world.upstream.take_one(AppendMeasured).seconds == pytest.approx(10)  # although the answer came at once


def slow_line() -> WriterLimits:
    """One that a batch of one row may have for 10 s."""
    return WriterLimits(uplink=Uplink(bytes_per_second=outgoing(1).encoded.nbytes / 10))


# errors that pass


def test_a_batch_that_was_refused_for_now_is_repeated_as_it_is() -> None:
    world = World()
    world.bigquery.faults.extend([Answered(UNAVAILABLE)] * 20)
    world.send(1, 2)
    assert world.upstream.take_one(StateChanged) == StateChanged(TableState.WAITING, UNAVAILABLE.reason, "BqWriter")
    world.send(3)
    world.advance(20 * 300)
    assert world.appended() == [(1, 2), (3,)]
    assert world.upstream.take(StateChanged)[-1].state is TableState.RUNNING
    assert world.holds(1, 2, 3)


def test_whoever_waits_has_it_repeated_at_once() -> None:
    world = World()
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(1)
    world.tell(RetryNow())
    assert world.holds(1)
    world.advance()
    assert world.holds(1)


def test_an_append_whose_answer_was_lost_is_found_there_when_repeated() -> None:
    world = World()
    world.bigquery.faults.append(Answered(TIMEOUT, written=True))
    world.send(1, 2)
    world.advance()
    assert world.appended() == [(1, 2)]
    world.send(3)
    assert world.holds(1, 2, 3)


def test_an_append_that_arrives_behind_its_repetition_is_refused() -> None:
    world = World()
    world.bigquery.faults.append(Delayed())
    world.send(1, 2)
    world.advance()
    world.bigquery.arrive()
    assert world.holds(1, 2)


def test_after_three_unknown_outcomes_recovery_decides_and_the_next_batch_is_smaller() -> None:
    world = World()
    world.bigquery.faults.extend([Delayed()] * 3)
    world.send(1, 2, 3, 4)
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded(TIMEOUT.reason, next_rows=2)
    assert world.db.states() == [BEGUN]


def test_a_quota_asks_for_less() -> None:
    world = World()
    world.bigquery.faults.append(Answered(failure(ErrorClass.QUOTA)))
    world.send(1)
    world.advance()
    assert len(world.upstream.take(QuotaExceeded)) == 1
    assert world.holds(1)


# errors that don't


def test_a_bad_row_is_taken_out_and_the_rest_goes_at_the_same_offset() -> None:
    world = World()
    world.bad = {"det_2": "label: no good"}
    items = [world.db.add_item(key) for key in (1, 2, 3)]
    world.send((1, items[0]), (2, items[1]), (3, items[2]))
    world.send(4)
    assert world.holds(1, 3, 4)
    assert (world.db.items[items[1]].status, world.db.items[items[1]].last_error) == (
        ItemStatus.FAILED,
        "label: no good",
    )
    assert [(batch.state, batch.offset, batch.rows.keys) for batch in world.db.batches.values()] == [
        (REFUSED, 0, (1, 2, 3)),
        (BEGUN, 0, (1, 3)),
        (BEGUN, 2, (4,)),
    ]
    assert world.upstream.take_one(RowsSettled).rows == (RowRef(2, items[1]),)
    assert world.appended() == [(1, 3), (4,)]


def test_a_batch_of_bad_rows_alone_leaves_the_offset_to_the_next() -> None:
    world = World()
    world.bad = {"det_1": "label: no good"}
    world.send(1)
    world.send(2)
    assert world.holds(2)
    assert world.db.batches[2].offset == 0
    (failed,) = world.db.items.values()
    assert (failed.record_id, failed.status) == ("1", ItemStatus.FAILED)


def test_more_bad_rows_may_be_named_when_the_first_are_gone() -> None:
    world = World()
    named = Failure(ErrorClass.BAD_ROW, "rows", definite=True, bad_rows={0: "label: no good"})
    world.bad = {"det_1": "label: no good", "det_3": "label: no good"}
    world.bigquery.faults.append(Answered(named))
    world.send(1, 2, 3)
    assert world.holds(2)
    assert sorted(item.record_id for item in world.db.items.values()) == ["1", "3"]


def test_a_refusal_proves_nothing_after_an_attempt_of_unknown_outcome() -> None:
    world = World()
    world.bigquery.faults.extend([Delayed()])
    world.bad = {"det_2": "label: no good"}
    world.send(1, 2)
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded).next_rows is None
    assert world.db.states() == [BEGUN]
    assert world.db.items == {}


def test_already_exists_on_a_first_attempt_is_decided_by_look_up() -> None:
    world = World()
    world.send(1)
    world.appended()
    world.bigquery.hold(sent_rows(8, 9), "stream-0")  # rows that the ledger knows nothing of
    world.send(2)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert (world.db.batches[2].state, world.db.batches[2].stream_id) == (BEGUN, None)
    assert world.appended() == []


def test_already_exists_after_definite_refusals_is_decided_by_look_up() -> None:
    world = World()
    world.send(1)
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    world.send(2)
    world.bigquery.hold(sent_rows(8, 9), "stream-0")
    world.advance()
    assert world.db.batches[2].stream_id is None


def test_a_database_that_was_restored_meanwhile_is_noticed_before_anything_is_sent() -> None:
    world = World()
    world.send(1)
    world.db.batches.clear()
    world.send(2)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert world.db.lookups.first
    assert world.db.batches == {}
    assert world.bigquery.ids == ["det_1"]


def test_a_database_that_has_forgotten_a_completion_is_noticed_before_anything_is_sent() -> None:
    world = World()
    world.send(1)
    (batch,) = world.db.batches  # is begun, as in the backup that was restored after its completion
    world.tell(RowsSettled((RowRef(1),), sent=1, batch=batch))
    world.send(1)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert world.db.lookups.first
    assert world.bigquery.ids == ["det_1"]


def test_each_completion_since_the_last_begin_is_asked_for() -> None:
    world = World()
    world.send(1)
    world.send(2)
    forgotten, kept = world.db.batches
    world.tell(RowsSettled((RowRef(1),), sent=1, batch=forgotten))
    world.complete(kept)
    world.send(3)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert world.db.lookups.first
    assert world.bigquery.ids == ["det_1", "det_2"]


def test_a_completion_is_asked_for_once() -> None:
    """Batches are deleted in the end; only the last are sure to stay."""
    world = World()
    world.send(1)
    (batch,) = world.db.batches
    world.complete(batch)
    world.send(2)
    del world.db.batches[batch]
    world.send(3)
    assert world.holds(1, 2, 3)


@pytest.mark.parametrize("attempt", [1, 2])
def test_trouble_with_the_stream_touches_no_item(attempt: int) -> None:
    world = World()
    item = world.db.add_item(1)
    world.bigquery.faults.extend([Answered(UNAVAILABLE)] * (attempt - 1))
    world.bigquery.faults.append(Answered(failure(ErrorClass.STREAM)))
    world.send((1, item))
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded("the reason")
    assert world.db.statuses(item) == [ItemStatus.SYNCING]


def test_a_blocked_table_takes_its_batch_back() -> None:
    world = World()
    item = world.db.add_item(1)
    world.bigquery.faults.append(Answered(failure(ErrorClass.BLOCKED)))
    world.send((1, item))
    world.send(2)
    assert world.upstream.take_one(RecoveryNeeded) == RecoveryNeeded("the reason", blocked=True)
    assert world.db.states() == [REFUSED]
    assert world.db.statuses(item) == [ItemStatus.PENDING]
    world.advance()
    assert world.holds()


def test_a_blocked_table_leaves_a_batch_of_unknown_outcome_to_recovery() -> None:
    world = World()
    world.bigquery.faults.extend([Delayed(), Answered(failure(ErrorClass.BLOCKED))])
    world.send(1)
    world.advance()
    assert world.upstream.take_one(RecoveryNeeded).blocked
    assert world.db.states() == [BEGUN]


def test_a_row_that_bigquery_refuses_without_naming_it_is_found_and_failed_alone() -> None:
    world = World()
    world.bigquery.names_bad_rows = False
    world.bad = {"det_3": "it doesn't say"}
    item = world.db.add_item(3)
    world.send(1, 2, (3, item), 4, 5)
    world.advance()
    assert world.holds(1, 2, 4, 5)
    decided = world.marker.take_one(RowsDecided)
    assert (decided.rows, decided.outcome) == ((RowRef(3, item),), Outcome.FAILED)
    assert decided.reason is not None
    assert "something about a row" in decided.reason
    assert world.db.items[item].retry_count == 5
    assert world.db.statuses(item) == [ItemStatus.PENDING]  # until the marker has written it down
    assert len(world.upstream.take(WriterReady)) == 1
    world.send(6)
    assert world.holds(1, 2, 4, 5, 6)


def test_an_error_that_every_row_gets_is_the_services_and_fails_no_row() -> None:
    world = World()
    world.bigquery.names_bad_rows = False
    world.bad = {f"det_{key}": "it doesn't say" for key in range(100)}
    world.send(*range(100))
    world.advance()
    assert len(world.upstream.take_one(RecoveryNeeded).accused) == WITNESSES
    assert world.marker.take(RowsDecided) == []
    assert set(world.db.states()) == {REFUSED}
    assert len(world.db.states()) < 10


def test_an_error_that_the_service_gets_over_in_the_middle_of_a_trial_fails_no_row() -> None:
    world = World()
    unknown = Answered(failure(ErrorClass.UNKNOWN))
    world.bigquery.faults.extend([unknown] * 7)  # five attempts, and two rows that are sent alone
    world.send(*range(100))
    world.advance()
    assert world.holds(*range(100))
    assert world.marker.take(RowsDecided) == []


@pytest.mark.parametrize("bad", [(0,), (99,), (40, 41, 42, 43, 44, 45, 46, 47), (95, 96, 97, 98, 99), range(0, 100, 9)])
def test_any_rows_are_found_among_those_that_get_through(bad: Sequence[int]) -> None:
    world = World()
    world.bigquery.names_bad_rows = False
    world.bad = {f"det_{key}": "it doesn't say" for key in bad}
    world.send(*range(100))
    world.advance()
    assert world.holds(*(key for key in range(100) if key not in bad))
    failed = [message.rows[0].key for message in world.marker.take(RowsDecided)]
    assert sorted(map(int, failed)) == list(bad)  # type: ignore[arg-type]  # keys are integers here


def test_an_item_that_has_used_up_its_retries_isnt_repeated_first() -> None:
    world = World()
    world.bigquery.names_bad_rows = False
    world.bad = {"det_1": "it doesn't say"}
    item = world.db.add_item(1)
    world.db.change_items([item], retry_count=3, max_retries=4)
    world.send((1, item), 2)
    assert world.holds(2)  # without any backoff
    assert len(world.marker.take(RowsDecided)) == 1


def test_more_bad_rows_than_an_answer_can_name_are_found_without_repeating_anything() -> None:
    world = World()
    world.bad = {f"det_{key}": "label: no good" for key in range(0, 64, 2)}
    too_many = Failure(ErrorClass.BAD_ROW, "rows are bad", definite=True)
    world.bigquery.faults.extend([Answered(too_many)] * 3)
    world.send(*range(64))
    assert world.holds(*range(1, 64, 2))
    assert len(world.db.items) == 32
    assert world.marker.take(RowsDecided) == []
    assert len(world.db.states()) < 12


def test_a_batch_that_is_over_a_quota_again_and_again_is_given_back_to_go_in_smaller_ones() -> None:
    world = World()
    item = world.db.add_item(2)
    world.bigquery.faults.extend([Answered(failure(ErrorClass.QUOTA))] * 3)
    world.send(1, (2, item))
    world.advance()
    assert world.db.states() == [REFUSED]
    assert world.db.statuses(item) == [ItemStatus.PENDING]
    assert world.upstream.take_one(RowsSettled).rows == (RowRef(1), RowRef(2, item))
    assert len(world.upstream.take(QuotaExceeded)) == 3
    world.send(1)
    assert world.holds(1)


def test_a_drain_in_the_middle_of_a_trial_begins_no_further_piece() -> None:
    world = World(held=True)
    world.bigquery.names_bad_rows = False
    world.bad = {"det_1": "it doesn't say", "det_2": "it doesn't say"}
    world.send(1, 2)
    world.answer()  # the stream is made
    for _ in range(5):
        world.answer()
        world.advance()
    world.tell(Drain())
    world.answer()
    assert world.marker.take_one(Drain) == Drain()
    assert world.db.states().count(BEGUN) == 0


@pytest.mark.parametrize("rounds", [1, 3])
def test_a_stream_that_cant_be_made_is_tried_again(rounds: int) -> None:
    world = World()
    world.bigquery.open_failures.extend([UNAVAILABLE] * rounds)
    world.send(1)
    assert world.db.batches == {}
    world.advance()
    assert world.holds(1)


def test_a_stream_that_may_not_be_made_blocks_the_table() -> None:
    world = World()
    world.bigquery.open_failures.append(failure(ErrorClass.BLOCKED))
    world.send(1)
    assert world.upstream.take_one(RecoveryNeeded).blocked
    assert world.db.batches == {}


# the database's errors


def test_a_database_that_refuses_to_begin_is_asked_again() -> None:
    world = World()
    world.ledger.faults.extend([FailAt(0), FailAt(1), FailAt(2)])
    world.send(1)
    assert world.db.batches == {}
    assert world.holds()
    world.advance()
    assert world.holds(1)
    assert len(world.db.batches) == 1


@pytest.mark.parametrize("happened", [True, False])
def test_an_error_at_commit_leaves_the_outcome_unknown_nothing_is_sent(happened: bool) -> None:
    world = World()
    world.ledger.faults.append(FailCommit(happened))
    world.send(1)
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert len(world.db.batches) == happened
    world.send(2)
    world.advance()
    assert world.holds()


def test_a_refusal_that_cant_be_written_down_is_before_its_offset_is_used_again() -> None:
    world = World()
    world.bad = {"det_1": "label: no good"}
    world.ledger.faults.extend([None, FailAt(1)])
    world.send(1, 2)
    assert (world.db.states(), world.holds()) == ([BEGUN], True)
    world.advance()
    assert world.db.states() == [REFUSED, BEGUN]
    assert world.holds(2)
    assert len(world.db.items) == 1


def test_a_lost_lease_ends_it_before_anything_is_sent() -> None:
    world = World()
    world.send(1)
    world.ledger.take_away()
    world.send(2)
    assert len(world.upstream.take(LeaseGone)) == 1
    world.send(3)
    world.advance()
    assert world.holds(1)


# look-ups


def test_suspect_rows_that_are_there_arent_sent() -> None:
    world = World()
    world.bigquery.hold(sent_rows(1, 3))
    item = world.db.add_item(3)
    world.send(1, 2, (3, item), 4, look_up=True)
    assert sorted(world.appended()) == [(1, 3), (2, 4)]
    assert world.holds(1, 2, 3, 4)
    assert (world.db.batches[1].state, world.db.batches[1].rows) == (APPENDED, sent_rows(1, 3))
    assert world.db.items[item].batch_id == 1


def test_suspect_rows_that_are_all_there_need_no_stream() -> None:
    world = World()
    world.bigquery.hold(sent_rows(1))
    world.send(1, look_up=True)
    assert world.bigquery.streams == {}
    assert world.appended() == [(1,)]
    assert len(world.upstream.take(WriterReady)) == 1


def test_suspect_rows_that_arent_there_are_sent() -> None:
    world = World()
    world.send(1, look_up=True)
    assert world.holds(1)


def test_a_look_up_that_fails_is_made_again_and_nothing_is_sent_meanwhile() -> None:
    world = World()
    world.bigquery.hold(sent_rows(1))
    world.bigquery.look_up_failures.append(UNAVAILABLE)
    world.send(1, look_up=True)
    assert world.appended() == []
    world.advance()
    assert world.appended() == [(1,)]
    assert world.holds(1)


def test_a_look_up_that_would_scan_too_much_blocks_the_table() -> None:
    world = World()
    world.bigquery.look_up_failures.append(failure(ErrorClass.BLOCKED))
    world.send(1, look_up=True)
    assert world.upstream.take_one(RecoveryNeeded).blocked


# barriers


def test_a_flush_passes_behind_the_batches_before_it() -> None:
    world = World(held=True)
    world.send(1)
    world.tell(Flush(7))
    world.send(2)
    world.answer()
    assert world.marker.take(Flush) == []
    world.answer()
    assert [type(message) for message in world.marker.messages] == [BatchAppended, Flush]


def test_a_drain_finishes_what_is_begun_and_begins_nothing_new() -> None:
    world = World(held=True)
    world.send(1)
    world.send(2)
    world.answer()
    world.tell(Drain())
    assert world.marker.messages == []
    world.answer()
    assert [type(message) for message in world.marker.messages] == [BatchAppended, Drain]
    assert world.holds(1)
    assert world.db.states() == [BEGUN]


def test_a_drain_drops_what_isnt_begun() -> None:
    world = World(held=True)
    world.send(1)
    world.tell(Drain())
    assert world.marker.messages == [Drain()]
    world.answer()  # the stream is made, for nothing
    world.send(2)
    world.advance()
    assert world.db.batches == {}
    assert world.holds()


def test_a_drain_repeats_an_append_at_once() -> None:
    world = World()
    world.bigquery.faults.append(Answered(TIMEOUT, written=True))
    world.send(1)
    assert world.marker.messages == []
    world.tell(Drain())
    assert [type(message) for message in world.marker.messages] == [BatchAppended, Drain]


def test_a_drain_leaves_an_append_that_fails_again_to_recovery() -> None:
    world = World()
    world.bigquery.faults.extend([Answered(TIMEOUT), Answered(TIMEOUT)])
    world.send(1)
    world.tell(Drain())
    assert world.upstream.take_one(RecoveryNeeded).reason == TIMEOUT.reason
    world.advance()
    assert world.holds()
    assert world.marker.messages == []
    assert world.db.states() == [BEGUN]


def test_a_drain_begins_no_batch_from_what_a_bad_row_left() -> None:
    world = World(held=True)
    world.bad = {"det_1": "label: no good"}
    world.send(1, 2)
    world.answer()
    world.tell(Drain())
    world.answer()
    assert world.marker.messages == [Drain()]
    assert world.db.states() == [REFUSED]
    assert world.held.calls == type(world.held.calls)()


# what is measured


def test_a_batch_is_measured_once_it_is_there() -> None:
    world = World()
    world.bigquery.faults.append(Answered(UNAVAILABLE))
    sent = replace(outgoing(1, 2, 3), since={0: 990.0, 2: 400.0})
    world.tell(BatchReady(sent))
    assert (world.measures.batches, world.measures.ages) == ([], [])
    assert world.measures.failures == [ErrorClass.TRANSIENT]
    world.advance(20)
    assert world.measures.batches == [(APPENDED, 3, sent.encoded.nbytes)]
    assert world.measures.ages == [pytest.approx(15, abs=10), pytest.approx(605, abs=10)]
    assert len(world.measures.appends) == 2


def test_rows_that_are_refused_are_settled_and_never_arrive() -> None:
    world = World()
    world.bad = {"det_2": "label: no good"}
    world.tell(BatchReady(replace(outgoing(1, 2, 3), since={0: 1000.0, 1: 500.0, 2: 900.0})))
    assert [(state, rows) for state, rows, _ in world.measures.batches] == [(REFUSED, 3), (APPENDED, 2)]
    assert world.measures.settled == {Outcome.FAILED: 1}
    assert world.measures.ages == [0.0, 100.0]


def test_rows_that_were_there_already_are_a_batch_without_bytes() -> None:
    world = World()
    world.bigquery.hold(sent_rows(1, 2))
    world.send(1, 2, look_up=True)
    assert world.measures.batches == [(APPENDED, 2, 0)]
    assert world.measures.ages == []


def test_a_stream_that_can_not_be_made_is_a_failed_attempt() -> None:
    world = World()
    world.bigquery.open_failures.append(failure(ErrorClass.QUOTA))
    world.send(1)
    assert world.measures.failures == [ErrorClass.QUOTA]
