"""A worker process for one table, without threads: TableOwner and pipeline, over database and BigQuery in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pykka

from actors.batcher import Batcher
from actors.bq_writer import BqWriter, WriterLimits
from actors.messages import BatchAppended, RetryDue, Tick
from actors.owned import Start
from actors.parts import Recipient
from actors.poller import Poller
from actors.room import Room
from actors.sync_marker import SyncMarker
from actors.table_owner import TableOwner
from delivery.backoff import Backoff
from delivery.destination import Destination
from delivery.doubts import Doubts
from delivery.lease import Lease
from delivery.ledger import Batch, Lookups, OrphanItem
from delivery.pace import Pace
from delivery.recovery import Adopted, Recovery
from delivery.settle import RowRef
from mapping.compile import TableMapping
from tests.fakes.background import HeldBackground
from tests.fakes.clock import FakeScheduler
from tests.fakes.inbox import pump
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import sample_mapping, sent_rows
from tests.fakes.source import MemorySource

BATCH_SIZE = 4
INTERVAL = 30.0
POLL_SECONDS = 10.0
SETTLE_SECONDS = 600.0
LOOKUP_SETTLE_SECONDS = 150.0


@dataclass(frozen=True)
class MemoryPipeline:
    """The actors of one table, constructed and not started."""

    process: "Process"
    poller: Recipient
    batcher: Recipient
    writer: Recipient
    marker: Recipient
    finding: tuple[pykka.ThreadingActor, ...]
    retention: Recipient | None = None

    def stop(self) -> None:
        self.process.pipeline = ()
        self.process.background.close()

    def stop_finding(self) -> None:
        self.process.pipeline = tuple(actor for actor in self.process.pipeline if actor not in self.finding)


class Process:
    """Runs when it is pumped, and takes the lock when it is free. Its connection's id tells it from others.

    `chance` decides the jitter of all delays. A process that is killed is simply no longer pumped. It fits
    `table_owner.Table` and `table_owner.Locks`.
    """

    def __init__(
        self,
        connection_id: int,
        ledger: MemoryLedger,
        destination: Destination,
        scheduler: FakeScheduler,
        chance: Random,
        batch_size: int = BATCH_SIZE,
        mapping: TableMapping | None = None,
        lookup_first: bool = False,
    ) -> None:
        self.background = HeldBackground()
        self.pipeline: tuple[pykka.ThreadingActor, ...] = ()
        self.given_up: list[str] = []
        self.stopped = False
        self._connection_id = connection_id
        self._ledger = ledger
        self._destination = destination
        self._scheduler = scheduler
        self._clock = ledger.database.clock
        self._chance = chance
        self._batch_size = batch_size
        self._mapping = mapping or sample_mapping()
        self.owner = TableOwner(
            "logs",
            self,
            ledger.grant,
            ledger,
            lambda: self,
            scheduler,
            self._clock,
            self.given_up.append,
            self._has_stopped,
            lookup_first,
            backoff=self._backoff(),
            database_backoff=self._database_backoff(),
        )
        self.owner.actor_ref.tell(RetryDue(0))

    def pump(self) -> None:
        """Let all actors handle what they were told."""
        while pump(self.owner, *self.pipeline):
            pass

    def run(self) -> None:
        """Go on until there is nothing to do but wait: for time, or for an answer that doesn't come."""
        self.pump()
        while self.background.calls:
            self.background.run_next()
            self.pump()

    # table_owner.Locks

    def take(self, table: str) -> int | None:
        free = self._ledger.database.lock_holder in (None, self._connection_id)
        return self._connection_id if free else None

    def release(self, table: str) -> None:
        if self._ledger.database.lock_holder == self._connection_id:
            self._ledger.database.lock_holder = None

    # table_owner.Table

    def recover(self, lease: Lease, lookup_first: bool, doubts: Doubts) -> tuple[tuple[Batch, ...], Lookups]:
        if lookup_first:
            with self._ledger.transaction(lease) as tx:
                tx.begin_lookups()  # before: of such a ledger recovery believes no counts
        appended = Recovery(
            lease,
            self._ledger,
            self._destination,
            self._read_orphans,
            doubts,
            SETTLE_SECONDS,
            LOOKUP_SETTLE_SECONDS,
        ).run()
        with self._ledger.transaction(lease) as tx:
            return appended, tx.lookups()

    def start(self, start: Start, upstream: Recipient) -> MemoryPipeline:
        marker = SyncMarker(upstream, self._ledger, start.lease, self._scheduler, self._database_backoff())
        writer = BqWriter(
            upstream,
            marker.actor_ref,
            self._ledger,
            start.lease,
            self._destination,
            self.background,
            self._scheduler,
            self._clock,
            WriterLimits(),
            self._backoff(),
            self._database_backoff(),
        )
        batcher = Batcher(
            upstream,
            writer.actor_ref,
            marker.actor_ref,
            self._mapping,
            self._scheduler,
            self._clock,
            Pace.start(self._batch_size if start.next_rows is None else start.next_rows, 100, 10**6),
            self._batch_size,
            INTERVAL,
            table="logs",
        )
        poller = Poller(
            upstream,
            batcher.actor_ref,
            marker.actor_ref,
            self._source(),
            Room(100, 10**9, start.in_flight, start.aside),
            self._scheduler,
            self._clock,
            POLL_SECONDS,
            start.lookups,
            backoff=self._database_backoff(),
            table="logs",
        )
        for batch in start.appended:
            marker.actor_ref.tell(BatchAppended(batch.id, tuple(RowRef(key) for key in batch.rows.keys)))
        poller.actor_ref.tell(Tick())
        self.pipeline = (poller, batcher, writer, marker)
        refs = poller.actor_ref, batcher.actor_ref, writer.actor_ref, marker.actor_ref
        return MemoryPipeline(self, *refs, (poller, batcher))

    def close(self) -> None:
        pass

    def _read_orphans(self, orphans: Sequence[OrphanItem]) -> Adopted:
        return Adopted(sent_rows(*(int(o.record_id) for o in orphans)), tuple(o.id for o in orphans))

    def _source(self) -> MemorySource:
        return MemorySource(self._ledger.database, by_columns_from=2)

    def _backoff(self) -> Backoff:
        return Backoff(random=self._chance)

    def _database_backoff(self) -> Backoff:
        return replace(Backoff.for_database(), random=self._chance)

    def _has_stopped(self) -> None:
        self.stopped = True
