"""A BqWriter between stand-ins, and whatever may befall it."""

from dataclasses import replace
from random import Random

from actors.bq_writer import BqWriter, WriterLimits
from actors.messages import BatchAppended, BatchReady, RowsSettled
from delivery.backoff import Backoff
from delivery.errors import ErrorClass, Failure
from delivery.lease import Lease
from delivery.ledger import BatchState
from delivery.rows import Key
from delivery.settle import RowRef
from tests.fakes.background import HeldBackground, InlineBackground
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import MemoryDestination, Row
from tests.fakes.inbox import Inbox, pump
from tests.fakes.insert_all import MemoryInsertAll
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import event_id, outgoing
from tests.fakes.measures import KeptMeasures

LEASE = Lease("logs", "token", 1)
LONG = 3600.0  # s: longer than any delay


def failure(error_class: ErrorClass, definite: bool = True) -> Failure:
    return Failure(error_class, "the reason", definite)


class World:
    """A BqWriter that holds the lease, between stand-ins."""

    def __init__(self, limits: WriterLimits | None = None, held: bool = False, insert_all: bool = False) -> None:
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        self.ledger.grant(LEASE)
        self.bad: dict[str, str] = {}  # event_id: why BigQuery refuses the row
        self.bigquery = (
            MemoryInsertAll(self.db.clock, self._refusal) if insert_all else MemoryDestination(self._refusal)
        )
        self.scheduler = FakeScheduler(self.db.clock)
        self.upstream, self.marker = Inbox(), Inbox()
        self.held = HeldBackground()
        self.measures = KeptMeasures()
        self.writer = BqWriter(
            self.upstream,
            self.marker,
            self.ledger,
            LEASE,
            self.bigquery,
            self.held if held else InlineBackground(),
            self.scheduler,
            self.db.clock,
            limits or WriterLimits(),
            Backoff(random=Random(0)),
            measures=self.measures,
        )

    def _refusal(self, row: Row) -> str | None:
        return self.bad.get(str(row["event_id"]))

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.writer.on_receive(message)
            pump(self.writer)

    def send(self, *rows: Key | tuple[Key, int], look_up: bool = False) -> None:
        self.tell(BatchReady(outgoing(*rows), look_up))

    def complete(self, batch: int) -> None:
        """Let the batch be completed, and heard of."""
        self.db.batches[batch] = replace(self.db.batches[batch], state=BatchState.COMPLETED)
        rows = tuple(RowRef(key) for key in self.db.batches[batch].rows.keys)
        self.tell(RowsSettled(rows, sent=len(rows), batch=batch))

    def advance(self, seconds: float = LONG) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.writer))

    def answer(self) -> None:
        """Let the call that is under way be answered."""
        self.held.run_next()
        pump(self.writer)

    def appended(self) -> list[tuple[Key | None, ...]]:
        """The keys of the batches that the marker got since."""
        return [tuple(ref.key for ref in message.rows) for message in self.marker.take(BatchAppended)]

    def holds(self, *keys: Key) -> bool:
        """Whether BigQuery has these rows, each once, and no others."""
        return sorted(map(str, self.bigquery.ids)) == sorted(map(event_id, keys))
