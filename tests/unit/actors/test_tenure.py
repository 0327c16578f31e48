"""Whose a table is, and whether a backup was restored while it was ours."""

import pytest

from actors.tenure import Tenure
from delivery.errors import LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import sent_rows


class Locks:
    """The lock is ours, all the time."""

    def take(self, table: str) -> int | None:
        return 1

    def release(self, table: str) -> None: ...


class World:
    """A tenure, and a database that may not answer what it has done."""

    def __init__(self) -> None:
        self.db = MemoryDatabase()
        self.ledger = MemoryLedger(self.db)
        self.answers = True
        self.tenure = Tenure("logs", Locks(), self._grant, self.ledger, lookup_first=False)

    def _grant(self, lease: Lease) -> None:
        self.ledger.grant(lease)
        if not self.answers:
            raise LedgerError("the connection was lost after COMMIT", outcome_unknown=True)

    def take_unheard(self) -> None:
        self.answers = False
        with pytest.raises(LedgerError):
            self.tenure.take()
        self.answers = True


def test_a_lease_that_was_granted_but_not_answered_is_ours_too() -> None:
    world = World()
    world.tenure.take()
    world.take_unheard()
    world.take_unheard()
    assert world.tenure.take() is not None
    assert not world.tenure.lookup_first


def test_a_backup_that_is_restored_after_such_a_lease_is_noticed() -> None:
    world = World()
    world.tenure.take()
    world.take_unheard()
    world.db.token = "an older one"
    world.tenure.take()
    assert world.tenure.lookup_first


def test_a_backup_that_is_restored_before_such_a_lease_is_noticed() -> None:
    world = World()
    world.tenure.take()
    world.db.token = "an older one"
    world.take_unheard()
    assert world.tenure.lookup_first
    world.tenure.take()
    assert world.tenure.lookup_first


def test_a_ledger_that_has_forgotten_what_was_completed_last_went_back_in_time() -> None:
    """The backup is so young that it has our own lease; it was restored while the table was paused, say."""
    world = World()
    lease = world.tenure.take()
    assert lease is not None
    dump = world.db.copy()
    with world.ledger.transaction(lease) as tx:
        batch = tx.add_batch(BatchState.COMPLETED, None, None, sent_rows(1))
    world.tenure.completed(batch)
    world.tenure.take()
    assert not world.tenure.lookup_first
    world.db.batches = dump.batches
    world.tenure.take()
    assert world.tenure.lookup_first
