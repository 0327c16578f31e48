"""TableOwner: the lease, recovery, and a pipeline that is dropped whole at any failure."""

from collections.abc import Callable

import pytest

from actors.messages import (
    AppendMeasured,
    ChildFailed,
    Drain,
    Drained,
    Flush,
    Flushed,
    LeaseGone,
    LookupPassDone,
    LookupsChanged,
    QuotaExceeded,
    RecoveryNeeded,
    RetentionDone,
    RetryNow,
    RowsSettled,
    RunRetention,
    StateChanged,
    Stop,
    StreamMade,
    TableState,
    WriterReady,
)
from actors.owned import TableBlockedError
from actors.table_owner import AGAIN_SECONDS, FAILURES_TO_GIVE_UP, STANDBY_SECONDS
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost, LedgerError
from delivery.ledger import Lookups
from delivery.recovery import TooEarly
from delivery.settle import RowRef
from delivery.source import SourceError
from tests.fakes.destination import UNAVAILABLE
from tests.fakes.ledger import FailAt
from tests.fakes.owner_world import World

DATABASE_DOWN = LedgerError("the database can't be reached", outcome_unknown=False)
BLOCKED = DestinationError(Failure(ErrorClass.BLOCKED, "PERMISSION_DENIED", definite=True))


# from nothing to a running pipeline


def test_it_takes_the_lease_recovers_and_starts() -> None:
    world = World().start()
    lease = world.pipeline.started_with.lease
    assert (lease.table, lease.connection_id) == ("logs", 1)
    assert world.db.token == lease.token
    assert world.table.recovered == [(lease, False)]
    assert world.db.state == "running"


def test_each_start_has_a_lease_of_its_own() -> None:
    world = World().start()
    first = world.pipeline.started_with.lease
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.advance(5)
    assert world.pipeline.started_with.lease.token not in ("", first.token)


def test_it_stands_by_while_another_worker_owns_the_table_and_then_takes_over() -> None:
    world = World()
    world.lock_is_free = False
    world.start()
    world.advance(60)
    assert not world.runs
    assert world.db.state == "stopped"  # what the owner writes is the owner's
    world.lock_is_free = True
    world.advance(STANDBY_SECONDS)
    assert world.runs


@pytest.mark.parametrize(
    "error",
    [DestinationError(UNAVAILABLE), DATABASE_DOWN, SourceError("the database can't be reached")],
)
def test_a_recovery_that_fails_is_run_again(error: Exception) -> None:
    world = World()
    world.table.recoveries = [error, error]
    world.start()
    assert not world.runs
    assert (world.db.state, world.db.last_error) == ("waiting", world.db.reason)
    world.advance(20)
    assert world.runs
    assert world.db.state == "running"


def test_an_answer_that_is_not_believed_yet_is_asked_for_again_as_soon_as_it_is() -> None:
    world = World()
    world.table.recoveries = [DestinationError(UNAVAILABLE)] * 7 + [TooEarly("rows may still arrive", seconds=20.0)]
    world.start()
    while world.table.recoveries:
        world.advance(1)
    assert (world.db.state, world.db.reason) == ("waiting", "rows may still arrive")
    world.advance(18)
    assert not world.runs
    world.advance(2)
    assert world.runs


def test_doubts_outlive_leases_and_end_where_another_worker_owns_the_table() -> None:
    world = World()
    early = TooEarly("rows may still arrive", seconds=20.0)
    world.table.recoveries = [early] * 20  # more than there can be attempts
    world.start()
    world.table.doubts[-1].batches.are([7])
    world.advance(20)
    assert world.table.doubts[-1].batches.age(7) == 20
    world.lock_is_free = False
    world.advance(20)
    world.lock_is_free = True
    world.advance(STANDBY_SECONDS)
    world.table.doubts[-1].batches.are([7])
    assert world.table.doubts[-1].batches.age(7) == 0


def test_a_stream_is_known_from_the_moment_it_was_made() -> None:
    world = World().start()
    world.from_pipeline(StreamMade("s"))
    world.advance(20)
    world.from_pipeline(RecoveryNeeded("no such stream"))
    world.advance(20)
    doubts = world.table.doubts[-1]
    doubts.streams.are(["s"])
    assert doubts.streams.age("s") == 40


def test_a_database_that_is_down_is_waited_for() -> None:
    world = World()
    world.taking = DATABASE_DOWN
    world.start()
    world.advance(600)
    world.taking = None
    world.advance(300)
    assert world.runs


@pytest.mark.parametrize("error", [BLOCKED, TableBlockedError(["logs: no such table"])])
def test_a_blocked_table_says_so_and_is_probed_every_300_s(error: Exception) -> None:
    world = World()
    world.opening = error
    world.start()
    assert world.db.state == "blocked"
    assert world.db.reason in ("PERMISSION_DENIED", "logs: no such table")
    world.opening = None
    world.advance(299)
    assert not world.runs
    world.advance(1)
    assert world.runs


def test_a_lease_lost_in_recovery_means_standing_by() -> None:
    world = World()
    world.table.recoveries = [LeaseLost("taken over")]
    world.lock_is_free = True
    world.start()
    assert not world.runs
    world.advance(STANDBY_SECONDS)
    assert world.runs


def test_look_ups_are_asked_for_once() -> None:
    world = World(lookup_first=True)
    world.table.recoveries = [DestinationError(UNAVAILABLE)]
    world.start()
    world.advance(5)
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.advance(10)
    assert [lookup_first for _, lookup_first in world.table.recovered] == [True, True, False]


# the way back


def test_what_the_pipeline_reports_goes_to_whom_it_concerns() -> None:
    world = World().start()
    settled, measured = RowsSettled((RowRef(1),), sent=1), AppendMeasured(1, 1, 1.0)
    for message in (settled, measured, WriterReady(), QuotaExceeded()):
        world.from_pipeline(message)
    assert world.pipeline.poller.messages == [settled]
    assert world.pipeline.writer.messages == [settled]
    assert world.pipeline.batcher.messages == [measured, WriterReady(), QuotaExceeded()]


def test_its_state_is_written_where_it_changes() -> None:
    world = World().start()
    world.from_pipeline(StateChanged(TableState.WAITING, "no network"))
    assert (world.db.state, world.db.reason, world.db.last_error) == ("waiting", "no network", "no network")
    world.from_pipeline(StateChanged(TableState.RUNNING))
    assert (world.db.state, world.db.reason, world.db.last_error) == ("running", None, "no network")


def test_look_ups_end_when_the_database_says_so() -> None:
    world = World().start()
    world.db.lookups = Lookups(first=True)
    world.db.add_item(1, id=17)
    world.ledger.faults.append(FailAt(1))
    world.from_pipeline(LookupPassDone())
    assert world.db.lookups.first
    assert world.pipeline.poller.messages == []
    world.from_pipeline(LookupPassDone())
    assert world.pipeline.poller.messages == [LookupsChanged(Lookups(items_to=17))]


# a pipeline that can't go on


def test_recovery_follows_after_a_while_and_the_next_batch_is_as_small_as_asked_for() -> None:
    world = World().start()
    first = world.pipeline
    world.from_pipeline(RecoveryNeeded("three timeouts", next_rows=7))
    assert not first.runs
    assert world.table.closed == 1
    assert world.db.state == "waiting"
    world.advance(5)
    assert world.pipeline.started_with.next_rows == 7
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.advance(10)
    assert world.pipeline.started_with.next_rows is None


def test_a_blocked_pipeline_is_probed_every_300_s_at_most() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("no such table", blocked=True))
    assert world.db.state == "blocked"
    world.advance(299)
    assert not world.runs
    world.advance(1)
    assert world.runs


def test_rows_that_failed_alone_are_left_aside_and_heard_once_others_had_their_turn() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("what?", accused=(RowRef(7), RowRef(8, item=3))))
    world.advance(5)
    assert world.pipeline.started_with.aside == (7, 8)
    assert (world.db.state, world.db.reason) == ("waiting", "2 rows are left aside for now: what?")
    arrived = RowsSettled((RowRef(1),), sent=1, batch=1, arrived=True)
    world.from_pipeline(arrived)
    world.advance(294)
    assert world.pipeline.poller.take(RowsSettled) == [arrived]
    world.advance(1)
    assert world.pipeline.poller.take(RowsSettled) == [RowsSettled((RowRef(7),)), RowsSettled((RowRef(8),))]
    assert world.db.state == "running"


def test_where_there_are_no_others_rows_are_heard_once_the_pipeline_had_nothing_to_do_for_a_while() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("what?", accused=(RowRef(7), RowRef(8), RowRef(9))))
    assert world.db.state == "blocked"
    world.advance(299)
    assert not world.runs
    world.advance(2)
    assert world.pipeline.started_with.aside == (7, 8, 9)
    assert world.db.state == "blocked"  # nothing has got through
    world.advance(298)
    assert world.pipeline.poller.take(RowsSettled) == []
    world.advance(2)
    assert world.pipeline.poller.take(RowsSettled) == [RowsSettled((RowRef(7), RowRef(8), RowRef(9)))]


def test_what_comes_from_a_dropped_pipeline_is_void() -> None:
    world = World().start()
    old = world.pipeline
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.advance(5)
    for message in (RowsSettled((RowRef(1),)), RecoveryNeeded("again"), LeaseGone("late"), Drained()):
        world.from_pipeline(message, old)
    assert world.pipeline.poller.messages == []
    assert world.runs


def test_it_never_just_takes_a_lost_lease_back() -> None:
    world = World().start()
    world.lock_is_free = False
    world.from_pipeline(LeaseGone("another worker has taken the table over"))
    world.advance(600)
    assert not world.runs


def test_a_lost_connection_of_the_locks_ends_the_pipeline_too() -> None:
    world = World().start()
    world.tell(LeaseGone("the connection that holds the locks is gone", connection_id=1))
    assert not world.runs
    world.advance(STANDBY_SECONDS)
    assert world.runs


def test_the_loss_of_a_connection_that_held_an_earlier_lease_is_no_news() -> None:
    world = World().start()
    world.tell(LeaseGone("the connection that held the locks is gone", connection_id=7))
    assert world.runs


def test_a_lease_that_changed_under_our_own_lock_means_that_a_backup_was_restored() -> None:
    world = World().start()
    world.from_pipeline(LeaseGone("another token stands in the lease"))
    world.advance(STANDBY_SECONDS)
    assert [lookup_first for _, lookup_first in world.table.recovered] == [False, True]


def test_it_is_noticed_too_where_the_pipeline_ended_for_another_reason() -> None:
    world = World().start()
    world.ledger.database.token = "an older one"
    world.from_pipeline(RecoveryNeeded("three attempts without an answer"))
    world.advance(5)
    assert [lookup_first for _, lookup_first in world.table.recovered] == [False, True]


def test_a_worker_with_nothing_to_do_is_told_by_its_poller_that_the_database_went_back() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("batch 3 is open again", look_up=True))
    world.advance(5)
    assert [lookup_first for _, lookup_first in world.table.recovered] == [False, True]


def test_whatever_goes_wrong_with_one_table_is_tried_again() -> None:
    world = World()
    world.opening = KeyError("a bug")
    world.start()
    assert not world.runs
    assert world.given_up == []
    world.opening = None
    world.advance(60)
    assert world.runs


def test_a_table_runs_when_none_of_its_actors_waits() -> None:
    world = World().start()
    world.from_pipeline(StateChanged(TableState.WAITING, "no network", "BqWriter"))
    world.from_pipeline(StateChanged(TableState.WAITING, "the database: a hiccup", "Poller"))
    world.from_pipeline(StateChanged(TableState.RUNNING, actor="Poller"))
    assert (world.db.state, world.db.reason) == ("waiting", "no network")
    world.from_pipeline(StateChanged(TableState.RUNNING, actor="BqWriter"))
    assert (world.db.state, world.db.reason) == ("running", None)


def test_a_dead_actor_means_recovery_after_a_growing_delay() -> None:
    world = World().start()
    delays: list[float] = []
    for _ in range(3):
        world.from_pipeline(ChildFailed("Poller", RuntimeError("a bug")))
        assert not world.runs
        began = world.db.clock.now
        while not world.runs:
            world.advance(0.5)
        delays.append(world.db.clock.now - began)
    assert delays == sorted(delays)
    assert delays[-1] > delays[0]
    assert world.measures.died == ["Poller"] * 3


def test_too_many_failures_in_a_short_time_end_the_process() -> None:
    world = World().start()
    for _ in range(FAILURES_TO_GIVE_UP - 1):
        world.from_pipeline(ChildFailed("Poller", RuntimeError("a bug")))
        world.advance(40)
        world.db.clock.set_by += 3600.0  # by somebody
    assert world.given_up == []
    world.from_pipeline(ChildFailed("Poller", RuntimeError("a bug")))
    assert len(world.given_up) == 1
    assert "logs" in world.given_up[0]


def test_failures_of_long_ago_are_forgotten() -> None:
    world = World().start()
    for _ in range(3 * FAILURES_TO_GIVE_UP):
        world.from_pipeline(ChildFailed("Poller", RuntimeError("a bug")))
        world.advance(400)
    assert world.given_up == []


def test_an_error_of_its_own_ends_the_process_which_would_else_hold_the_lock_and_do_nothing() -> None:
    world = World().start()
    error = RuntimeError("a bug")
    world.owner.on_failure(RuntimeError, error, None)
    assert len(world.given_up) == 1
    assert "RuntimeError" in world.given_up[0]


# what operators ask for


def test_a_flush_is_taken_passes_through_and_is_counted() -> None:
    world = World().start()
    world.from_pipeline(RowsSettled((RowRef(1),), sent=1))
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    assert world.db.commands[7] == "taken"
    assert world.pipeline.poller.take(Flush) == [Flush(7)]
    for inbox in (world.pipeline.poller, world.pipeline.writer, world.pipeline.marker):
        assert inbox.take(RetryNow) == [RetryNow()]
    world.from_pipeline(RowsSettled((RowRef(2), RowRef(3)), sent=2))
    world.from_pipeline(Flushed(7))
    assert (world.db.commands[7], world.db.results[7]) == ("done", {"flushedCount": 2})


def test_a_flush_that_was_withdrawn_isnt_done() -> None:
    world = World().start()
    world.db.commands[7] = "withdrawn"
    world.tell(Flush(7))
    assert world.pipeline.poller.take(Flush) == []


def test_a_flush_is_taken_once_however_often_it_is_told() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    world.tell(Flush(7))
    assert world.pipeline.poller.take(Flush) == [Flush(7)]


def test_a_standby_leaves_flushes_to_the_owner() -> None:
    world = World()
    world.lock_is_free = False
    world.start()
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    assert world.db.commands[7] == "waiting"


def test_a_flush_survives_a_recovery() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.advance(5)
    assert world.pipeline.poller.take(Flush) == [Flush(7)]


def test_a_flush_that_a_dead_owner_took_is_taken_on() -> None:
    world = World()
    world.db.commands[7] = "taken"
    world.start()
    assert world.pipeline.poller.messages == [Flush(7)]
    world.from_pipeline(Flushed(7))
    assert (world.db.commands[7], world.db.results[7]) == ("done", {"flushedCount": 0})


def test_a_flush_whose_result_could_not_be_written_down_is_done_later_and_asked_for_no_sooner() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    world.pipeline.poller.take(Flush)
    world.ledger.faults.append(FailAt(0))
    world.from_pipeline(Flushed(7))
    world.advance(AGAIN_SECONDS / 2)
    assert world.db.results == {}
    assert world.pipeline.poller.take(Flush) == []
    world.advance(AGAIN_SECONDS)
    assert world.db.results == {7: {"flushedCount": 0}}


def test_a_flush_of_a_table_that_waits_tries_it_at_once_and_only_once() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("no such table", blocked=True))
    world.db.commands[7] = "waiting"
    world.tell(Flush(7))
    assert world.pipeline.poller.take(Flush) == [Flush(7)]
    world.advance(1000)  # the probe that was due is void
    assert len(world.table.pipelines) == 2
    assert world.runs


def test_retention_is_taken_run_and_its_report_kept() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(RunRetention(7, dry_run=True))
    world.tell(RunRetention(7, dry_run=True))
    assert world.db.commands[7] == "taken"
    assert world.pipeline.retention is not None
    assert world.pipeline.retention.messages == [RunRetention(7, dry_run=True)]
    world.from_pipeline(RetentionDone(None, {"deleted": 1}))  # by its schedule
    world.from_pipeline(RetentionDone(7, {"deleted": 2}))
    assert world.db.results == {7: {"deleted": 2}}


def test_a_report_that_could_not_be_written_down_is_later() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(RunRetention(7, dry_run=True))
    world.ledger.faults.append(FailAt(0))
    world.from_pipeline(RetentionDone(7, {"deleted": 2}))
    assert world.db.results == {}
    world.advance(AGAIN_SECONDS)
    assert world.db.results == {7: {"deleted": 2}}


def test_retention_that_a_dead_owner_took_is_run_again_as_it_was_asked_for() -> None:
    world = World()
    world.db.commands = {7: "taken", 8: "taken"}
    world.db.asked = {7: ("retention", {"dryRun": True}), 8: ("retention", {})}
    world.start()
    assert world.pipeline.retention is not None
    assert world.pipeline.retention.messages == [RunRetention(7, dry_run=True), RunRetention(8, dry_run=False)]


# the end


def test_a_stop_drains_the_pipeline_frees_the_lease_and_says_so() -> None:
    world = World().start()
    pipeline = world.pipeline
    world.tell(Stop())
    assert (pipeline.finds, pipeline.runs) == (False, True)
    assert pipeline.writer.messages == [Drain()]
    assert not world.has_stopped
    world.from_pipeline(Drained())
    assert world.has_stopped
    assert not pipeline.runs
    assert not world.locked
    assert world.db.state == "stopped"


@pytest.mark.parametrize(
    "message", [RecoveryNeeded("unknown"), LeaseGone("gone"), ChildFailed("BqWriter", RuntimeError("a bug"))]
)
def test_a_pipeline_that_fails_while_it_is_drained_ends_it(message: object) -> None:
    world = World().start()
    world.tell(Stop())
    world.from_pipeline(message)
    assert world.has_stopped
    world.advance(1000)
    assert not world.runs


@pytest.mark.parametrize("prepare", [lambda world: None, lambda world: setattr(world, "opening", BLOCKED)])
def test_a_stop_without_a_pipeline_is_at_once(prepare: Callable[[World], None]) -> None:
    world = World()
    prepare(world)
    world.tell(Stop())
    assert world.has_stopped
    world.advance(1000)
    assert not world.runs


def test_losing_the_locks_while_it_is_drained_ends_it() -> None:
    world = World().start()
    world.tell(Stop())
    world.tell(LeaseGone("the connection that holds the locks is gone"))
    assert world.has_stopped


@pytest.mark.parametrize(("blocked", "reason"), [(True, "was blocked: no table"), (False, "was waiting: no table")])
def test_a_stop_keeps_what_was_wrong(blocked: bool, reason: str) -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("no table", blocked=blocked))
    world.tell(Stop())
    assert (world.db.state, world.db.reason) == ("stopped", reason)
    again = World()
    again.db.become(world.db)
    again.start()
    assert (again.db.state, again.db.reason) == ("running", None)
