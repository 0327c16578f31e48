"""The source: what holds of any, in memory and on MariaDB; and what real tables are like."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, event, text

from config.settings import TableSettings
from database.in_lists import LONGEST
from database.source import SqlSource
from database.source_columns import SourceColumns
from delivery.ledger import BatchState, ItemStatus
from delivery.rows import SentRow, SentRows
from delivery.source import QueuedItem, SourceChangedError, SourceError
from delivery.triage import RowState
from tests.integration.worlds import LOGS, MemoryWorld, SqlWorld, World, sql_world

pytestmark = pytest.mark.integration

COMPLETED, SYNCING = ItemStatus.COMPLETED, ItemStatus.SYNCING
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


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


def settings(primary_key: str = "id", column: str | None = None, **more: object) -> TableSettings:
    columns = {"event_id": {"template": f"det_{{{primary_key}}}"}, "label": column or "label"}
    return TableSettings.model_validate(
        {"destination": "events", "primary_key": primary_key, "columns": columns, "identity": ["event_id"], **more}
    )


# what holds of any source


def test_waiting_keys_are_those_whose_flag_is_false_in_their_order(world: World) -> None:
    world.add_rows(5, 3, 20, 100)
    world.add_rows(4, flag=None)
    world.add_rows(6, flag=True)
    assert world.source.waiting_keys(None, 3) == [3, 5, 20]
    assert world.source.waiting_keys(20, 3) == [100]
    assert world.source.waiting_keys(100, 3) == []


def test_anything_waits_while_a_row_does(world: World) -> None:
    world.add_rows(1, flag=True)
    world.add_rows(2, flag=None)
    assert not world.source.anything_waits()
    world.add_rows(3)
    assert world.source.anything_waits()


def test_anything_waits_while_an_item_does(world: World) -> None:
    world.add_item(7, status=ItemStatus.FAILED)
    assert not world.source.anything_waits()
    world.add_item(8)
    assert world.source.anything_waits()


def test_pending_items_come_in_the_order_of_their_ids(world: World) -> None:
    first = world.add_item("007", payload='{"a": 1}', age_seconds=30)
    world.add_item(8, status=SYNCING)
    second = world.add_item(9, operation="UPDATE", resend=True)
    items = world.source.pending_items(0, 10)
    assert [(found.item.id, found.item.operation, found.record_id, found.payload) for found in items] == [
        (first, "INSERT", "007", '{"a": 1}'),
        (second, "UPDATE", "9", None),
    ]
    assert [(found.item.has_payload, found.item.resend) for found in items] == [(True, False), (False, True)]
    assert items[0].item.age_seconds == pytest.approx(30, abs=5)
    assert items[0].since is not None
    assert items[1].since is not None
    assert (items[1].since - items[0].since).total_seconds() == pytest.approx(30, abs=5)
    assert [found.item.id for found in world.source.pending_items(first, 10)] == [second]
    assert [found.item.id for found in world.source.pending_items(0, 1)] == [first]


@pytest.mark.parametrize(
    ("record_id", "key"),
    [("7", 7), ("007", 7), ("+7", 7), ("-7", -7), ("seven", None), ("7 ", None), ("", None), (str(2**63), None)],
)
def test_record_ids_mean_keys_or_none(world: World, record_id: str, key: int | None) -> None:
    item = world.add_item(record_id)
    expected = {} if key is None else {item: key}
    assert world.source.resolve(world.source.pending_items(0, 10)) == expected


def test_insert_items_of_keys_are_found_whatever_their_status(world: World) -> None:
    ids = {status: world.add_item(5, status=status) for status in ItemStatus}
    sent = world.add_item(5, status=COMPLETED, batch_id=3)
    world.add_item(5, operation="UPDATE")
    other = world.add_item(6, resend=True)
    found = world.source.inserts_of([5, 6, 7])
    assert set(found) == {5, 6}
    assert {item.id: (item.status, item.sent) for item in found[5]} == {
        **{id_: (status, False) for status, id_ in ids.items()},
        sent: (COMPLETED, True),
    }
    assert [(item.id, item.resend) for item in found[6]] == [(other, True)]


@pytest.mark.parametrize("record_id", ["5 ", " 5", "05"])
def test_a_record_id_that_only_looks_alike_is_another(world: World, record_id: str) -> None:
    world.add_item(record_id)
    assert world.source.inserts_of([5]) == {}


def test_rows_are_read_with_their_state(world: World) -> None:
    world.add_rows(1, label="one")
    world.add_rows(2, flag=True)
    world.add_rows(3, flag=None)
    rows = world.source.rows([1, 2, 3, 4])
    assert {key: row.state for key, row in rows.items()} == {
        1: RowState.WAITING,
        2: RowState.SYNCED,
        3: RowState.HISTORY,
    }
    assert tuple(rows[1].values) == (1, "one")
    assert not rows[1].settling


def test_batches_are_open_until_they_are_completed_or_nothing_of_them_was_written(world: World) -> None:
    rows = SentRows(("event_id",), None, (SentRow(1, ("det_1",), None),))
    with world.ledger.transaction(world.lease) as tx:
        batches = [tx.add_batch(state, None, None, rows) for state in BatchState]
    assert sorted(world.source.open_batches()) == batches[:2]


def test_any_number_of_keys_can_be_asked_for(world: World) -> None:
    world.add_rows(*range(2500))
    item = world.add_item(2400)
    assert len(world.source.rows(range(2600))) == 2500
    assert {key: [found.id for found in items] for key, items in world.source.inserts_of(range(2600)).items()} == {
        2400: [item]
    }
    assert len(world.source.waiting_keys(None, 5000)) == 2500


def test_any_number_of_items_can_be_resolved(engine: Engine) -> None:
    with sql_world(engine, LOGS.replace("id BIGINT", "id VARCHAR(50)")) as world:
        world.add_rows("Abc")
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO bq_sync_queue (table_name, record_id) SELECT 'logs', 'ABC' FROM seq_1_to_1200"
            )
        items = world.source.pending_items(0, 2000)
        with Recorder(world) as recorded:
            assert list(world.source.resolve(items).values()) == ["Abc"] * 1200
    assert max(len(parameters) for _, parameters in recorded.statements if isinstance(parameters, dict)) <= LONGEST


# MariaDB's own


def test_a_database_that_isnt_there_is_a_source_error(sql: SqlWorld) -> None:
    with sql.engine.begin() as connection:
        connection.exec_driver_sql("DROP TABLE logs")
    with pytest.raises(SourceError, match="migrate"):
        sql.source.waiting_keys(None, 1)


def test_what_isnt_committed_isnt_seen_and_not_waited_for(sql: SqlWorld) -> None:
    sql.add_rows(1)
    with sql.engine.connect() as producer:
        producer.exec_driver_sql("INSERT INTO logs (id) VALUES (2)")
        assert sql.source.waiting_keys(None, 10) == [1]
        producer.commit()
    assert sql.source.waiting_keys(None, 10) == [1, 2]


@pytest.mark.parametrize("rows", [5, 600, 3000])
def test_flags_are_set_without_waiting_for_producers(sql: SqlWorld, rows: int) -> None:
    keys = range(0, 2 * rows, 2)
    sql.add_rows(*keys)
    with sql.engine.connect() as producer:
        producer.exec_driver_sql(f"INSERT INTO logs (id) VALUES ({2 * rows + 1}), (3)")
        with sql.ledger.transaction(sql.lease) as tx:
            for start in range(0, rows, 500):
                tx.set_flags(keys[start : start + 500])
        producer.commit()
    assert sql.read().flags == set(keys)


TRACKED = """
CREATE TABLE logs (
  id BIGINT PRIMARY KEY, label VARCHAR(255), synced_to_bq TINYINT(1) DEFAULT 0,
  updated_at TIMESTAMP(6) NOT NULL DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP(6),
  touched DATETIME DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP,
  local_time_of_sync DATETIME(6), utc_time_of_sync TIMESTAMP(6) NULL,
  doubled BIGINT AS (id * 2) STORED, INDEX (synced_to_bq)
)
"""


@pytest.mark.parametrize(
    ("synced_at", "expected"),
    [
        ("local_time_of_sync", datetime(2026, 3, 1, 21, 0)),  # Asia/Tokyo
        ("utc_time_of_sync", datetime(2026, 3, 1, 12, 0)),
        ("touched", datetime(2026, 3, 1, 21, 0)),
        (None, None),
    ],
)
def test_marking_changes_the_flag_and_the_time_of_it_and_nothing_else(
    engine: Engine, synced_at: str | None, expected: datetime | None
) -> None:
    with sql_world(engine, TRACKED, settings(synced_at=synced_at)) as world:
        world.add_rows(1, 2)
        columns = SourceColumns(settings(synced_at=synced_at), world.described, ZoneInfo("Asia/Tokyo"), lambda: NOW)
        with engine.connect() as connection:
            before = connection.execute(text("SELECT * FROM logs WHERE id = 1")).mappings().one()
            for statement in columns.flagging([1]):
                connection.execute(statement)
            after = connection.execute(text("SELECT * FROM logs WHERE id = 1")).mappings().one()
            assert connection.scalar(text("SELECT synced_to_bq FROM logs WHERE id = 2")) == 0
    changed = {name: value for name, value in after.items() if value != before[name]}
    assert changed == {"synced_to_bq": 1} | ({} if synced_at is None else {synced_at: expected})


def test_rows_that_are_marked_already_keep_the_time_they_were_synced(engine: Engine) -> None:
    with sql_world(engine, TRACKED, settings(synced_at="utc_time_of_sync")) as world:
        world.add_rows(1)
        for moment in (NOW, NOW + timedelta(hours=1)):
            columns = SourceColumns(settings(synced_at="utc_time_of_sync"), world.described, None, lambda at=moment: at)  # type: ignore[misc]  # mypy can't infer it
            with engine.begin() as connection:
                for statement in columns.flagging([1]):
                    connection.execute(statement)
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT utc_time_of_sync FROM logs")) == NOW.replace(tzinfo=None)


AGED = """
CREATE TABLE logs (
  id BIGINT PRIMARY KEY, label VARCHAR(255), synced_to_bq TINYINT(1) DEFAULT 0,
  in_tokyo DATETIME, in_utc TIMESTAMP NULL, INDEX (synced_to_bq)
)
"""


@pytest.mark.parametrize("age_column", ["in_tokyo", "in_utc"])
def test_young_rows_settle_in_the_columns_own_zone(engine: Engine, age_column: str) -> None:
    configured = settings(age_column=age_column, settle_seconds=60)
    with sql_world(engine, AGED, configured) as world:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "INSERT INTO logs (id, label, in_tokyo, in_utc) VALUES"
                " (1, 'old', '2026-03-01 20:58:59', '2026-03-01 11:58:59'),"
                " (2, 'young', '2026-03-01 20:59:01', '2026-03-01 11:59:01'), (3, 'ageless', NULL, NULL)"
            )
        columns = SourceColumns(configured, world.described, ZoneInfo("Asia/Tokyo"), lambda: NOW)
        source = SqlSource(engine, "logs", columns, ["id", "label"], int)
        assert source.waiting_keys(None, 10) == [1, 3]
        rows = source.rows([1, 2, 3])
        assert {key: row.settling for key, row in rows.items()} == {1: False, 2: True, 3: False}
        # Since when it waits is told whether the mapping carries the age column or not, and is no value of the row.
        assert [row.since for row in rows.values()] == [
            datetime(2026, 3, 1, 11, 58, 59, tzinfo=UTC),
            datetime(2026, 3, 1, 11, 59, 1, tzinfo=UTC),
            None,
        ]
        assert rows[1].values == (1, "old")
        carried = SqlSource(engine, "logs", columns, ["id", age_column, "label"], int).rows([1])[1]
        assert carried.since == rows[1].since
        assert len(carried.values) == 3


def test_a_table_without_flag_has_no_waiting_rows_and_nothing_to_mark(engine: Engine) -> None:
    with sql_world(
        engine, "CREATE TABLE logs (id BIGINT PRIMARY KEY, label TEXT)", settings(synced_flag=None)
    ) as world:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO logs VALUES (1, 'some')")
        assert world.source.waiting_keys(None, 10) == []
        assert not world.source.anything_waits()
        assert world.source.rows([1])[1].state is RowState.UNFLAGGED
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags([1])


def test_a_column_whose_type_was_changed_is_noticed(engine: Engine) -> None:
    create = (
        "CREATE TABLE logs (id BIGINT PRIMARY KEY, label VARCHAR(50), at DATETIME,"
        " synced_to_bq BOOLEAN NOT NULL DEFAULT 0) ENGINE=InnoDB"
    )
    with sql_world(engine, create, settings(column="at")) as world:
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO logs (id, at) VALUES (1, '2026-03-01 12:00:00')"))
        source = SqlSource(engine, "logs", world.columns, ["id", "at"], int)
        source.rows([1])
        source.rows([1])
        with engine.begin() as connection:
            connection.execute(text("ALTER TABLE logs MODIFY at TIMESTAMP NULL"))
        with pytest.raises(SourceChangedError):
            source.rows([1])


def test_a_flag_of_a_single_bit_is_a_flag(engine: Engine) -> None:
    with sql_world(engine, LOGS.replace("TINYINT(1) DEFAULT 0", "BIT(1) DEFAULT b'0'")) as world:
        world.add_rows(1, 2, 3)
        world.add_rows(4, flag=None)
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags([2])
        assert world.source.waiting_keys(None, 10) == [1, 3]
        assert {key: row.state for key, row in world.source.rows([1, 2, 3, 4]).items()} == {
            1: RowState.WAITING,
            2: RowState.SYNCED,
            3: RowState.WAITING,
            4: RowState.HISTORY,
        }


# keys of all kinds


def test_unsigned_keys_of_any_size(engine: Engine) -> None:
    table = LOGS.replace("id BIGINT", "id BIGINT UNSIGNED")
    with sql_world(engine, table) as world:
        keys = [0, 2**63 - 1, 2**63, 2**64 - 2, 2**64 - 1]
        world.add_rows(*keys)
        assert world.source.waiting_keys(None, 10) == keys
        assert world.source.waiting_keys(2**63, 10) == keys[3:]
        item = world.add_item(str(2**64 - 1))
        assert world.source.resolve(world.source.pending_items(0, 10)) == {item: 2**64 - 1}
        assert set(world.source.rows(keys)) == set(keys)
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags(keys)
        assert world.source.waiting_keys(None, 10) == []


@pytest.mark.parametrize("charset", ["utf8mb4", "latin1"])
def test_text_keys_mean_what_their_collation_says(engine: Engine, charset: str) -> None:
    table = LOGS.replace("id BIGINT", f"id VARCHAR(50) CHARACTER SET {charset}")
    with sql_world(engine, table) as world:
        world.add_rows("Abc", "def", "Ünder")
        spellings = {spelling: world.add_item(spelling) for spelling in ("ABC", "abc", "def", "ünder", "nobody")}
        keys = world.source.resolve(world.source.pending_items(0, 10))
        assert {spelling: keys[item] for spelling, item in spellings.items()} == {
            "ABC": "Abc",
            "abc": "Abc",
            "def": "def",
            "ünder": "Ünder",
            "nobody": "nobody",
        }
        assert set(world.source.rows(["Abc", "def"])) == {"Abc", "def"}
        assert world.source.waiting_keys("Abc", 10) == ["def", "Ünder"]
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags(["Abc", "Ünder"])
        assert world.source.waiting_keys(None, 10) == ["def"]


def test_text_keys_of_a_binary_collation_are_told_apart(engine: Engine) -> None:
    table = LOGS.replace("id BIGINT", "id VARCHAR(50) COLLATE utf8mb4_bin")
    with sql_world(engine, table) as world:
        world.add_rows("abc", "ABC")
        items = [world.add_item(spelling) for spelling in ("abc", "ABC", "Abc")]
        assert world.source.resolve(world.source.pending_items(0, 10)) == dict(
            zip(items, ("abc", "ABC", "Abc"), strict=True)
        )
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags(["abc"])
        assert world.source.waiting_keys(None, 10) == ["ABC"]


def test_text_keys_are_no_numbers(engine: Engine) -> None:
    with sql_world(engine, LOGS.replace("id BIGINT", "id VARCHAR(50)")) as world:
        world.add_rows("7", "007", "7x")
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags(["7"])
        assert sorted(map(str, world.source.waiting_keys(None, 10))) == ["007", "7x"]


ODD = """
CREATE TABLE `odd ``table``%s` (
  `the ``key``%` BIGINT PRIMARY KEY, `select` VARCHAR(255), `order by: %(x)s` TINYINT(1) DEFAULT 0,
  `from` TIMESTAMP NOT NULL DEFAULT '2020-01-01' ON UPDATE CURRENT_TIMESTAMP, INDEX (`order by: %(x)s`)
)
"""


def test_names_may_be_anything(engine: Engine) -> None:
    configured = settings("the `key`%", "select", synced_flag="order by: %(x)s", age_column="from", settle_seconds=60)
    with sql_world(engine, ODD, configured, name="odd `table`%s") as world:
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO `odd ``table``%s` (`the ``key``%`, `select`) VALUES (1, 'a'), (2, 'b')")
            )
        assert world.source.anything_waits()
        assert world.source.waiting_keys(None, 10) == [1, 2]
        assert tuple(world.source.rows([2])[2].values) == (2, "b")
        with world.ledger.transaction(world.lease) as tx:
            tx.set_flags([1])
        assert world.source.waiting_keys(0, 10) == [2]
        with engine.connect() as connection:
            assert connection.scalar(text("SELECT DISTINCT `from` FROM `odd ``table``%s`")) == datetime(2020, 1, 1)


# gentle: an index serves every query


@pytest.fixture
def crowded(sql: SqlWorld) -> SqlWorld:
    """With 20,000 rows and items, nearly all of them done, beside another table with many to do."""
    with sql.engine.begin() as connection:
        connection.exec_driver_sql("INSERT INTO logs SELECT seq, 'some', seq <= 19900 FROM seq_1_to_20000")
        connection.exec_driver_sql(
            "INSERT INTO bq_sync_queue (table_name, record_id, sync_status)"
            " SELECT 'logs', seq, IF(seq <= 19900, 'completed', 'pending') FROM seq_1_to_20000"
        )
        connection.exec_driver_sql(
            "INSERT INTO bq_sync_queue (table_name, record_id) SELECT 'summaries', seq FROM seq_1_to_20000"
        )
        connection.exec_driver_sql("ANALYZE TABLE logs, bq_sync_queue")
    return sql


def plans(world: SqlWorld, statements: list[tuple[str, object]]) -> list[tuple[str, str | None]]:
    """Table and index of each step of each statement's plan; MariaDB's own temporary tables left out."""
    with world.engine.connect() as connection:
        return [
            (row.table, row.key)
            for statement, parameters in statements
            for row in connection.exec_driver_sql(f"EXPLAIN {statement}", parameters)  # type: ignore[arg-type]  # as they were recorded
            if row.table is not None and not row.table.startswith("<")
        ]


class Recorder:
    """The statements that reach the database while it is entered, those of SQLAlchemy and transactions left out."""

    def __init__(self, world: SqlWorld) -> None:
        self._engine = world.engine
        self.statements: list[tuple[str, object]] = []

    def __enter__(self) -> "Recorder":
        event.listen(self._engine, "before_cursor_execute", self._record)
        return self

    def __exit__(self, *_: object) -> None:
        event.remove(self._engine, "before_cursor_execute", self._record)

    def _record(
        self, connection: object, cursor: object, statement: str, parameters: object, context: object, many: bool
    ) -> None:
        if "bq_sync_lease" not in statement:
            self.statements.append((statement, parameters))


def test_an_index_serves_every_read(crowded: SqlWorld) -> None:
    items: list[QueuedItem] = list(crowded.source.pending_items(0, 100))
    with Recorder(crowded) as recorded:
        crowded.source.anything_waits()
        crowded.source.waiting_keys(None, 1000)
        crowded.source.waiting_keys(19_950, 1000)
        crowded.source.pending_items(0, 1000)
        crowded.source.pending_items(19_950, 1000)
        crowded.source.resolve(items)
        crowded.source.inserts_of(range(19_000, 20_000))
        crowded.source.rows(range(19_000, 20_000))
        crowded.source.open_batches()
    assert plans(crowded, recorded.statements) == [
        ("logs", "synced_to_bq"),  # of anything_waits
        ("bq_sync_queue", "bq_sync_queue_table_status"),
        ("logs", "synced_to_bq"),
        ("logs", "synced_to_bq"),
        ("bq_sync_queue", "bq_sync_queue_table_status"),
        ("bq_sync_queue", "bq_sync_queue_table_status"),
        ("bq_sync_queue", "bq_sync_queue_table_status"),  # whether the table has items at all
        ("bq_sync_queue", "bq_sync_queue_table_record"),
        ("bq_sync_queue", "bq_sync_queue_table_record"),
        ("logs", "PRIMARY"),
        ("logs", "PRIMARY"),
        ("bq_sync_batch", "bq_sync_batch_table_state"),
    ]


def test_an_index_serves_every_write(crowded: SqlWorld) -> None:
    with Recorder(crowded) as recorded, crowded.ledger.transaction(crowded.lease) as tx:
        items = list(tx.lock_pending(range(19_901, 20_001)))
        tx.tie(items, 1)
        tx.complete_items(1)
        tx.settle_items(items, ItemStatus.FAILED, "because")
        tx.set_flags([19_901, 19_902, 19_903, 19_904, 19_910, 19_912])
    assert plans(crowded, recorded.statements) == [
        ("bq_sync_queue", "PRIMARY"),
        ("bq_sync_queue", "PRIMARY"),
        ("bq_sync_queue", "bq_sync_queue_batch"),
        ("bq_sync_queue", "PRIMARY"),
        ("logs", "PRIMARY"),
        ("logs", "PRIMARY"),
    ]


def test_text_keys_are_looked_up_by_an_index(engine: Engine) -> None:
    with sql_world(engine, LOGS.replace("id BIGINT", "id VARCHAR(50) CHARACTER SET latin1")) as world:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO logs SELECT seq, 'some', 0 FROM seq_1_to_5000")
            connection.exec_driver_sql("INSERT INTO bq_sync_queue (table_name, record_id) SELECT 'logs', id FROM logs")
            connection.exec_driver_sql("ANALYZE TABLE logs, bq_sync_queue")
        items = list(world.source.pending_items(0, 100))
        with Recorder(world) as recorded:
            world.source.resolve(items)
        assert sorted(plans(world, recorded.statements)) == [("bq_sync_queue", "PRIMARY"), ("logs", "PRIMARY")]
