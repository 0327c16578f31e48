"""TableOwner: a pause finishes what is begun, outlives every restart, and is over when an operator says so."""

from collections.abc import Callable

import pytest

from actors.messages import (
    ChildFailed,
    Drain,
    Drained,
    Flush,
    LeaseGone,
    Pause,
    RecoveryNeeded,
    Resume,
    RetentionDone,
    RowsSettled,
    RunRetention,
    Stop,
)
from actors.table_owner import STANDBY_SECONDS
from delivery.errors import DestinationError, LedgerError
from delivery.settle import RowRef
from tests.fakes.destination import UNAVAILABLE
from tests.fakes.ledger import FailAt
from tests.fakes.owner_world import World


def pause(world: World) -> None:
    """What `pause` writes, and what CommandReader then tells."""
    world.db.paused = True
    world.tell(Pause())


def resume(world: World) -> None:
    world.db.paused = False
    world.tell(Resume())


@pytest.fixture
def paused() -> World:
    """A table that ran, and is paused."""
    world = World().start()
    pause(world)
    world.from_pipeline(Drained())
    return world


def test_a_pause_finishes_what_is_begun() -> None:
    world = World().start()
    pipeline = world.pipeline
    pause(world)
    world.tell(Pause())  # it is told every few seconds
    assert (pipeline.finds, pipeline.runs) == (False, True)
    assert pipeline.writer.messages == [Drain()]
    assert world.db.state == "running"
    world.from_pipeline(Drained())
    assert not world.runs
    assert (world.db.state, world.db.reason, world.db.last_error) == ("paused", "paused by an operator", None)
    assert world.locked
    world.advance(10_000)
    assert not world.runs


def test_a_resumed_table_recovers_and_runs(paused: World) -> None:
    resume(paused)
    assert paused.runs
    assert (paused.db.state, paused.db.reason) == ("running", None)
    assert len(paused.table.recovered) == 2


def test_a_resume_that_is_older_than_the_pause_is_not_believed(paused: World) -> None:
    paused.tell(Resume())
    assert not paused.runs
    assert paused.db.state == "paused"


def test_a_resume_of_a_running_table_changes_nothing() -> None:
    world = World().start()
    world.tell(Resume())
    assert len(world.table.pipelines) == 1


def test_a_table_that_is_resumed_while_it_pauses_runs_when_it_is_told_again() -> None:
    world = World().start()
    pause(world)
    resume(world)
    world.from_pipeline(Drained())
    assert world.db.state == "paused"
    world.tell(Resume())
    assert world.runs


def test_a_new_owner_of_a_paused_table_opens_nothing() -> None:
    world = World()
    world.db.paused = True
    world.start()
    assert world.locked
    assert world.table.recovered == []
    assert world.db.state == "paused"
    resume(world)
    assert world.runs


@pytest.mark.parametrize(
    "trouble",
    [RecoveryNeeded("the stream is gone"), RecoveryNeeded("no such table", blocked=True)],
)
def test_a_table_that_waits_is_paused_without_another_attempt(trouble: object) -> None:
    world = World().start()
    world.from_pipeline(trouble)
    error = world.db.last_error
    pause(world)
    assert (world.db.state, world.db.last_error) == ("paused", error)
    world.advance(10_000)
    assert len(world.table.recovered) == 1
    resume(world)
    assert world.runs


@pytest.mark.parametrize(
    "message", [RecoveryNeeded("no answer in time"), ChildFailed("BqWriter", RuntimeError("a bug"))]
)
def test_a_pipeline_that_fails_while_it_pauses_is_left_until_it_is_resumed(message: object) -> None:
    world = World().start()
    pause(world)
    world.from_pipeline(message)
    assert not world.runs
    assert world.db.state == "paused"
    world.advance(10_000)
    assert not world.runs
    resume(world)
    assert world.runs


def test_a_lease_that_is_lost_while_it_pauses_is_not_taken_back_before_the_pause_is_known() -> None:
    world = World().start()
    pause(world)
    world.lock_is_free = False
    world.from_pipeline(LeaseGone("another worker has taken the table over"))
    world.tell(Pause())
    assert not world.runs
    world.lock_is_free = True
    world.advance(STANDBY_SECONDS)
    assert not world.runs
    assert world.db.state == "paused"


def test_a_lock_that_is_lost_in_a_pause_is_taken_again(paused: World) -> None:
    paused.locked = False
    paused.tell(LeaseGone("the connection that holds the locks is gone", connection_id=1))
    paused.advance(STANDBY_SECONDS)
    assert paused.locked
    assert paused.db.state == "paused"
    assert not paused.runs


def test_a_backup_that_was_restored_in_a_pause_is_noticed(paused: World) -> None:
    paused.db.token = "of the backup"
    paused.db.paused = False
    paused.tell(Resume())
    assert not paused.runs
    paused.advance(STANDBY_SECONDS)
    assert [lookup_first for _, lookup_first in paused.table.recovered] == [False, True]


def test_a_paused_table_keeps_that_it_has_to_look_up_first_beyond_the_process_that_was_told() -> None:
    world = World(lookup_first=True)
    world.db.paused = True
    world.start()
    assert not world.runs
    assert world.db.lookups.first


def test_a_resume_that_the_database_didnt_answer_is_told_again(paused: World) -> None:
    paused.ledger.faults.append(FailAt(0))
    resume(paused)
    assert not paused.runs
    paused.tell(Resume())
    assert paused.runs


def test_a_resumed_table_that_can_not_work_yet_says_so_and_goes_on(paused: World) -> None:
    paused.table.recoveries = [DestinationError(UNAVAILABLE)]
    resume(paused)
    assert paused.db.state == "waiting"
    paused.advance(10)
    assert paused.runs


def test_a_pause_that_could_not_be_written_down_is_the_next_time() -> None:
    world = World().start()
    world.from_pipeline(RecoveryNeeded("the stream is gone"))
    world.ledger.faults.append(FailAt(0))
    pause(world)
    assert world.db.state == "waiting"
    world.tell(Pause())
    assert world.db.state == "paused"


def test_nothing_is_written_while_nothing_happens(paused: World) -> None:
    before = paused.db.copy()
    paused.ledger.faults.append(FailAt(0))
    paused.tell(Pause())
    assert len(paused.ledger.faults) == 1  # no transaction met it
    assert paused.db == before


# commands


def test_a_flush_of_a_paused_table_is_done_at_once(paused: World) -> None:
    paused.db.commands[7] = "waiting"
    paused.tell(Flush(7))
    assert paused.db.results == {7: {"flushedCount": 0, "paused": True}}


def test_retention_of_a_paused_table_is_refused(paused: World) -> None:
    paused.db.commands[7] = "waiting"
    paused.tell(RunRetention(7, dry_run=False))
    assert paused.db.results == {7: {"problem": "the table is paused: resume it first", "paused": True}}


@pytest.mark.parametrize("taken", [True, False], ids=["before the pause", "while it pauses"])
def test_a_flush_that_a_pause_cuts_short_says_what_was_sent(taken: bool) -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    steps: list[Callable[[], None]] = [lambda: world.tell(Flush(7)), lambda: pause(world)]
    for step in steps if taken else reversed(steps):
        step()
    world.from_pipeline(RowsSettled((RowRef(1), RowRef(2)), sent=2))
    assert world.db.results == {}
    world.from_pipeline(Drained())
    assert world.db.results == {7: {"flushedCount": 2, "paused": True}}


def test_a_flush_that_a_dead_owner_took_is_answered_by_the_next_one_though_it_is_paused() -> None:
    world = World()
    world.db.paused = True
    world.db.commands[7] = "taken"
    world.start()
    assert world.db.results == {7: {"flushedCount": 0, "paused": True}}


def test_retention_that_a_pause_cuts_short_says_so() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(RunRetention(7, dry_run=False))
    pause(world)
    world.from_pipeline(Drained())
    assert "problem" in world.db.results[7]


def test_retention_that_is_done_while_it_pauses_keeps_its_report() -> None:
    world = World().start()
    world.db.commands[7] = "waiting"
    world.tell(RunRetention(7, dry_run=False))
    pause(world)
    world.from_pipeline(RetentionDone(7, {"deleted": 3}))
    world.from_pipeline(Drained())
    assert world.db.results == {7: {"deleted": 3}}


# the end


def test_a_stop_while_it_pauses_waits_for_what_is_begun() -> None:
    world = World().start()
    pipeline = world.pipeline
    pause(world)
    world.tell(Stop())
    assert pipeline.writer.messages == [Drain()]
    assert not world.has_stopped
    world.from_pipeline(Drained())
    assert world.has_stopped
    assert not world.locked
    assert world.db.state == "stopped"


def test_a_paused_table_stops_at_once_and_is_paused_when_it_starts_again(paused: World) -> None:
    paused.tell(Stop())
    assert paused.has_stopped
    assert (paused.db.state, paused.db.reason) == ("stopped", None)
    again = World()
    again.db.become(paused.db)
    again.start()
    assert again.db.state == "paused"
    assert not again.runs


def test_neither_pause_nor_resume_disturbs_a_stop() -> None:
    world = World().start()
    world.tell(Stop())
    pause(world)
    resume(world)
    world.from_pipeline(Drained())
    assert world.has_stopped
    assert not world.runs


@pytest.mark.parametrize("error", [LedgerError("the database can't be reached", outcome_unknown=False)])
def test_a_standby_hears_of_a_pause_when_it_takes_over(error: Exception) -> None:
    world = World()
    world.taking = error
    world.start()
    pause(world)
    world.taking = None
    world.advance(600)
    assert world.db.state == "paused"
    assert world.table.recovered == []
