"""The simulated database: transactions that fail at any operation or at COMMIT, and a past that it can go back to."""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState
from tests.fakes.clock import FakeClock
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryTransaction
from tests.fakes.source import MemorySource

CONTAINERS = ("values", "flags", "history", "settling", "items", "batches", "streams", "commands", "asked", "results")


class SimDatabase(MemoryDatabase):
    """Knows every state that it ever was in. Whoever changes it does so by `changing`, never in place."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.past: list[tuple[float, SimDatabase]] = []  # with the times since when they hold

    def copy(self) -> "SimDatabase":
        copied = SimDatabase.__new__(SimDatabase)
        state = copied.__dict__
        state.update(self.__dict__)
        for name in CONTAINERS:
            state[name] = state[name].copy()
        return copied

    def become(self, other: MemoryDatabase) -> None:
        """Commit."""
        before = SimDatabase.__new__(SimDatabase)
        before.__dict__.update(self.__dict__)
        self.past.append((self.clock.now, before))
        self.__dict__.update(other.__dict__)

    @contextmanager
    def changing(self) -> "Iterator[SimDatabase]":
        """What a producer, or an operator, commits."""
        copy = self.copy()
        yield copy
        self.become(copy)

    def go_back(self, places: int) -> None:
        """To the state before so many commits. Locks are the server's, and no part of it."""
        state = self.past[-places][1].__dict__.copy()
        state.update(lock_holder=self.lock_holder, past=self.past[:-places], clock=self.clock)
        self.__dict__.update(state)


class SimLedger:
    """`delivery.ledger` for one process. `faults` are the world's, for the next transactions of whomever."""

    def __init__(self, database: SimDatabase, side_effect: Callable[[], None], faults: deque[Fault]) -> None:
        self._db = database
        self._side_effect = side_effect
        self._faults = faults

    def grant(self, lease: Lease) -> None:
        self._side_effect()
        fault = self._faults.popleft() if self._faults else None
        if self._db.lock_holder != lease.connection_id:
            raise LedgerError("the lock was lost before the lease was taken", outcome_unknown=False)
        if fault is None or fault == FailCommit(happened=True):
            with self._db.changing() as db:
                db.token = lease.token
        if fault is not None:
            raise LedgerError("the connection was lost", outcome_unknown=True)

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator[MemoryTransaction]:
        self._side_effect()
        fault = self._faults.popleft() if self._faults else None
        if fault == FailAt(0):
            raise LedgerError("the database can't be reached", outcome_unknown=False)
        demand(self._db, lease)
        copy = self._db.copy()
        yield SimTransaction(copy, fails_at=fault.operation if isinstance(fault, FailAt) else None)
        if fault == FailCommit(happened=False):
            raise LedgerError("the connection was lost at COMMIT", outcome_unknown=True)
        self._db.become(copy)
        if fault is not None and isinstance(fault, FailCommit):
            raise LedgerError("the connection was lost after COMMIT", outcome_unknown=True)


class SimTransaction(MemoryTransaction):
    """Where the database went back, an UPDATE may find nothing to change."""

    def set_state(self, batch_id: int, state: BatchState, *, was: BatchState) -> bool:
        return batch_id in self._db.batches and super().set_state(batch_id, state, was=was)

    def detach(self, batch_id: int) -> None:
        if batch_id in self._db.batches:
            super().detach(batch_id)

    def close_stream(self, stream_id: int, row_count: int | None) -> None:
        if stream_id in self._db.streams:
            super().close_stream(stream_id, row_count)

    def finish_command(self, command_id: int, result: Mapping[str, object]) -> None:
        if command_id in self._db.commands:
            super().finish_command(command_id, result)


def demand(db: MemoryDatabase, lease: Lease) -> None:
    """What `database.leases` asks in SQL at the beginning of each transaction: token, and the holder of the lock."""
    if (db.token, db.lock_holder) != (lease.token, lease.connection_id):
        raise LeaseLost("another worker has taken the table over, or the database has forgotten that it is ours")


class SimSource(MemorySource):
    """`delivery.source` for one process: each read is a side effect, and may fail."""

    def __init__(self, database: SimDatabase, side_effect: Callable[[], None], faults: deque[bool]) -> None:
        super().__init__(database, by_columns_from=2)
        self._side_effect = side_effect
        self.failures = faults

    def _answer(self) -> None:
        self._side_effect()
        super()._answer()
