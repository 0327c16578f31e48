"""Every outcome that isn't the end of a batch."""

import pytest

from delivery.lease import Lease
from delivery.ledger import ItemStatus
from delivery.settle import Outcome, RowRef, settle
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import MemoryLedger

LEASE = Lease("logs", "token", 1)


@pytest.fixture
def db() -> MemoryDatabase:
    return MemoryDatabase()


def settled(db: MemoryDatabase, *rows: RowRef, outcome: Outcome, reason: str | None = None, times: int = 1) -> None:
    ledger = MemoryLedger(db)
    ledger.grant(LEASE)
    for _ in range(times):
        with ledger.transaction(LEASE) as tx:
            settle(tx, rows, outcome, reason)


def test_flagged_rows_are_marked_and_nothing_else(db: MemoryDatabase) -> None:
    db.add_rows(1, 2, 3)
    settled(db, RowRef(1), RowRef(3), outcome=Outcome.FLAGGED)
    assert db.flags == {1, 3}
    assert db.items == {}


@pytest.mark.parametrize(
    ("outcome", "status"),
    [
        (Outcome.COMPLETED, ItemStatus.COMPLETED),
        (Outcome.FAILED, ItemStatus.FAILED),
        (Outcome.ABANDONED, ItemStatus.ABANDONED),
    ],
)
def test_pending_items_get_the_outcome_and_its_reason(db: MemoryDatabase, outcome: Outcome, status: ItemStatus) -> None:
    item = db.add_item(1)
    settled(db, RowRef(1, item), outcome=outcome, reason="because")
    assert (db.items[item].status, db.items[item].last_error, db.items[item].batch_id) == (status, "because", None)


@pytest.mark.parametrize("status", [ItemStatus.SYNCING, ItemStatus.COMPLETED, ItemStatus.ABANDONED])
def test_items_that_somebody_else_decided_stay(db: MemoryDatabase, status: ItemStatus) -> None:
    item = db.add_item("007", status=status)
    settled(db, RowRef(7, item), outcome=Outcome.FAILED, reason="because")
    assert (db.items[item].status, db.items[item].record_id, db.items[item].last_error) == (status, "007", None)


def test_an_item_is_spelled_as_its_key_so_that_it_is_found_by_it(db: MemoryDatabase) -> None:
    item = db.add_item("007")
    settled(db, RowRef(7, item), outcome=Outcome.FAILED, reason="because")
    assert db.items[item].record_id == "7"


def test_an_item_whose_record_id_is_no_key_keeps_it(db: MemoryDatabase) -> None:
    item = db.add_item("seven")
    settled(db, RowRef(None, item), outcome=Outcome.FAILED, reason="because")
    assert (db.items[item].status, db.items[item].record_id) == (ItemStatus.FAILED, "seven")


def test_a_row_without_item_that_fails_gets_one(db: MemoryDatabase) -> None:
    db.add_rows(1)
    settled(db, RowRef(1), outcome=Outcome.FAILED, reason="label: is NULL")
    (item,) = db.items.values()
    assert (item.record_id, item.operation, item.status, item.last_error) == (
        "1",
        "INSERT",
        ItemStatus.FAILED,
        "label: is NULL",
    )


def test_a_row_that_fails_gets_one_item_however_often_it_is_written_down(db: MemoryDatabase) -> None:
    db.add_rows(1)
    settled(db, RowRef(1), outcome=Outcome.FAILED, reason="label: is NULL", times=2)
    assert len(db.items) == 1
