"""What the ledger says of a batch before it is sent, and after it was refused."""

from collections.abc import Callable
from typing import TypeVar

import pytest

from delivery.begin import Begun, DatabaseWentBackError, KnownStream, NewStream, begin, begin_found, refuse
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus, Transaction
from delivery.rows import Outgoing
from tests.fakes.database import MemoryDatabase
from tests.fakes.ledger import MemoryLedger
from tests.fakes.mapping import outgoing, sent_rows

T = TypeVar("T")
LEASE = Lease("logs", "token", 1)


@pytest.fixture
def db() -> MemoryDatabase:
    return MemoryDatabase()


def commit(db: MemoryDatabase, work: Callable[[Transaction], T]) -> T:
    ledger = MemoryLedger(db)
    ledger.grant(LEASE)
    with ledger.transaction(LEASE) as tx:
        return work(tx)


def begun(db: MemoryDatabase, batch: Outgoing, stream: KnownStream | NewStream | None = None, offset: int = 0) -> Begun:
    result = commit(db, lambda tx: begin(tx, batch, stream or NewStream("s"), offset))
    assert result is not None
    return result


def test_a_batch_is_written_with_its_new_stream_and_its_items(db: MemoryDatabase) -> None:
    db.add_rows(1, 2)
    item = db.add_item(2)
    batch = begun(db, outgoing(1, (2, item)))
    stored = db.batches[batch.batch_id]
    assert (stored.state, stored.stream_id, stored.offset, stored.rows) == (
        BatchState.BEGUN,
        1,
        0,
        sent_rows(1, 2),
    )
    assert batch.stream == KnownStream(1, batch.batch_id)
    assert db.streams[1].name == "s"
    assert (db.items[item].status, db.items[item].batch_id) == (ItemStatus.SYNCING, batch.batch_id)


def test_nothing_is_begun_on_a_stream_whose_last_batch_the_ledger_lacks(db: MemoryDatabase) -> None:
    first = begun(db, outgoing(1))
    del db.batches[first.batch_id]  # a backup is restored
    with pytest.raises(DatabaseWentBackError):
        begun(db, outgoing(2), first.stream, offset=1)
    assert db.batches == {}


def test_nothing_is_begun_while_the_ledger_has_forgotten_that_a_batch_was_completed(db: MemoryDatabase) -> None:
    first = begun(db, outgoing(1))  # as it stands in the backup that was restored
    with pytest.raises(DatabaseWentBackError):
        commit(db, lambda tx: begin(tx, outgoing(1), NewStream("t"), 0, completed={first.batch_id}))
    assert list(db.batches) == [first.batch_id]


def test_what_a_look_up_found_isnt_written_either_while_it_has(db: MemoryDatabase) -> None:
    first = begun(db, outgoing(1))
    with pytest.raises(DatabaseWentBackError):
        commit(db, lambda tx: begin_found(tx, outgoing(1), completed={first.batch_id}))
    assert list(db.batches) == [first.batch_id]


def test_a_known_stream_isnt_written_again(db: MemoryDatabase) -> None:
    first = begun(db, outgoing(1))
    second = begun(db, outgoing(2), first.stream, offset=1)
    assert second.stream == KnownStream(1, second.batch_id)
    assert len(db.streams) == 1
    assert db.batches[second.batch_id].offset == 1


def test_rows_whose_item_is_no_longer_pending_are_left_out(db: MemoryDatabase) -> None:
    given_up, waiting = db.add_item(1, status=ItemStatus.ABANDONED), db.add_item(2)
    batch = begun(db, outgoing((1, given_up), (2, waiting), 3))
    assert batch.left_out == (0,)
    assert batch.outgoing.rows == sent_rows(2, 3)
    assert batch.outgoing.items == (waiting, None)
    assert batch.outgoing.encoded.nbytes == outgoing(2, 3).encoded.nbytes
    assert db.batches[batch.batch_id].rows == sent_rows(2, 3)
    assert db.statuses(given_up) == [ItemStatus.ABANDONED]


def test_nothing_is_written_where_no_row_is_left_the_stream_neither(db: MemoryDatabase) -> None:
    item = db.add_item(1, status=ItemStatus.ABANDONED)
    assert commit(db, lambda tx: begin(tx, outgoing((1, item)), NewStream("s"), 0)) is None
    assert (db.streams, db.batches) == ({}, {})


def test_record_ids_are_spelled_as_the_key_from_then_on(db: MemoryDatabase) -> None:
    item = db.add_item("007")
    begun(db, outgoing((7, item)))
    assert db.items[item].record_id == "7"


def test_rows_that_a_look_up_found_are_an_appended_batch_without_stream(db: MemoryDatabase) -> None:
    item = db.add_item(1)
    batch = commit(db, lambda tx: begin_found(tx, outgoing((1, item), 2)))
    assert batch is not None
    stored = db.batches[batch.batch_id]
    assert (stored.state, stored.stream_id, stored.rows) == (BatchState.APPENDED, None, sent_rows(1, 2))
    assert db.statuses(item) == [ItemStatus.SYNCING]


def test_a_refused_batch_fails_the_guilty_rows_and_frees_the_others(db: MemoryDatabase) -> None:
    guilty, innocent = db.add_item(1), db.add_item(2)
    batch = begun(db, outgoing((1, guilty), (2, innocent), 3, 4))
    reasons = {0: "label: too long", 2: "label: not JSON"}
    commit(db, lambda tx: refuse(tx, batch.batch_id, batch.outgoing, reasons))
    assert db.states() == [BatchState.REFUSED]
    assert (db.items[guilty].status, db.items[guilty].last_error) == (ItemStatus.FAILED, "label: too long")
    assert (db.items[innocent].status, db.items[innocent].batch_id) == (ItemStatus.PENDING, None)
    new = [item for item in db.items.values() if item.id not in (guilty, innocent)]
    assert [(item.record_id, item.status, item.last_error) for item in new] == [
        ("3", ItemStatus.FAILED, "label: not JSON")
    ]


def test_only_a_begun_batch_can_be_refused(db: MemoryDatabase) -> None:
    item = db.add_item(1)
    batch = begun(db, outgoing((1, item)))
    commit(db, lambda tx: tx.set_state(batch.batch_id, BatchState.APPENDED, was=BatchState.BEGUN))
    with pytest.raises(DatabaseWentBackError):
        commit(db, lambda tx: refuse(tx, batch.batch_id, batch.outgoing, {0: "bad"}))
    assert db.states() == [BatchState.APPENDED]
    assert db.statuses(item) == [ItemStatus.SYNCING]
