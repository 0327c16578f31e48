"""The Monitor with everything around it in memory: locks, incidents, channels, BigQuery, and time."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest

from actors.messages import LeaseGone, Tick
from actors.monitor import GIVE_WAY_SECONDS, HEARTBEAT_SECONDS, LOOK_SECONDS, STANDBY_SECONDS, Monitor
from alerts.message import Message
from database.incidents import SITE, Incident
from database.status import Status
from database.table_status import TableStatus
from delivery.backoff import LONGEST_SECONDS
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost, LedgerError
from delivery.lease import Lease
from operations.health import Health, Kind, Level, Reason, Sight, unreachable
from tests.fakes.background import HeldBackground
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.inbox import pump

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
WELL = Sight(Health(), Status(START, {"logs": TableStatus("running", owner_alive=True)}))
FAILED = Sight(Health((Reason(Kind.FAILED, "11 rows failed"),)), WELL.status)
ORPHANED = Sight(
    Health((Reason(Kind.NO_WORKER, "no worker", ("logs",)),)), Status(START, {"logs": TableStatus("running")})
)
GONE = LedgerError("the database is gone", outcome_unknown=False)
TELLS = 120.0  # within which what is wrong is told


class Database:
    """The site's lock, its lease and its incidents, for all who have them in common."""

    def __init__(self) -> None:
        self.is_there = True
        self.holder: int | None = None
        self.token = ""
        self.incidents: dict[str, Incident] = {}

    def demand(self) -> None:
        if not self.is_there:
            raise GONE


class Process:
    """A Monitor, its connection to the database, and what its channels got."""

    def __init__(
        self, database: Database, clock: FakeClock, connection_id: int = 1, channels: int = 1, gives_way: bool = False
    ) -> None:
        self.database = database
        self.clock = clock
        self.connection_id = connection_id
        self.sight = WELL
        self.channels = [True] * channels  # which of them work
        self.got: list[tuple[int, Message]] = []
        self.beats: list[tuple[str, Sight]] = []
        self.bigquery_is_there = True
        self.hangs = False
        self.scheduler = FakeScheduler(clock)
        self.background = HeldBackground()
        self.monitor = Monitor(
            self,
            self,
            lambda: self.sight,
            self,
            self.scheduler,
            clock,
            lambda: START + timedelta(seconds=clock.now - 1000),
            self._thread,
            lambda name, error: pytest.fail(f"{name}: {error}"),
            heartbeat=self._beat,
            gives_way=gives_way,
        )
        self.monitor.actor_ref.tell(Tick())

    def run(self, seconds: float) -> list[Message]:
        """What the first channel got within that time."""
        before = len(self.got)
        self._work()
        self.scheduler.advance(seconds, self._work)
        return [message for place, message in self.got[before:] if place == 0]

    def _work(self) -> None:
        pump(self.monitor)
        while self.background.calls and not self.hangs:
            self.background.run_next()
            pump(self.monitor)

    def _thread(self, name: str, failed: Callable[[Exception], None]) -> HeldBackground:
        return self.background

    # owned.Locks

    def take(self, name: str) -> int | None:
        assert name == SITE
        self.database.demand()
        if self.database.holder in (None, self.connection_id):
            self.database.holder = self.connection_id
            return self.connection_id
        return None

    def release(self, name: str) -> None:
        self.database.holder = None

    def lose(self) -> None:
        """The connection that holds the lock breaks."""
        self.database.holder = None
        self.monitor.actor_ref.tell(LeaseGone("gone", self.connection_id))

    # monitor.Record

    def grant(self, lease: Lease) -> None:
        self.database.demand()
        self.database.token = lease.token

    def site_id(self) -> str:
        return "tokyo-3"

    def incidents(self) -> Sequence[Incident]:
        self.database.demand()
        return list(self.database.incidents.values())

    def keep(self, lease: Lease, changed: Collection[Incident], gone: Collection[str]) -> None:
        self.database.demand()
        if lease.token != self.database.token:
            raise LeaseLost("taken over")
        self.database.incidents |= {each.name: each for each in changed}
        for name in gone:
            self.database.incidents.pop(name, None)

    # monitor.Channels

    def __len__(self) -> int:
        return len(self.channels)

    def name(self, place: int) -> str:
        return f"channel {place}"

    def send(self, messages: Mapping[int, Message]) -> Mapping[int, str | None]:
        self.got += [(place, each) for place, each in messages.items() if self.channels[place]]
        return {place: None if self.channels[place] else "it is down" for place in messages}

    def _beat(self, site: str, sight: Sight, now: datetime) -> None:
        if not self.bigquery_is_there:
            raise DestinationError(Failure(ErrorClass.TRANSIENT, "no network", definite=False))
        self.beats.append((site, sight))


@pytest.fixture
def database() -> Database:
    return Database()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def process(database: Database, clock: FakeClock) -> Process:
    return Process(database, clock)


def test_told_once_and_once_when_it_is_over(process: Process) -> None:
    process.run(60)
    process.sight = FAILED
    (message,) = process.run(3600)
    assert (message.level, message.title) == (Level.UNHEALTHY, "bq-sync tokyo-3: unhealthy: 11 rows failed")
    assert process.database.incidents["failed"].told_at is not None
    process.sight = WELL
    (message,) = process.run(3600)
    assert message.level is Level.HEALTHY
    assert process.database.incidents == {}


def test_a_restart_repeats_nothing_and_forgets_nothing(process: Process, database: Database, clock: FakeClock) -> None:
    process.sight = FAILED
    assert len(process.run(TELLS)) == 1
    database.holder = None

    again = Process(database, clock)
    again.sight = FAILED
    assert again.run(3600) == []
    again.sight = WELL
    assert [message.level for message in again.run(3600)] == [Level.HEALTHY]


def test_a_channel_that_is_down_hears_of_it_later(process: Process) -> None:
    process.channels = [False]
    process.sight = FAILED
    assert process.run(3600) == []
    assert process.database.incidents["failed"].told_at is None
    process.channels = [True]
    (message,) = process.run(LONGEST_SECONDS + LOOK_SECONDS)
    assert message.level is Level.UNHEALTHY
    assert process.run(3600) == []


def test_a_channel_that_is_down_over_a_restart_hears_of_it_later(
    process: Process, database: Database, clock: FakeClock
) -> None:
    process.channels = [False]
    process.sight = FAILED
    process.run(TELLS)
    database.holder = None
    assert [message.level for message in Process(database, clock).run(LOOK_SECONDS)] == [Level.UNHEALTHY]


def test_one_channel_that_is_down_is_no_matter_of_the_others(database: Database, clock: FakeClock) -> None:
    process = Process(database, clock, channels=2)
    process.channels = [True, False]
    process.sight = FAILED
    assert len(process.run(3600)) == 1
    process.sight = WELL
    assert len(process.run(3600)) == 1
    process.channels = [True, True]
    assert process.run(3600) == []
    ((place, message),) = process.got[2:]
    assert (place, message.level) == (1, Level.HEALTHY)
    assert "it lasted" in message.body


def test_a_channel_that_hangs_keeps_nobody_from_looking(process: Process) -> None:
    process.hangs = True
    process.sight = FAILED
    process.run(TELLS)
    process.sight = WELL
    process.run(3600)
    assert process.database.incidents["failed"].cleared_at is not None
    process.hangs = False
    first, second = process.run(LOOK_SECONDS)
    assert (first.level, second.level) == (Level.UNHEALTHY, Level.HEALTHY)


def test_without_channels_the_incident_is_kept_as_long_as_it_lasts(database: Database, clock: FakeClock) -> None:
    process = Process(database, clock, channels=0)
    process.sight = FAILED
    process.run(TELLS)
    assert database.incidents.keys() == {"failed"}
    process.sight = WELL
    process.run(3600)
    assert database.incidents == {}


def test_a_database_that_is_gone_is_told_from_memory(process: Process, database: Database) -> None:
    process.run(60)
    database.is_there = False
    process.lose()
    process.sight = Sight(unreachable("the database can't be reached"))
    (message,) = process.run(3600)
    assert "the database can't be reached" in message.title
    database.is_there = True
    process.sight = WELL
    assert [message.level for message in process.run(3600)] == [Level.HEALTHY]
    assert database.incidents == {}


def test_who_told_that_the_database_is_gone_tells_that_it_is_back_even_if_another_looks_after_the_site_then(
    process: Process, database: Database
) -> None:
    process.run(60)
    database.is_there = False
    process.lose()
    process.sight = Sight(unreachable("the database can't be reached"))
    assert len(process.run(600)) == 1
    database.is_there, database.holder = True, 2
    assert [message.level for message in process.run(600)] == [Level.HEALTHY]


def test_who_stands_by_says_nothing_of_a_database_that_is_gone(process: Process, database: Database) -> None:
    database.holder = 2
    process.run(60)
    database.is_there = False
    process.sight = Sight(unreachable("the database can't be reached"))
    assert process.run(3600) == []


def test_who_stands_by_takes_over(process: Process, database: Database) -> None:
    database.holder = 2
    process.sight = FAILED
    assert process.run(3600) == []
    database.holder = None
    assert len(process.run(STANDBY_SECONDS + TELLS)) == 1


def test_who_was_taken_over_leaves_what_is_untold_to_the_other(process: Process, database: Database) -> None:
    process.channels = [False]
    process.sight = FAILED
    process.run(TELLS)
    process.lose()
    database.holder = 2
    process.run(LOOK_SECONDS)
    process.channels = [True]
    assert process.run(3600) == []


def test_who_was_taken_over_unawares_changes_nothing(process: Process, database: Database) -> None:
    process.run(60)
    database.token, database.holder = "another's", 2
    process.sight = FAILED
    process.run(TELLS)
    assert database.incidents == {}


def test_the_apis_monitor_tells_that_no_worker_runs_and_gives_way_to_one(
    process: Process, database: Database, clock: FakeClock
) -> None:
    api = Process(database, clock, connection_id=2, gives_way=True)
    api.sight = ORPHANED
    (message,) = api.run(TELLS)
    assert message.title.endswith("unhealthy: no worker")
    api.sight = WELL
    api.run(LOOK_SECONDS)
    assert database.holder is None
    process.run(STANDBY_SECONDS)
    assert database.holder == 1
    api.run(GIVE_WAY_SECONDS)
    assert [message.level for message in process.run(3600)] == [Level.HEALTHY]
    assert api.run(3600) == []


def test_an_error_that_nobody_foresaw_ends_nothing(process: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(process, "take", lambda name: 1 / 0)
        process.run(60)
    process.sight = FAILED
    assert len(process.run(TELLS)) == 1


def test_an_hourly_heartbeat(process: Process) -> None:
    process.run(3 * HEARTBEAT_SECONDS + 60)
    assert process.beats == [("tokyo-3", WELL)] * 4


def test_a_heartbeat_that_fails_is_tried_again(process: Process) -> None:
    process.bigquery_is_there = False
    process.run(600)
    process.bigquery_is_there = True
    process.run(LONGEST_SECONDS + LOOK_SECONDS)
    assert len(process.beats) == 1
    process.run(HEARTBEAT_SECONDS)
    assert len(process.beats) == 2


def test_a_site_without_its_database_still_has_a_heart(process: Process, database: Database) -> None:
    process.run(60)
    database.is_there = False
    process.lose()
    process.sight = Sight(unreachable("the database can't be reached"))
    process.run(HEARTBEAT_SECONDS)
    assert process.beats[-1] == ("tokyo-3", process.sight)


def test_who_stands_by_has_no_heartbeat(process: Process, database: Database) -> None:
    database.holder = 2
    process.run(600)
    assert process.beats == []
