"""One table as its owner works with it: opened anew each time, recovered, and then carried by a pipeline of actors."""

from dataclasses import dataclass, field

from actors.background import BackgroundThread
from actors.batcher import Batcher
from actors.bq_writer import BqWriter, WriterLimits
from actors.measures import Measures, NotMeasured
from actors.messages import BatchAppended, ChildFailed, Tick
from actors.owned import Start
from actors.parts import Clock, Link, Recipient, Scheduler
from actors.poller import Poller
from actors.retention_actor import RetentionActor
from actors.room import Room
from actors.sync_marker import SyncMarker
from config.settings import Settings, TableSettings
from delivery.destination import Destination
from delivery.doubts import Doubts
from delivery.housekeeping import Housekeeping
from delivery.lease import Lease
from delivery.ledger import Batch, Ledger, Lookups
from delivery.pace import Pace
from delivery.recovery import Recovery
from delivery.schedule import Daily
from delivery.settle import RowRef
from delivery.source import Source
from delivery.throttle import Throttle
from mapping.compile import TableMapping
from mapping.orphans import Orphans

ROOM_BATCHES = 3  # that may be in flight when full: one is read, one is sent, one is marked
SLOWEST_POLL_SECONDS = 10.0
FASTEST_POLL_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class OpenedTable:
    """Everything that recovery and a pipeline of one table work with; fits `owned.Table`."""

    settings: Settings
    table: TableSettings
    mapping: TableMapping
    ledger: Ledger
    source: Source
    destination: Destination
    limits: WriterLimits
    always_look_up: bool  # the database may forget commits that it has answered
    scheduler: Scheduler
    clock: Clock
    measures: Measures = field(default_factory=NotMeasured)
    housekeeping: Housekeeping | None = None  # without it nothing is deleted
    schedule: Daily | None = None  # of the housekeeping
    throttle: Throttle = field(default_factory=Throttle.none)

    def recover(self, lease: Lease, lookup_first: bool, doubts: Doubts) -> tuple[tuple[Batch, ...], Lookups]:
        """See `delivery.recovery`."""
        recovery = Recovery(
            lease,
            self.ledger,
            self.destination,
            Orphans(self.source, self.mapping).read,
            doubts,
            self.settings.stream_settle_seconds,
            self.settings.lookup_settle_seconds,
            lambda state, rows: self.measures.batch_ended(state, rows, 0),
        )
        if lookup_first or self.always_look_up:
            with self.ledger.transaction(lease) as tx:
                tx.begin_lookups()  # before: of such a ledger recovery believes no counts
        appended = recovery.run()
        with self.ledger.transaction(lease) as tx:
            return appended, tx.lookups()

    def start(self, start: Start, upstream: Recipient) -> "Pipeline":
        """Start the actors, from the end of the pipeline backwards, each with the ref of the next."""
        lease = start.lease
        background = _thread(f"bigquery-{lease.table}", upstream)
        marker = Link(
            SyncMarker.start(
                upstream, self.ledger, lease, self.scheduler, measures=self.measures, throttle=self.throttle
            )
        )
        writer = Link(
            BqWriter.start(
                upstream,
                marker,
                self.ledger,
                lease,
                self.destination,
                background,
                self.scheduler,
                self.clock,
                self.limits,
                measures=self.measures,
            )
        )
        batcher = Link(
            Batcher.start(
                upstream,
                writer,
                marker,
                self.mapping,
                self.scheduler,
                self.clock,
                self._pace(start.next_rows),
                self.settings.batch_size,
                self.settings.interval_seconds,
                table=lease.table,
            )
        )
        poller = Link(
            Poller.start(
                upstream,
                batcher,
                marker,
                self.source,
                Room(
                    ROOM_BATCHES * self.settings.most_rows,
                    ROOM_BATCHES * self.settings.max_batch_bytes,
                    start.in_flight,
                    start.aside,
                ),
                self.scheduler,
                self.clock,
                min(SLOWEST_POLL_SECONDS, max(FASTEST_POLL_SECONDS, self.settings.interval_seconds / 3)),
                start.lookups,
                self.table.settle_seconds,
                self.table.synced_flag is not None,
                throttle=self.throttle,
                table=lease.table,
            )
        )
        for actor, link in {"Poller": poller, "Batcher": batcher, "BqWriter": writer, "SyncMarker": marker}.items():
            self.measures.watch_mailbox(actor, link.waiting)
        for batch in start.appended:
            marker.tell(BatchAppended(batch.id, tuple(RowRef(key) for key in batch.rows.keys)))
        poller.tell(Tick())
        retention = self._start_retention(lease, upstream)
        if retention is not None:
            self.measures.watch_mailbox("RetentionActor", retention.waiting)
        return Pipeline(poller, batcher, writer, marker, background, retention)

    def _start_retention(self, lease: Lease, upstream: Recipient) -> Link | None:
        if self.housekeeping is None:
            return None
        retention = Link(
            RetentionActor.start(
                upstream,
                lease,
                self.housekeeping,
                self.schedule,
                # A thread of its own: a look-up may take long, and appends mustn't wait for it.
                lambda: _thread(f"retention-{lease.table}", upstream),
                self.scheduler,
                self.clock,
                self.measures,
            )
        )
        retention.tell(Tick())
        return retention

    def close(self) -> None:
        self.destination.close()

    def _pace(self, next_rows: int | None) -> Pace:
        first = self.settings.batch_size if next_rows is None else next_rows
        return Pace.start(first, self.settings.most_rows, self.settings.max_batch_bytes)


def _thread(name: str, upstream: Recipient) -> BackgroundThread:
    return BackgroundThread(name, lambda error: upstream.tell(ChildFailed("BackgroundThread", error)))


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The running actors of one table."""

    poller: Link
    batcher: Link
    writer: Link
    marker: Link
    background: BackgroundThread
    retention: Link | None = None  # without it nothing is deleted

    def stop(self) -> None:
        self.stop_finding()
        self.writer.stop()
        self.marker.stop()
        self.background.close()

    def stop_finding(self) -> None:
        self.poller.stop()
        self.batcher.stop()
        if self.retention is not None:
            self.retention.stop()
