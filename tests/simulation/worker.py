"""A simulated worker process: the real actors of each table, on threads that can be stopped anywhere."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from random import Random
from typing import Any

from actors.batcher import Batcher
from actors.bq_writer import BqWriter, WriterLimits
from actors.measures import NotMeasured
from actors.messages import BatchAppended, LeaseGone, RetryDue, Tick
from actors.owned import Start
from actors.parts import Recipient
from actors.poller import Poller
from actors.room import Room
from actors.sync_marker import SyncMarker
from actors.table import OpenedTable
from actors.table_owner import TableOwner
from config.settings import Settings
from database.durability import Durability
from delivery.backoff import Backoff
from delivery.errors import LedgerError
from delivery.pace import Pace
from delivery.settle import RowRef
from delivery.uplink import Uplink
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.ledger import Fault
from tests.fakes.mapping import SETTINGS as TABLE_SETTINGS
from tests.fakes.throttle import EveryOther
from tests.simulation.bigquery import Port, SimBigQuery
from tests.simulation.database import SimDatabase, SimLedger, SimSource
from tests.simulation.mapping import SimMapping
from tests.simulation.threads import FOREVER, ActorThread, CallsThread, Thread, Threads
from tests.simulation.violation import Violation

BATCH_ROWS = 2
MOST_ROWS = 4
IN_FLIGHT = 7
INTERVAL = 20.0
POLL_SECONDS = 10.0
SETTLE_SECONDS = 60.0
BYTES_PER_SECOND = 1000.0  # of the line; a row has 100

SETTINGS = Settings.model_construct(stream_settle_seconds=SETTLE_SECONDS, lookup_settle_seconds=SETTLE_SECONDS)
MAPPING: Any = SimMapping()


@dataclass
class SimSite:
    """What one table has outside of all workers."""

    name: str
    database: SimDatabase
    bigquery: SimBigQuery
    durability: Durability
    ledger_faults: deque[Fault] = field(default_factory=deque)
    source_faults: deque[bool] = field(default_factory=deque)


class Dying(NotMeasured):
    """An actor's death by an unforeseen error would be survived, and so hidden."""

    def pipeline_failed(self, actor: str) -> None:
        raise Violation(f"{actor} failed")


class SimWorker:
    """One process. It goes on only while it is `run`; killed is whoever isn't run any more."""

    def __init__(
        self,
        name: str,
        sites: tuple[SimSite, ...],
        connections: Callable[[], int],
        clock: FakeClock,
        *,
        lookup_first: bool = False,
    ) -> None:
        self.name = name
        self.threads = Threads()
        self.scheduler = FakeScheduler(clock)  # what is due while the process is frozen it delivers when it wakes
        self.connection: int | None = None  # that holds the locks, as far as this process knows
        self.connection_is_gone = False  # the server has ended it; nobody here has noticed
        self.has_stopped = False
        self._connections = connections
        self.uplink = Uplink(BYTES_PER_SECOND)  # which all tables share
        self.tables = [SimTable(self, site, clock, lookup_first) for site in sites]

    def run(self, budget: int = FOREVER, first: str | None = None, held: str | None = None) -> None:
        self.scheduler.advance(0.0)
        self.threads.run(budget, first, held)

    def tell_owners(self, message: object) -> None:
        for table in self.tables:
            table.owner.actor_ref.tell(message)

    def notice(self) -> None:
        """The thread that pings the connection of the locks finds that it is gone."""
        if self.connection_is_gone:
            lost, self.connection, self.connection_is_gone = self.connection, None, False
            self.tell_owners(LeaseGone("the connection that holds the locks is gone", lost))

    def connected(self) -> int:
        """The connection of the locks, made if there is none.

        Raises:
            LedgerError: it was gone.
        """
        if self.connection_is_gone:
            self.notice()
            raise LedgerError("the connection that holds the locks is gone", outcome_unknown=True)
        if self.connection is None:
            self.connection = self._connections()
        return self.connection

    def stopped(self) -> None:
        self.has_stopped = True


class SimTable:
    """One table of one process; fits `owned.Locks` and `owned.Table`."""

    def __init__(self, worker: SimWorker, site: SimSite, clock: FakeClock, lookup_first: bool) -> None:
        self._worker = worker
        self._site = site
        self._clock = clock
        self._scheduler = worker.scheduler
        self._marker: SyncMarker | None = None  # of the pipeline that was started last
        effect = worker.threads.side_effect
        self._effect = effect
        self._ledger = SimLedger(site.database, effect, site.ledger_faults)
        self._source = SimSource(site.database, effect, site.source_faults)
        self._destination = self._port()
        self.owner = TableOwner(
            site.name,
            self,
            self._ledger.grant,
            self._ledger,
            self._open,
            worker.scheduler,
            clock,
            _give_up,
            worker.stopped,
            lookup_first,
            backoff=_backoff(),
            database_backoff=_backoff(),
            measures=Dying(),
        )
        self._opened = OpenedTable(
            SETTINGS,
            TABLE_SETTINGS,
            MAPPING,
            self._ledger,
            self._source,
            self._destination,
            WriterLimits(site.durability.new_stream_seconds, worker.uplink),
            site.durability.may_undo_commits,
            worker.scheduler,
            clock,
        )
        worker.threads.add("owner", ActorThread(self.owner))
        self.owner.actor_ref.tell(RetryDue(0))

    def _port(self) -> Port:
        return Port(self._site.bigquery, self._effect, self._owns)

    def _owns(self) -> bool:
        lease = self.owner._tenure.lease
        return lease is not None and lease.token == self._site.database.token

    def _open(self) -> "SimTable":
        self._destination = self._port()
        self._opened = replace(self._opened, destination=self._destination)
        return self

    @property
    def is_writing_down(self) -> bool:
        """Whether what became of rows may be in the database without the process knowing it."""
        return self._marker is not None and bool(self._marker._work)

    # owned.Locks

    def take(self, table: str) -> int | None:
        self._effect()
        connection = self._worker.connected()
        db = self._site.database
        if db.lock_holder is None:
            db.lock_holder = connection
        return connection if db.lock_holder == connection else None

    def release(self, table: str) -> None:
        self._effect()
        if self._site.database.lock_holder == self._worker.connection:
            self._site.database.lock_holder = None

    # owned.Table

    def recover(self, *args: Any) -> Any:
        return self._opened.recover(*args)

    def close(self) -> None:
        self._destination.close()

    def start(self, start: Start, upstream: Recipient) -> "SimPipeline":
        """As `actors.table` does, on simulated threads."""
        lease, clock, scheduler = start.lease, self._clock, self._scheduler
        calls = CallsThread()
        marker = self._marker = SyncMarker(upstream, self._ledger, lease, scheduler, _backoff(), throttle=EveryOther())
        writer = BqWriter(
            upstream,
            marker.actor_ref,
            self._ledger,
            lease,
            self._destination,
            calls,
            scheduler,
            clock,
            self._opened.limits,
            _backoff(),
            _backoff(),
        )
        batcher = Batcher(
            upstream,
            writer.actor_ref,
            marker.actor_ref,
            MAPPING,
            scheduler,
            clock,
            Pace.start(BATCH_ROWS if start.next_rows is None else start.next_rows, MOST_ROWS, 10**6),
            BATCH_ROWS,
            INTERVAL,
            table=lease.table,
        )
        poller = Poller(
            upstream,
            batcher.actor_ref,
            marker.actor_ref,
            self._source,
            Room(IN_FLIGHT, 10**9, start.in_flight, start.aside),
            scheduler,
            clock,
            POLL_SECONDS,
            start.lookups,
            backoff=_backoff(),
            throttle=EveryOther(),
            table=lease.table,
        )
        for batch in start.appended:
            marker.actor_ref.tell(BatchAppended(batch.id, tuple(RowRef(key) for key in batch.rows.keys)))
        poller.actor_ref.tell(Tick())
        return SimPipeline(self._worker.threads, poller, batcher, writer, marker, calls)


class SimPipeline:
    """The actors of one table, each on its thread; fits `owned.Pipeline`."""

    retention = None

    def __init__(
        self,
        threads: Threads,
        poller: Poller,
        batcher: Batcher,
        writer: BqWriter,
        marker: SyncMarker,
        calls: CallsThread,
    ) -> None:
        self.poller, self.batcher = poller.actor_ref, batcher.actor_ref
        self.writer, self.marker = writer.actor_ref, marker.actor_ref
        self._calls = calls
        self._finding = ActorThread(poller), ActorThread(batcher)
        self._working = ActorThread(writer), ActorThread(marker)
        threads.forget_ended()
        all_threads: tuple[Thread, ...] = (*self._finding, *self._working, calls)
        for role, thread in zip(("poller", "batcher", "writer", "marker", "calls"), all_threads, strict=True):
            threads.add(role, thread)

    def stop(self) -> None:
        self.stop_finding()
        for thread in self._working:
            thread.stop()
        self._calls.close()

    def stop_finding(self) -> None:
        for thread in self._finding:
            thread.stop()


class _Longest(Random):
    """Jitter that always makes the whole of a delay: the same decisions have to make the same history."""

    def uniform(self, a: float, b: float) -> float:
        return b


_backoff = partial(Backoff, random=_Longest())


def _give_up(reason: str) -> None:
    raise Violation(f"gave up: {reason}")
