"""A table's actors together: every row arrives exactly once, in many histories, each of which can be repeated."""

import random

import pytest

from actors.messages import Flush, Pause, Resume, Stop
from delivery.destination import AppendResult
from delivery.errors import ErrorClass, Failure
from delivery.ledger import BatchState, ItemStatus
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import TIMEOUT, UNAVAILABLE, Answered, Delayed, MemoryDestination, Partly, Request, Row
from tests.fakes.insert_all import MemoryInsertAll
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryLedger
from tests.fakes.mapping import event_id, payload
from tests.fakes.process import Process

HOUR = 3600.0
APPEND_FAULTS: list[Answered | Delayed | Partly | None] = [
    Answered(UNAVAILABLE),
    Answered(TIMEOUT, written=True),
    Answered(TIMEOUT),
    Delayed(),
    Answered(Failure(ErrorClass.QUOTA, "RESOURCE_EXHAUSTED", definite=True)),
    Answered(Failure(ErrorClass.STREAM, "INVALID_STREAM_STATE", definite=True)),
    Answered(Failure(ErrorClass.BLOCKED, "PERMISSION_DENIED", definite=True)),
    Answered(Failure(ErrorClass.UNKNOWN, "what?", definite=True)),
]
LEDGER_FAULTS: list[Fault] = [FailAt(0), FailAt(1), FailAt(2), FailCommit(False), FailCommit(True)]


class World:
    """One table, BigQuery, and worker processes of which the last owns the table."""

    def __init__(self, chance: random.Random | None = None, insert_all: bool = False) -> None:
        self._chance = chance or random.Random(0)
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        refusal = lambda row: "label: no good" if refused(row) else None  # noqa: E731
        self.bigquery = MemoryInsertAll(self.db.clock, refusal) if insert_all else MemoryDestination(refusal)
        self.scheduler = FakeScheduler(self.db.clock)
        self.processes: list[Process] = []
        self.start_process()

    def start_process(self) -> Process:
        """A new worker takes over: the server has freed the lock of the one before, which may be frozen or dead."""
        self.db.lock_holder = None
        connection_id = len(self.processes) + 1
        self.processes.append(Process(connection_id, self.ledger, self.bigquery, self.scheduler, self._chance))
        return self.processes[-1]

    @property
    def process(self) -> Process:
        return self.processes[-1]

    def tell_orders(self) -> None:
        """What CommandReader of the youngest process does every few seconds."""
        self.process.owner.actor_ref.tell(Pause() if self.db.paused else Resume())

    def advance(self, seconds: float) -> None:
        """Let time pass for the youngest process alone; the others are frozen."""
        self.process.run()
        self.scheduler.advance(seconds, self.process.run)

    def advance_all(self, seconds: float) -> None:
        self._run_all()
        self.scheduler.advance(seconds, self._run_all)

    def _run_all(self) -> None:
        for process in self.processes:
            process.run()

    def check(self) -> None:
        """Every row that can be sent is in BigQuery once, and everything says so."""
        good = {key for key, values in self.db.values.items() if values[1] not in (None, "refused")}
        assert sorted(map(str, self.bigquery.ids)) == sorted(map(event_id, good))
        assert self.db.flags == good
        failed = {item.record_id for item in self.db.items.values() if item.status is ItemStatus.FAILED}
        assert failed == {str(key) for key in self.db.values if key not in good}
        open_states = {ItemStatus.PENDING, ItemStatus.SYNCING}
        assert not [item for item in self.db.items.values() if item.status in open_states]
        assert not {BatchState.BEGUN, BatchState.APPENDED} & set(self.db.states())
        assert not any(process.given_up for process in self.processes)


def refused(row: Row) -> bool:
    return row["label"] == "refused"


@pytest.fixture
def world() -> World:
    return World()


def test_rows_and_items_arrive(world: World) -> None:
    world.db.add_rows(*range(1, 30))
    world.db.add_rows(30, label=None)
    world.db.add_rows(31, label="refused")
    world.db.add_item("007")
    world.db.add_item(8)
    world.db.add_item(8, operation="UPDATE")
    world.db.add_item(9, payload=payload("as it stood"))
    world.advance(HOUR)
    world.check()
    assert world.db.synced_rows == 29


def test_an_update_of_a_row_that_waits_in_a_batch_doesnt_send_it_twice(world: World) -> None:
    world.db.add_rows(1)
    world.advance(1)
    world.db.add_rows(2)  # found in 10 s, sent in 30 s: it may be found again at 20 s
    world.db.add_item(2, operation="UPDATE")
    world.advance(HOUR)
    world.check()


def test_a_flush_says_how_many_rows_went(world: World) -> None:
    world.advance(1)
    world.db.add_rows(1, 2, 3)
    world.db.commands[7] = "waiting"
    world.process.owner.actor_ref.tell(Flush(7))
    world.process.run()
    assert world.db.results[7] == {"flushedCount": 3}
    world.check()


def test_a_stop_finishes_what_is_begun(world: World) -> None:
    world.db.add_rows(*range(20))
    world.process.pump()
    world.process.owner.actor_ref.tell(Stop())
    world.process.run()
    assert world.process.stopped
    assert world.db.lock_holder is None
    assert not {BatchState.BEGUN, BatchState.APPENDED} & set(world.db.states())
    world.start_process()
    world.advance(HOUR)
    world.check()


def test_nothing_arrives_in_a_pause_and_everything_after_it(world: World) -> None:
    world.db.add_rows(*range(20))
    world.process.pump()
    world.process.background.run_next()  # the stream is there
    world.process.pump()  # a batch is on its way
    world.db.paused = True
    world.tell_orders()
    world.process.run()
    assert world.db.state == "paused"
    arrived = len(world.bigquery.ids)
    assert 0 < arrived < 20
    assert not {BatchState.BEGUN, BatchState.APPENDED} & set(world.db.states())
    world.db.add_rows(*range(20, 30))
    world.advance(HOUR)
    world.start_process()
    world.advance(HOUR)
    assert len(world.bigquery.ids) == arrived
    world.db.paused = False
    world.tell_orders()
    world.advance(HOUR)
    world.check()


class Choking(MemoryDestination):
    """Fails on rows labelled "choke", or on all of them, and says neither why nor that it wrote nothing."""

    all_of_it = False

    def write(self, request: Request) -> AppendResult:
        if self.all_of_it or any(row["label"] == "choke" for row in request.rows):
            return Failure(ErrorClass.UNKNOWN, "something broke", definite=False)
        return super().write(request)


@pytest.fixture
def choking(world: World) -> World:
    world.bigquery = Choking()
    world.start_process()
    return world


@pytest.mark.parametrize("by_item", [False, True])
def test_a_row_that_bigquery_chokes_on_holds_up_no_other_and_fails_at_last(choking: World, by_item: bool) -> None:
    choking.db.add_rows(*range(1, 8))
    choking.db.add_rows(1, label="choke")
    item = choking.db.add_item(1) if by_item else None
    choking.advance(HOUR)
    assert choking.db.flags == set(range(2, 8))
    for key in range(8, 40):
        choking.db.add_rows(key)
        choking.advance(HOUR / 4)
    assert choking.db.flags == set(range(2, 40))
    (failed,) = [found for found in choking.db.items.values() if found.status is ItemStatus.FAILED]
    assert (failed.record_id, failed.last_error) == ("1", "others got through without it: something broke")
    if item is not None:
        choking.db.add_rows(1)
        choking.db.change_items([item], status=ItemStatus.PENDING, retry_count=0)  # an operator mends it, and retries
        choking.advance(HOUR / 4)
        choking.check()


def test_a_service_that_chokes_on_everything_for_a_day_fails_no_row(choking: World) -> None:
    assert isinstance(choking.bigquery, Choking)
    choking.bigquery.all_of_it = True
    choking.db.add_rows(*range(1, 50))
    choking.advance(HOUR)
    assert choking.db.state in ("waiting", "blocked")
    choking.advance(23 * HOUR)
    choking.bigquery.all_of_it = False
    choking.advance(HOUR)
    choking.check()


def living(chance: random.Random, world: World, insert_all: bool) -> Process:
    """A worker that goes on: maybe one that has lost the table and doesn't know it."""
    # What such a one still sends is what insert_all doesn't promise anything of.
    return world.process if insert_all else chance.choice(world.processes)


@pytest.mark.parametrize("insert_all", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_every_row_arrives_exactly_once_whatever_happens(seed: int, insert_all: bool) -> None:
    chance = random.Random(seed)
    world = World(chance, insert_all)
    append_faults = [*APPEND_FAULTS, Partly((0,))] if insert_all else APPEND_FAULTS
    key = 0
    for _ in range(60):
        match chance.randrange(11):
            case 0 | 1:
                key += 1
                world.db.add_rows(key, label=chance.choice(["some"] * 8 + ["refused", None]))
                for _ in range(chance.choice([0, 0, 1, 2])):
                    world.db.add_item(f"{'0' * chance.randrange(3)}{key}")
            case 2:
                if key:
                    world.db.add_item(chance.randint(1, key), operation=chance.choice(["INSERT", "UPDATE"]))
            case 3:
                world.bigquery.faults.append(chance.choice(append_faults))
            case 4:
                world.ledger.faults.append(chance.choice(LEDGER_FAULTS))
            case 5:
                world.bigquery.arrive()
            case 6:
                if chance.random() < 0.5:
                    world.start_process()
                living(chance, world, insert_all).run()
            case 7:
                living(chance, world, insert_all).pump()
            case 8:
                world.db.paused = chance.random() < 0.5
                world.tell_orders()
            case _:
                world.advance(chance.choice([0.5, 5, 30, 300]))
    world.bigquery.faults.clear()
    world.ledger.faults.clear()
    world.db.paused = False
    for _ in range(2):  # the first may come while it is still pausing
        world.tell_orders()
        world.advance(1)
    go_on = world.advance if insert_all else world.advance_all
    go_on(HOUR)
    world.bigquery.arrive()
    go_on(HOUR / 4)
    world.check()
