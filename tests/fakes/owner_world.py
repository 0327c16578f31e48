"""A TableOwner whose pipeline only listens, and whatever may befall it."""

from dataclasses import dataclass, field

from actors.messages import RetryDue
from actors.owned import Start
from actors.parts import Recipient
from actors.table_owner import TableOwner
from delivery.doubts import Doubts
from delivery.lease import Lease
from delivery.ledger import Batch, Lookups
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.inbox import Inbox, pump
from tests.fakes.ledger import MemoryLedger
from tests.fakes.measures import KeptMeasures


class Pipeline:
    """Actors that only listen."""

    def __init__(self, start: Start, upstream: Recipient) -> None:
        self.started_with = start
        self.upstream = upstream
        self.poller, self.batcher, self.writer, self.marker = Inbox(), Inbox(), Inbox(), Inbox()
        self.retention: Inbox | None = Inbox()
        self.finds = True
        self.runs = True

    def stop(self) -> None:
        self.finds = self.runs = False

    def stop_finding(self) -> None:
        self.finds = False


@dataclass
class Table:
    """What a TableOwner opens. `recoveries` are what the next ones raise."""

    recoveries: list[Exception | None] = field(default_factory=list)
    appended: tuple[Batch, ...] = ()
    lookups: Lookups = field(default_factory=Lookups)
    recovered: list[tuple[Lease, bool]] = field(default_factory=list)
    doubts: list[Doubts] = field(default_factory=list)  # as recovery was given them
    pipelines: list[Pipeline] = field(default_factory=list)
    closed: int = 0

    def recover(self, lease: Lease, lookup_first: bool, doubts: Doubts) -> tuple[tuple[Batch, ...], Lookups]:
        self.recovered.append((lease, lookup_first))
        self.doubts.append(doubts)
        if self.recoveries and (error := self.recoveries.pop(0)) is not None:
            raise error
        return self.appended, self.lookups

    def start(self, start: Start, upstream: Recipient) -> Pipeline:
        self.pipelines.append(Pipeline(start, upstream))
        return self.pipelines[-1]

    def close(self) -> None:
        self.closed += 1


class World:
    """A TableOwner, and whatever may befall it."""

    def __init__(self, lookup_first: bool = False) -> None:
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        self.scheduler = FakeScheduler(self.db.clock)
        self.table = Table()
        self.opening: Exception | None = None
        self.taking: Exception | None = None
        self.lock_is_free = True
        self.locked = False
        self.given_up: list[str] = []
        self.has_stopped = False
        self.measures = KeptMeasures()
        self.owner = TableOwner(
            "logs",
            self,
            self.ledger.grant,
            self.ledger,
            self._open,
            self.scheduler,
            self.db.clock,
            self.given_up.append,
            self._stopped,
            lookup_first,
            measures=self.measures,
        )

    # as its locks

    def take(self, table: str) -> int | None:
        if self.taking is not None:
            raise self.taking
        self.locked = self.lock_is_free
        return 1 if self.locked else None

    def release(self, table: str) -> None:
        self.locked = False

    def _open(self) -> Table:
        if self.opening is not None:
            raise self.opening
        return self.table

    def _stopped(self) -> None:
        self.has_stopped = True

    # what tests do

    def tell(self, message: object) -> None:
        self.owner.on_receive(message)
        pump(self.owner)

    def start(self) -> "World":
        self.tell(RetryDue(0))
        return self

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.owner))

    def from_pipeline(self, message: object, pipeline: Pipeline | None = None) -> None:
        (pipeline or self.pipeline).upstream.tell(message)
        pump(self.owner)

    @property
    def pipeline(self) -> Pipeline:
        """The one that runs."""
        (running,) = [pipeline for pipeline in self.table.pipelines if pipeline.runs]
        return running

    @property
    def runs(self) -> bool:
        return any(pipeline.runs for pipeline in self.table.pipelines)
