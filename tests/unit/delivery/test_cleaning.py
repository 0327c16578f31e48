"""What of bq-sync's own tables may go, and what still rests on it."""

from dataclasses import dataclass, field
from datetime import datetime

import pytest

from delivery.cleaning import Cleaning, item_may_go
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import ItemToClean
from delivery.retention_report import Report
from delivery.source import QueuedItem
from delivery.steps import Gentle
from delivery.triage import Item, RowState
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import MemoryLedger
from tests.fakes.old_rows import NOW, MemoryOldRows, drive, old, sent
from tests.fakes.source import MemorySource

WEEKS = 20 * 86400.0


@dataclass
class World:
    db: MemoryDatabase = field(default_factory=MemoryDatabase)

    def __post_init__(self) -> None:
        ledger = MemoryLedger(self.db)
        ledger.grant(Lease("logs", "token", 1))
        self.rows = MemoryOldRows(self.db, ledger)

    def clean(self, *, rows_rest: bool = True, dry_run: bool = False) -> Report:
        report = Report(dry_run, NOW)
        gentle = Gentle(self.db.clock.monotonic)
        source = MemorySource(self.db)
        cleaning = Cleaning(Lease("logs", "token", 1), self.rows, source, gentle, report, 7, 60, rows_rest, NOW)
        drive(cleaning.steps())
        return report


@pytest.fixture
def world() -> World:
    return World()


def entry(status: ItemStatus = ItemStatus.COMPLETED, *, sent: bool = True, evidence: bool = False) -> ItemToClean:
    return ItemToClean(QueuedItem(Item(1, "INSERT", status, sent=sent), "7", None), datetime.min, evidence)


def test_an_item_goes_once_its_row_says_what_it_said() -> None:
    assert item_may_go(entry(), RowState.SYNCED, [])
    assert item_may_go(entry(), RowState.ABSENT, [])
    assert item_may_go(entry(sent=False), RowState.WAITING, [])


@pytest.mark.parametrize("row", [RowState.WAITING, RowState.HISTORY, RowState.UNFLAGGED])
def test_a_sent_item_stays_while_its_row_would_be_sent_again(row: RowState) -> None:
    assert not item_may_go(entry(), row, [])


@pytest.mark.parametrize("status", [ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED])
def test_a_sent_item_stays_while_another_of_its_key_would_be_sent_again(status: ItemStatus) -> None:
    assert not item_may_go(entry(), RowState.ABSENT, [Item(2, "INSERT", status)])


def test_an_item_that_alone_says_that_its_row_was_sent_stays_as_long_as_the_row() -> None:
    assert not item_may_go(entry(evidence=True), RowState.SYNCED, [])
    assert item_may_go(entry(evidence=True), RowState.ABSENT, [])


@pytest.mark.parametrize("row", [state for state in RowState if state is not RowState.ABSENT])
def test_a_given_up_item_stays_as_long_as_its_row(row: RowState) -> None:
    assert not item_may_go(entry(ItemStatus.ABANDONED), row, [])
    assert item_may_go(entry(ItemStatus.ABANDONED), RowState.ABSENT, [])


def test_items_go_by_their_age(world: World) -> None:
    world.rows.add(1, 2)
    world.rows.add(3, flag=False)
    aged = [world.db.add_item(key, status=ItemStatus.COMPLETED, batch_id=9, age_seconds=WEEKS) for key in (1, 3)]
    young = world.db.add_item(2, status=ItemStatus.COMPLETED, batch_id=9, age_seconds=86400.0)
    waiting = world.db.add_item(2, age_seconds=WEEKS)
    failed = world.db.add_item(3, status=ItemStatus.FAILED, age_seconds=WEEKS)
    world.clean(dry_run=True)
    assert len(world.db.items) == 5
    report = world.clean()
    assert set(world.db.items) == {aged[1], young, waiting, failed}
    assert report.cleaned["items"] == 1


def test_batches_stay_as_long_as_one_of_their_rows(world: World) -> None:
    world.rows.add(2)
    gone = world.rows.add_batch(sent(1))
    needed = world.rows.add_batch(sent(1), sent(2))
    young = world.rows.add_batch(sent(1), ended=old(59))
    named = world.rows.add_batch(sent(1))
    refused = world.rows.add_batch(sent(2), state=BatchState.REFUSED)
    world.db.add_item(1, status=ItemStatus.FAILED, batch_id=named)
    assert world.clean().cleaned["batches"] == 2
    assert {gone, refused} & set(world.db.batches) == set()
    assert world.clean(rows_rest=False).cleaned["batches"] == 1
    assert set(world.db.batches) == {young, named}
    assert needed not in world.db.batches
