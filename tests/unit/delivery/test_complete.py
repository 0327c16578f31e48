"""Completing a batch: short steps, each of which can be repeated."""

import pytest

from delivery.complete import CHUNK, steps
from delivery.errors import LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import FailAt, FailCommit, Fault, MemoryLedger
from tests.fakes.mapping import sent_rows

LEASE = Lease("logs", "token", 1)


def world(rows: int) -> tuple[MemoryDatabase, MemoryLedger, int, tuple[int, ...]]:
    """A begun batch of rows 1 to `rows`; the first has an item."""
    db = MemoryDatabase()
    ledger = MemoryLedger(db)
    ledger.grant(LEASE)
    keys = tuple(range(1, rows + 1))
    db.add_rows(*keys, 9999)
    with ledger.transaction(LEASE) as tx:
        batch = tx.add_batch(BatchState.BEGUN, None, None, sent_rows(*keys))
    db.add_item(1, status=ItemStatus.SYNCING, batch_id=batch)
    return db, ledger, batch, keys


def is_completed(db: MemoryDatabase, keys: tuple[int, ...]) -> bool:
    return (
        db.states() == [BatchState.COMPLETED]
        and db.flags == set(keys)
        and db.statuses(1) == [ItemStatus.COMPLETED]
        and db.synced_rows == len(keys)
    )


@pytest.mark.parametrize(("rows", "transactions"), [(1, 1), (CHUNK, 1), (CHUNK + 1, 4), (3 * CHUNK, 5)])
def test_a_batch_is_completed_in_short_steps(rows: int, transactions: int) -> None:
    db, ledger, batch, keys = world(rows)
    work = list(steps(batch, keys))
    assert len(work) == transactions
    for step in work:
        with ledger.transaction(LEASE) as tx:
            step(tx)
    assert is_completed(db, keys)


def test_the_answer_is_kept_before_any_flag_and_completion_comes_last() -> None:
    db, ledger, batch, keys = world(2 * CHUNK)
    seen = []
    for step in steps(batch, keys):
        with ledger.transaction(LEASE) as tx:
            step(tx)
        seen.append((db.states()[0], len(db.flags)))
    assert seen == [
        (BatchState.APPENDED, 0),
        (BatchState.APPENDED, CHUNK),
        (BatchState.APPENDED, 2 * CHUNK),
        (BatchState.COMPLETED, 2 * CHUNK),
    ]


@pytest.mark.parametrize("rows", [3, 2 * CHUNK])
@pytest.mark.parametrize("fault", [FailAt(0), FailAt(1), FailAt(3), FailCommit(False), FailCommit(True)])
def test_each_step_can_fail_and_be_repeated(rows: int, fault: Fault) -> None:
    db, ledger, batch, keys = world(rows)
    for step in steps(batch, keys):
        ledger.faults.append(fault)
        try:
            with ledger.transaction(LEASE) as tx:
                step(tx)
        except LedgerError:
            ledger.faults.clear()
            with ledger.transaction(LEASE) as tx:
                step(tx)
    assert is_completed(db, keys)


def test_all_of_it_can_be_repeated_and_counts_once() -> None:
    db, ledger, batch, keys = world(CHUNK + 1)
    for step in [*steps(batch, keys), *steps(batch, keys)]:
        with ledger.transaction(LEASE) as tx:
            step(tx)
    assert is_completed(db, keys)
