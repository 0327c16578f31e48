"""The ledger: what holds of any, in memory and on MariaDB; and what MariaDB alone can show."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import Engine, text

from database.durability import Durability, read_durability
from database.engine import LOCK_WAIT_SECONDS, connect
from database.leases import grant
from database.ledger import SqlLedger
from database.sent_rows import pack, unpack
from database.site import site_id
from database.transaction import SqlTransaction
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease, new_token
from delivery.ledger import BatchState, ItemStatus, Lookups, TakenCommand, Transaction
from delivery.rows import SentRow, SentRows
from tests.fakes.mapping import sent_rows
from tests.integration.worlds import MemoryWorld, SqlWorld, World, sql_world

pytestmark = pytest.mark.integration

BEGUN, APPENDED, COMPLETED = BatchState.BEGUN, BatchState.APPENDED, BatchState.COMPLETED
PENDING, SYNCING, FAILED = ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED


@pytest.fixture
def sql(engine: Engine) -> Iterator[SqlWorld]:
    with sql_world(engine) as world:
        yield world


@pytest.fixture(params=["memory", "mariadb"])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        return MemoryWorld()
    sql: SqlWorld = request.getfixturevalue("sql")
    return sql


def commit(world: World, work: Callable[[Transaction], object]) -> None:
    with world.ledger.transaction(world.lease) as tx:
        work(tx)


# what holds of any ledger


def test_a_transaction_is_all_or_nothing(world: World) -> None:
    world.add_rows(1)
    item = world.add_item(1)

    def work(tx: Transaction) -> None:
        tx.tie([item], tx.add_batch(BEGUN, tx.add_stream("s"), 0, sent_rows(1)))
        tx.set_flags([1])
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        commit(world, work)
    db = world.read()
    assert (db.batches, db.streams, db.flags, db.statuses(item)) == ({}, {}, set(), [PENDING])


def test_a_lost_lease_lets_nothing_through(world: World) -> None:
    world.take_away()
    with pytest.raises(LeaseLost), world.ledger.transaction(world.lease) as tx:
        tx.add_stream("s")
    assert world.read().streams == {}


def test_another_workers_lease_lets_nothing_through(world: World) -> None:
    for lease in (
        Lease("logs", new_token(), world.lease.connection_id),
        Lease("logs", world.lease.token, world.lease.connection_id + 1),
    ):
        with pytest.raises(LeaseLost), world.ledger.transaction(lease) as tx:
            tx.add_stream("s")
    assert world.read().streams == {}


def test_a_batch_comes_back_as_it_was_written(world: World) -> None:
    rows = sent_rows(1, 2**62, -5)
    with world.ledger.transaction(world.lease) as tx:
        batch = tx.add_batch(BEGUN, tx.add_stream("s"), 17, rows)
    with world.ledger.transaction(world.lease) as tx:
        (begun,) = tx.batches(BEGUN)
        assert (begun.id, begun.offset, begun.rows) == (batch, 17, rows)
        assert tx.batches(APPENDED) == []
        assert begun.stream_id is not None
        (extent,) = tx.extents(begun.stream_id)
    assert (extent.id, extent.state, extent.offset, extent.end) == (batch, BEGUN, 17, 20)


def test_a_batch_turns_only_from_the_state_it_was_taken_for(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        batch = tx.add_batch(BEGUN, None, None, sent_rows(1))
        assert tx.set_state(batch, APPENDED, was=BEGUN)
        assert not tx.set_state(batch, BatchState.REFUSED, was=BEGUN)
        assert tx.set_state(batch, COMPLETED, was=APPENDED)
    assert world.read().states() == [COMPLETED]


def test_streams_are_open_until_they_are_closed(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        first, second, third = (tx.add_stream(name) for name in ("a", "b", "c"))
        tx.close_stream(first, 17)
        tx.close_stream(third, None)
        (stream,) = tx.open_streams()
    assert (stream.id, stream.name) == (second, "b")
    streams = world.read().streams
    assert [(streams[id_].final, streams[id_].row_count) for id_ in (first, second, third)] == [
        (True, 17),
        (False, None),
        (True, None),
    ]


def test_a_detached_batch_belongs_to_no_stream(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        stream = tx.add_stream("s")
        batch = tx.add_batch(BEGUN, stream, 0, sent_rows(1))
        tx.detach(batch)
        assert list(tx.extents(stream)) == []
        assert [found.id for found in tx.batches(BEGUN)] == [batch]


def test_only_pending_items_can_be_locked_and_settled(world: World) -> None:
    items = {status: world.add_item("007", status=status) for status in ItemStatus}
    with world.ledger.transaction(world.lease) as tx:
        assert tx.lock_pending([*items.values(), 9999]) == {items[PENDING]: "007"}
        assert tx.lock_pending([]) == {}
        tx.settle_items(list(items.values()), FAILED, "because")
        tx.settle_items([], FAILED, "because")
    db = world.read()
    changed = [item.id for item in db.items.values() if item.last_error == "because"]
    assert changed == [items[PENDING]]
    assert db.statuses(items[PENDING]) == [FAILED]


def test_items_follow_their_batch(world: World) -> None:
    items = [world.add_item(key) for key in ("1", "002", "3")]
    other = world.add_item("4")
    with world.ledger.transaction(world.lease) as tx:
        batch = tx.add_batch(BEGUN, None, None, sent_rows(1, 2, 3))
        tx.respell(items[1], 2)
        tx.tie(items, batch)
    assert world.read().statuses(*items, other) == [SYNCING, SYNCING, SYNCING, PENDING]
    with world.ledger.transaction(world.lease) as tx:
        found = tx.add_batch(APPENDED, None, None, sent_rows(2))
        tx.move_items(batch, [2], found)
        tx.free_items(batch)
        tx.complete_items(found)
    db = world.read()
    assert db.statuses(*items, other) == [PENDING, ItemStatus.COMPLETED, PENDING, PENDING]
    assert [db.items[item].batch_id for item in items] == [None, found, None]
    assert db.items[items[1]].record_id == "2"


def test_items_whose_keys_differ_only_by_spaces_at_their_ends_are_two(world: World) -> None:
    items = [world.add_item(key) for key in ("x", "x ")]
    with world.ledger.transaction(world.lease) as tx:
        batch, found = (tx.add_batch(BEGUN, None, None, sent_rows("x", "x ")) for _ in range(2))
        tx.tie(items, batch)
        tx.move_items(batch, ["x"], found)
    assert [world.read().items[item].batch_id for item in items] == [found, batch]
    with world.ledger.transaction(world.lease) as tx:
        for key in ("a", "a ", "a", "a "):
            tx.fail_row(key, "label: is NULL")
    failed = [item.record_id for item in world.read().items.values() if item.status is FAILED]
    assert failed == ["a", "a "]


def test_completed_items_keep_their_batch_when_it_is_freed(world: World) -> None:
    item = world.add_item(1, status=ItemStatus.COMPLETED, batch_id=7)
    with world.ledger.transaction(world.lease) as tx:
        tx.free_items(7)
    assert (world.read().items[item].status, world.read().items[item].batch_id) == (ItemStatus.COMPLETED, 7)


def test_retries_are_counted_on_the_batchs_items(world: World) -> None:
    mine, other = (world.add_item(key, status=ItemStatus.SYNCING, batch_id=batch) for key, batch in ((1, 7), (2, 8)))
    used_up = []
    for _ in range(6):
        with world.ledger.transaction(world.lease) as tx:
            used_up.append(tx.count_retry(7))
    assert used_up == [False] * 4 + [True] * 2  # max_retries is 5
    items = world.read().items
    assert (items[mine].retry_count, items[other].retry_count) == (6, 0)


def test_a_row_that_failed_gets_one_item(world: World) -> None:
    for _ in range(2):
        with world.ledger.transaction(world.lease) as tx:
            tx.fail_row(5, "label: is NULL")
            tx.fail_row(6, "label: is NULL")
    items = world.read().items.values()
    assert [(item.record_id, item.operation, item.status, item.last_error) for item in items] == [
        ("5", "INSERT", FAILED, "label: is NULL"),
        ("6", "INSERT", FAILED, "label: is NULL"),
    ]


def test_a_row_that_fails_gets_an_item_whatever_became_of_its_others(world: World) -> None:
    world.add_item(5, operation="UPDATE", status=FAILED)
    world.add_item(5, status=ItemStatus.COMPLETED)
    with world.ledger.transaction(world.lease) as tx:
        tx.fail_row(5, "label: is NULL")
    assert [item.last_error for item in world.read().items.values()] == [None, None, "label: is NULL"]


def test_orphans_are_syncing_items_without_a_batch(world: World) -> None:
    orphans = [world.add_item(key, status=SYNCING, payload="{}") for key in (1, 2, 3)]
    world.add_item(4, status=SYNCING, batch_id=7)
    world.add_item(5)
    with world.ledger.transaction(world.lease) as tx:
        assert [(orphan.id, orphan.record_id, orphan.payload) for orphan in tx.orphan_items(2)] == [
            (orphans[0], "1", "{}"),
            (orphans[1], "2", "{}"),
        ]
        tx.free_orphans(orphans[:2])
        assert [orphan.id for orphan in tx.orphan_items(10)] == [orphans[2]]
    assert world.read().statuses(*orphans) == [PENDING, PENDING, SYNCING]


@pytest.mark.parametrize("keys", [(1, 2, 3, 4, 5), (1, 3, 5), (1, 2, 3, 4, 5, 7, 9, 11, 12, 13, 14), (8,), ()])
def test_flags_are_set_on_the_batchs_rows_and_no_others(world: World, keys: tuple[int, ...]) -> None:
    world.add_rows(*range(1, 20, 2))
    world.add_rows(*range(2, 20, 2), flag=None)
    world.add_rows(100, flag=True)
    with world.ledger.transaction(world.lease) as tx:
        tx.set_flags(keys)
    db = world.read()
    assert db.flags == {*keys, 100}
    assert db.history == set(range(2, 20, 2)) - set(keys)


def test_rows_that_are_gone_need_no_flag(world: World) -> None:
    world.add_rows(1, 3)
    with world.ledger.transaction(world.lease) as tx:
        tx.set_flags([1, 2, 3, 4, 5])
    assert world.read().flags == {1, 3}


def test_synced_rows_are_a_running_total(world: World) -> None:
    for _ in range(2):
        with world.ledger.transaction(world.lease) as tx:
            tx.count_synced(17)
    assert world.read().synced_rows == 34


def test_look_ups_begin_and_end(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        assert tx.lookups() == Lookups()
        tx.begin_lookups()
    with world.ledger.transaction(world.lease) as tx:
        assert tx.lookups() == Lookups(first=True)  # there is no item yet
        assert tx.end_lookups() == Lookups()
    last = world.add_item(1)
    with world.ledger.transaction(world.lease) as tx:
        tx.begin_lookups()
        assert tx.end_lookups() == Lookups(first=False, items_to=last)
    assert world.read().lookups == Lookups(first=False, items_to=last)


def test_the_tables_state_is_kept_with_the_last_error(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        tx.note_state("waiting", "no network", error=True)
        tx.note_state("running", None, error=False)
    db = world.read()
    assert (db.state, db.reason, db.last_error) == ("running", None, "no network")


def test_a_command_is_taken_once_and_only_while_it_waits(world: World) -> None:
    waiting, withdrawn = world.add_command(), world.add_command("withdrawn")
    with world.ledger.transaction(world.lease) as tx:
        assert tx.take_command(waiting)
        assert not tx.take_command(waiting)
        assert not tx.take_command(withdrawn)
        tx.finish_command(waiting, {"flushedCount": 3})
    assert world.read().commands == {waiting: "done", withdrawn: "withdrawn"}


def test_commands_that_were_taken_and_not_finished_are_known(world: World) -> None:
    flush, finished, _ = (world.add_command() for _ in range(3))
    retention = world.add_command(kind="retention", arguments={"dryRun": True})
    with world.ledger.transaction(world.lease) as tx:
        for command in (flush, finished, retention):
            tx.take_command(command)
        tx.finish_command(finished, {})
        assert list(tx.taken_commands()) == [
            TakenCommand(flush, "flush"),
            TakenCommand(retention, "retention", {"dryRun": True}),
        ]


@pytest.mark.parametrize("paused", [True, False])
def test_an_owner_knows_whether_its_table_is_paused(world: World, paused: bool) -> None:
    world.pause()
    if not paused:
        world.pause(paused=False)
    with world.ledger.transaction(world.lease) as tx:
        assert tx.is_paused() is paused


def test_batches_are_completed_once_the_ledger_says_so_of_each(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        done, too, still = (tx.add_batch(BatchState.APPENDED, None, None, sent_rows(key)) for key in (1, 2, 3))
        for batch in (done, too):
            tx.set_state(batch, BatchState.COMPLETED, was=BatchState.APPENDED)
        assert tx.are_completed({done, too})
        assert not tx.are_completed({done, still})
        assert not tx.are_completed({done, still + 1})


def test_a_stream_knows_its_batches_in_whatever_state(world: World) -> None:
    with world.ledger.transaction(world.lease) as tx:
        stream, other = tx.add_stream("s"), tx.add_stream("t")
        batch = tx.add_batch(BEGUN, stream, 0, sent_rows(1))
        tx.set_state(batch, BatchState.REFUSED, was=BEGUN)
        assert tx.has_batch(batch, stream)
        assert not tx.has_batch(batch, other)
        assert not tx.has_batch(batch + 1, stream)


# on MariaDB


def test_a_batch_of_the_largest_size_is_written_tied_and_completed(sql: SqlWorld) -> None:
    keys = range(1, 10_001)
    with sql.engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO bq_sync_queue (table_name, record_id) SELECT 'logs', seq FROM seq_1_to_10000"
        )
        items = list(connection.scalars(text("SELECT id FROM bq_sync_queue")))
    with sql.ledger.transaction(sql.lease) as tx:
        assert len(tx.lock_pending(items)) == len(items)
        batch = tx.add_batch(BEGUN, None, None, sent_rows(*keys))
        tx.tie(items, batch)
        tx.complete_items(batch)
    db = sql.read()
    assert set(db.statuses(*items)) == {ItemStatus.COMPLETED}
    assert db.batches[batch].rows == sent_rows(*keys)


@pytest.mark.parametrize("count", [3, 600, 2000])
def test_items_are_written_without_waiting_for_producers_or_other_tables(sql: SqlWorld, count: int) -> None:
    items = [sql.add_item(key) for key in range(count)]
    others = sql.add_item("another's")
    with sql.engine.connect() as producer, sql.engine.connect() as other_owner:
        producer.exec_driver_sql("INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('logs', 'new')")
        other_owner.exec_driver_sql(
            f"UPDATE bq_sync_queue SET table_name = 'summaries', sync_status = 'syncing', batch_id = 99"
            f" WHERE id = {others}"
        )
        with sql.ledger.transaction(sql.lease) as tx:
            assert len(tx.lock_pending(items)) == len(items)
            batch = tx.add_batch(BEGUN, None, None, sent_rows(*range(count)))
            tx.tie(items, batch)
            tx.free_items(batch)
            tx.tie(items[:-1], batch)
            tx.move_items(batch, [0], tx.add_batch(BEGUN, None, None, sent_rows(0)))
            tx.respell(items[0], 0)
            tx.complete_items(batch)
            tx.settle_items(items, FAILED, "because")
            assert list(tx.orphan_items(10)) == []
            tx.free_orphans([])
        producer.commit()
        other_owner.rollback()
    assert sql.read().statuses(*items) == [SYNCING, *[ItemStatus.COMPLETED] * (count - 2), FAILED]


def test_a_long_reason_is_shortened(sql: SqlWorld) -> None:
    item = sql.add_item(1)
    with sql.ledger.transaction(sql.lease) as tx:
        tx.settle_items([item], FAILED, "x" * 100_000)
    assert sql.read().items[item].last_error == "x" * 1000


def test_a_lock_wait_that_times_out_rolls_everything_back(sql: SqlWorld) -> None:
    sql.add_rows(1, 2)
    with sql.engine.connect() as somebody:
        somebody.execute(text("UPDATE logs SET label = 'being changed' WHERE id = 2"))

        def work(tx: Transaction) -> None:
            tx.add_stream("s")
            tx.set_flags([1])
            tx.set_flags([2])

        with pytest.raises(LedgerError, match="lock") as raised:
            commit(sql, work)
        somebody.rollback()
    assert not raised.value.outcome_unknown
    db = sql.read()
    assert (db.streams, db.flags) == ({}, set())


def test_the_connection_goes_back_clean_after_a_failure(sql: SqlWorld) -> None:
    for _ in range(10):

        def work(tx: Transaction) -> None:
            tx.add_stream("s")
            tx.add_stream("s")  # the name is taken

        with pytest.raises(LedgerError):
            commit(sql, work)
    with sql.ledger.transaction(sql.lease) as tx:
        tx.add_stream("s")
    assert len(sql.read().streams) == 1


def test_a_transaction_whose_connection_is_killed_is_rolled_back(sql: SqlWorld) -> None:
    def work(tx: Transaction) -> None:
        tx.add_stream("s")
        assert isinstance(tx, SqlTransaction)
        kill(sql.engine, tx)
        tx.add_stream("t")

    with pytest.raises(LedgerError) as raised:
        commit(sql, work)
    assert not raised.value.outcome_unknown
    assert sql.read().streams == {}


def test_a_commit_that_isnt_answered_is_of_unknown_outcome(sql: SqlWorld) -> None:
    def work(tx: Transaction) -> None:
        tx.add_stream("s")
        assert isinstance(tx, SqlTransaction)
        kill(sql.engine, tx)

    with pytest.raises(LedgerError) as raised:
        commit(sql, work)
    assert raised.value.outcome_unknown


def kill(engine: Engine, tx: SqlTransaction) -> None:
    """End the transaction's connection, as an administrator may."""
    id_ = tx._connection.scalar(text("SELECT CONNECTION_ID()"))
    with engine.connect() as connection:
        connection.exec_driver_sql(f"KILL {id_}")


def test_a_database_that_isnt_there_is_an_error_of_known_outcome(sql: SqlWorld) -> None:
    nowhere = connect(sql.engine.url.set(port=1))
    with pytest.raises(LedgerError) as raised, SqlLedger(nowhere).transaction(sql.lease):
        pass
    assert not raised.value.outcome_unknown


def test_an_error_names_no_values(sql: SqlWorld) -> None:
    with sql.ledger.transaction(sql.lease) as tx:
        tx.add_stream("a secret name")
    with pytest.raises(LedgerError) as raised, sql.ledger.transaction(sql.lease) as tx:
        tx.add_stream("a secret name")
    assert "secret" not in str(raised.value)


# the lease


def test_a_take_over_waits_for_the_owners_transaction_and_shuts_the_next_one_out(sql: SqlWorld) -> None:
    successor = Lease("logs", new_token(), sql.lease.connection_id)
    with ThreadPoolExecutor(1) as other:
        with sql.ledger.transaction(sql.lease) as tx:
            granted = other.submit(grant, sql.engine, successor)
            tx.add_stream("s")
            assert not granted.done()
        granted.result(timeout=10)
    assert len(sql.read().streams) == 1
    with pytest.raises(LeaseLost), sql.ledger.transaction(sql.lease):
        pass
    with sql.ledger.transaction(successor) as tx:
        tx.add_stream("t")


def test_a_lease_is_granted_to_who_holds_the_lock_by_then(sql: SqlWorld) -> None:
    # Frozen after it took the lock, and awake beside its successor.
    with pytest.raises(LedgerError, match="lock of logs was lost") as raised:
        grant(sql.engine, Lease("logs", new_token(), sql.lease.connection_id + 1))
    assert not raised.value.outcome_unknown
    with sql.ledger.transaction(sql.lease):
        pass  # the successor still owns the table


def test_an_owner_that_stays_in_its_transaction_is_waited_for_in_vain_for_a_while(sql: SqlWorld) -> None:
    with sql.ledger.transaction(sql.lease), pytest.raises(LedgerError, match="lock"):
        grant(sql.engine, Lease("logs", new_token(), 1))
    with sql.ledger.transaction(sql.lease):
        pass  # it still owns the table


def test_a_frozen_owners_transaction_is_rolled_back_by_the_server(sql: SqlWorld) -> None:
    successor = Lease("logs", new_token(), sql.lease.connection_id)

    def work(tx: Transaction) -> None:
        assert isinstance(tx, SqlTransaction)
        tx._connection.exec_driver_sql("SET SESSION wait_timeout = 1")  # so that the test is quick; else 10 s
        tx.add_stream("s")
        grant_at_last(sql.engine, successor)
        tx.add_stream("t")  # it wakes up

    with pytest.raises(LedgerError) as raised:
        commit(sql, work)
    assert not raised.value.outcome_unknown
    assert sql.read().streams == {}
    with sql.ledger.transaction(successor):
        pass


def grant_at_last(engine: Engine, lease: Lease) -> None:
    for _ in range(5):
        try:
            grant(engine, lease)
        except LedgerError:
            continue  # the frozen owner's transaction still stands: LOCK_WAIT_SECONDS were not enough
        return
    raise AssertionError(f"not granted within {5 * LOCK_WAIT_SECONDS} s")


def test_owners_transactions_run_beside_each_other(sql: SqlWorld) -> None:
    entered = threading.Barrier(2, timeout=10)

    def write(name: str) -> None:
        with sql.ledger.transaction(sql.lease) as tx:
            entered.wait()
            tx.add_stream(name)

    with ThreadPoolExecutor(2) as workers:
        for done in [workers.submit(write, name) for name in ("a", "b")]:
            done.result(timeout=20)
    assert len(sql.read().streams) == 2


def test_without_the_lock_the_token_is_worth_nothing(sql: SqlWorld) -> None:
    sql.locks.release("logs")
    with pytest.raises(LeaseLost), sql.ledger.transaction(sql.lease):
        pass


def test_a_table_that_was_never_granted_is_nobodys(sql: SqlWorld) -> None:
    with pytest.raises(LeaseLost), sql.ledger.transaction(Lease("others", sql.lease.token, sql.lease.connection_id)):
        pass


# what is kept of a batch


@pytest.mark.parametrize(
    "rows",
    [
        SentRows(("id",), None, (SentRow(2**64 - 1, (1,)), SentRow(0, (2,)))),
        SentRows(("id",), None, (SentRow("ключ", ("é",)), SentRow("", ("",)))),
        SentRows(("id", "tid"), None, (SentRow(1, ("a", None)), SentRow(2, ("b", "T")))),
        SentRows(("id",), "day", (SentRow(1, ("a",), date(2026, 1, 2)), SentRow(2, ("b",), None))),
        SentRows(("at", "id"), "at", (SentRow(1, (datetime(2026, 1, 2, 3, 4, 5, 678901, UTC), 7)),)),
        SentRows(("price", "raw", "on"), None, (SentRow(1, (Decimal("1.50"), b"\x00\xff", True)),)),
        SentRows(("price",), None, (SentRow(1, (Decimal("1.5"),)), SentRow(2, (Decimal("123456.25"),)))),
        SentRows(("key", "partition"), None, (SentRow(1, ("a", "b"), None),)),
        SentRows(("id",), None, (SentRow(1, (None,)),)),
    ],
)
def test_whatever_identifies_rows_is_kept_as_it_is(rows: SentRows) -> None:
    assert unpack(pack(rows)) == rows


# the site


def test_the_sites_id_is_derived_once(sql: SqlWorld) -> None:
    first = site_id(sql.engine, "")
    assert first
    assert site_id(sql.engine, "") == first
    assert site_id(sql.engine, "configured") == "configured"


# what a power cut may cost


def test_the_servers_durability_is_read(sql: SqlWorld) -> None:
    with sql.engine.connect() as connection:
        durability = read_durability(connection)
    assert (durability.flush_at_commit, durability.binary_log) == (1, False)
    assert (durability.new_stream_seconds, durability.may_undo_commits) == (0, False)


@pytest.mark.parametrize(
    ("durability", "new_stream_seconds", "may_undo_commits"),
    [
        (Durability(1, 1.0, True, 1), 0.0, False),
        (Durability(2, 1.0, True, 1), 2.0, False),
        (Durability(0, 30.0, False, 0), 31.0, False),
        (Durability(1, 1.0, True, 0), 0.0, True),
        (Durability(1, 1.0, True, 100), 0.0, True),
    ],
)
def test_what_follows_from_the_servers_durability(
    durability: Durability, new_stream_seconds: float, may_undo_commits: bool
) -> None:
    assert durability.new_stream_seconds == new_stream_seconds
    assert durability.may_undo_commits is may_undo_commits
