"""A worker that passes a point before and after each thing it does, where anything may befall it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, cast

from delivery.destination import AppendResult, FinalizeResult
from delivery.errors import DestinationError, Failure, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.rows import Encoded, SentRows
from delivery.source import SourceError
from mapping.compile import TableMapping
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import Delayed, MemoryDestination
from tests.fakes.inbox import pump_one
from tests.fakes.ledger import MemoryLedger, MemoryTransaction
from tests.fakes.process import Process
from tests.fakes.source import MemorySource

COMMIT = "at COMMIT"  # the one point at which a transaction is open


class Killed(BaseException):
    """The process is dead. Nothing of it catches this."""


@dataclass
class Points:
    """The points that a worker has passed, by name, and what befalls it at those to come.

    `events`: by the point's number; `on`: at the next point of that name, once.
    """

    passed: list[str] = field(default_factory=list)
    events: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    on: dict[str, Callable[[], object]] = field(default_factory=dict)

    def passing(self, name: str) -> None:
        event = self.events.get(len(self.passed)) or self.on.pop(name, None)
        self.passed.append(name)
        if event is not None:
            event()


@dataclass
class Surroundings:
    """What works for all workers alike, and what doesn't.

    `bigquery_away`: what each call gets for an answer. `calls`, `statements`: when each was made, and what it was.
    `operation_fails`: asked about each operation of a transaction, by its name; says why.
    `commit_fails`: asked about each COMMIT, with what was before and is after; says whether it happened all the same.
    """

    bigquery_away: Failure | None = None
    database_away: bool = False
    calls: list[tuple[float, str]] = field(default_factory=list)
    statements: list[float] = field(default_factory=list)
    operation_fails: Callable[[str], str | None] = lambda _: None
    commit_fails: Callable[[MemoryDatabase, MemoryDatabase], bool | None] = lambda before, after: None


class SteppedLedger(MemoryLedger):
    """Its transactions are rolled back by the server when their worker loses the lease in the middle: it was frozen."""

    def __init__(self, database: MemoryDatabase, points: Points, surroundings: Surroundings) -> None:
        super().__init__(database)
        self._points = points
        self._around = surroundings

    def demand_database(self) -> None:
        self._around.statements.append(self.database.clock.now)
        if self._around.database_away:
            raise LedgerError("the database can't be reached", outcome_unknown=False)

    def grant(self, lease: Lease) -> None:
        self.demand_database()
        self._points.passing("before the lease is taken")
        if self.database.lock_holder != lease.connection_id:
            raise LeaseLost("the lock was freed meanwhile")
        super().grant(lease)
        self._points.passing("after the lease is taken")

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator[MemoryTransaction]:
        self._points.passing("before a transaction")
        self.demand_database()
        with super().transaction(lease) as tx:
            yield cast(MemoryTransaction, _Operations(tx, self._around.operation_fails))
            self._points.passing(COMMIT)
            if (self.database.token, self.database.lock_holder) != (lease.token, lease.connection_id):
                raise LedgerError("the server has ended our connection", outcome_unknown=True)
            happened = self._around.commit_fails(self.database, tx.database)
            if happened is False:
                raise LedgerError("the connection was lost at COMMIT", outcome_unknown=True)
        if happened:
            raise LedgerError("the connection was lost after COMMIT", outcome_unknown=True)
        self._points.passing("after COMMIT")


class _Operations:
    """A transaction whose operations may fail."""

    def __init__(self, tx: MemoryTransaction, fails: Callable[[str], str | None]) -> None:
        self._tx = tx
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        if name != "database" and (reason := self._fails(name)):
            raise LedgerError(reason, outcome_unknown=False)
        return getattr(self._tx, name)


class SteppedDestination:
    """One worker's way to BigQuery. `leaves_under_way`: a worker that dies before it sends has sent, a moment ago."""

    def __init__(self, bigquery: MemoryDestination, clock: Callable[[], float], points: Points, around: Surroundings):
        self._bigquery = bigquery
        self._clock = clock
        self._points = points
        self._around = around
        self.leaves_under_way = False

    def open(self) -> str | None:
        self._passing("before a stream is made")
        if failure := self._away("open"):
            raise DestinationError(failure)
        name = self._bigquery.open()
        self._points.passing("after a stream was made")
        return name

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        try:
            self._passing("before an append")
        except Killed:
            if self.leaves_under_way:
                self._bigquery.faults.appendleft(Delayed())
                self._bigquery.send(stream, offset, rows)
            raise
        if failure := self._away("send"):
            return failure
        result = self._bigquery.send(stream, offset, rows)
        self._points.passing("after an append")
        return result

    def finalize(self, stream: str) -> FinalizeResult:
        self._passing("before a stream is finalized")
        if failure := self._away("finalize"):
            return failure
        answer = self._bigquery.finalize(stream)
        self._points.passing("after a stream was finalized")
        return answer

    def look_up(self, rows: SentRows) -> frozenset[int]:
        self._passing("before a look-up")
        if failure := self._away("look_up"):
            raise DestinationError(failure)
        return self._bigquery.look_up(rows)

    def close(self) -> None:
        pass

    def _passing(self, point: str) -> None:
        self._points.passing(point)

    def _away(self, verb: str) -> Failure | None:
        self._around.calls.append((self._clock(), verb))
        return self._around.bigquery_away


class SteppedSource(MemorySource):
    """Reads that other transactions may commit in between of."""

    def __init__(self, ledger: SteppedLedger, points: Points) -> None:
        super().__init__(ledger.database, by_columns_from=2)
        self._ledger = ledger
        self._points = points

    def _answer(self) -> None:
        self._points.passing("before a read")
        try:
            self._ledger.demand_database()
        except LedgerError as error:
            raise SourceError(str(error)) from error
        super()._answer()


class Worker(Process):
    """See `tests.fakes.process.Process`."""

    def __init__(
        self,
        connection_id: int,
        database: MemoryDatabase,
        bigquery: MemoryDestination,
        surroundings: Surroundings,
        scheduler: FakeScheduler,
        batch_size: int,
        mapping: TableMapping,
        lookup_first: bool,
    ) -> None:
        self.points = Points()
        self.ledger = SteppedLedger(database, self.points, surroundings)
        self.destination = SteppedDestination(bigquery, database.clock.monotonic, self.points, surroundings)
        super().__init__(
            connection_id,
            self.ledger,
            self.destination,
            scheduler,
            Random(connection_id),
            batch_size,
            mapping,
            lookup_first,
        )

    def step(self) -> bool:
        """Handle one message, or make one call in the background; False where there is neither."""
        if pump_one(self.owner, *self.pipeline):
            return True
        if self.background.calls:
            self.background.run_next()
            return True
        return False

    def take(self, table: str) -> int | None:
        self.ledger.demand_database()
        taken = super().take(table)
        if taken is not None:
            self.ledger.database.lock_holder = taken
        return taken

    def _source(self) -> SteppedSource:
        return SteppedSource(self.ledger, self.points)
