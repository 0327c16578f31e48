"""The SQL of retention: which rows are old, by any key, age and index; and what of bq-sync's own tables may go."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from config.settings import TableSettings
from database import age_columns, schema
from database.age_columns import AgeColumns
from database.catalogue import read_source_table
from database.engine import Engines, connect_for_reading, connect_unpooled
from database.leases import grant
from database.ledger import SqlLedger
from database.locks import Locks
from database.old_rows import SqlOldRows
from database.retention_reports import SqlReports, last_runs
from database.source_columns import SourceColumns
from delivery.errors import LeaseLost
from delivery.lease import Lease, new_token
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import OldRow, Position
from delivery.retention_report import Refusal, Report
from delivery.rows import Key
from tests.fakes.mapping import sent_rows

pytestmark = pytest.mark.integration

CUTOFF = datetime(2026, 6, 1, tzinfo=UTC)
LONG_AGO, LATELY = CUTOFF - timedelta(days=3), CUTOFF + timedelta(days=1)


@dataclass
class World:
    """A table `logs` of some shape, and this process as its owner."""

    engine: Engine
    engines: Engines
    rows: SqlOldRows
    lease: Lease
    ages: AgeColumns

    def run(self, statement: str, **values: object) -> int:
        with self.engine.begin() as connection:
            return int(connection.execute(text(statement), values).lastrowid or 0)

    def old(self) -> list[OldRow]:
        """All pages."""
        found: list[OldRow] = []
        after: Position | None = None
        while True:
            page = self.rows.old(CUTOFF, after, 7)
            found += page.rows
            if page.next is None:
                return found
            after = page.next

    def keys(self) -> list[Key]:
        with self.engine.connect() as connection:
            return list(connection.scalars(text("SELECT id FROM logs ORDER BY id")))


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(engine: Engine, database_url: str) -> Iterator[MakeWorld]:
    locks = Locks(connect_unpooled(database_url), lambda *_: None)
    reading = connect_for_reading(database_url, connections=2)

    def make(create: str, zone: str | None = None) -> World:
        schema.metadata.create_all(engine)
        settings = TableSettings.model_validate(
            {
                "destination": "d",
                "primary_key": "id",
                "columns": {"event_id": {"template": "x{id}"}},
                "age_column": "at",
            }
        )
        with engine.begin() as connection:
            connection.execute(text(create))
            source = read_source_table(connection, "logs")
        assert source is not None
        zoned = ZoneInfo(zone) if zone else None
        columns = SourceColumns(settings, source, zoned, lambda: datetime.now(UTC))
        connection_id = locks.take("logs")
        assert connection_id is not None
        lease = Lease("logs", new_token(), connection_id)
        grant(engine, lease)
        ages = AgeColumns(settings, source, columns, zoned)
        engines = Engines(write=engine, read=reading)
        return World(engine, engines, SqlOldRows(engines, "logs", ages), lease, ages)

    yield make
    locks.close()
    reading.dispose()


def create(key: str = "BIGINT", at: str = "DATETIME", *indexes: str) -> str:
    columns = [f"id {key} PRIMARY KEY", f"at {at} NULL", "other INT NULL", "synced_to_bq TINYINT(1) NULL DEFAULT 0"]
    return f"CREATE TABLE logs ({', '.join([*columns, *indexes])}) ENGINE=InnoDB"


AGE, AGE_KEY, AGE_OTHER = "INDEX a (at)", "INDEX a (at, id)", "INDEX a (at, other)"
FLAG, FLAG_KEY = "INDEX f (synced_to_bq)", "INDEX f (synced_to_bq, id)"


@pytest.mark.parametrize(
    ("indexes", "walk"),
    [
        ([AGE, FLAG], ("a", True)),
        ([AGE_KEY], ("a", True)),
        ([AGE_OTHER, FLAG], ("f", False)),
        ([FLAG_KEY], ("f", False)),
        ([], ("PRIMARY", False)),
    ],
)
@pytest.mark.parametrize("key", ["BIGINT", "VARCHAR(20)"])
def test_every_old_synced_row_is_found_once_by_any_index(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch, key: str, indexes: list[str], walk: tuple[str, bool]
) -> None:
    monkeypatch.setattr(age_columns, "WINDOW", 10)
    world = make_world(create(key, "DATETIME", *indexes))
    assert (world.ages.walk.index, world.ages.walk.by_age) == walk
    spell = "seq" if key == "BIGINT" else "CONCAT('k', MOD(seq * 37, 100))"
    # Old and young in the order of their keys, many of one age, unsynced and history between them; young ones behind.
    world.run(
        f"INSERT INTO logs SELECT {spell}, :old + INTERVAL MOD(seq, 3) HOUR, 1,"
        " CASE WHEN MOD(seq, 5) = 0 THEN 0 WHEN MOD(seq, 7) = 0 THEN NULL ELSE 1 END FROM seq_1_to_99",
        old=LONG_AGO,
    )
    young = "seq + 1000" if key == "BIGINT" else "CONCAT('y', seq)"
    world.run(f"INSERT INTO logs SELECT {young}, :young, 1, 1 FROM seq_1_to_30", young=LATELY)
    world.run("INSERT INTO logs SELECT " + ("0" if key == "BIGINT" else "'none'") + ", NULL, 1, 1")
    with world.engine.connect() as connection:
        query = "SELECT id FROM logs WHERE synced_to_bq = 1 AND at < :cutoff"
        expected = set(connection.scalars(text(query), {"cutoff": CUTOFF.replace(tzinfo=None)}))
    found = [row.key for row in world.old()]
    assert len(found) == len(set(found)) == 68
    assert set(found) == expected


def test_with_keys_in_order_the_walk_ends_at_the_first_young_rows(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(age_columns, "WINDOW", 10)
    world = make_world(create("BIGINT", "DATETIME", FLAG))
    world.run("INSERT INTO logs SELECT seq, :young, 1, 1 FROM seq_1_to_100", young=LATELY)
    assert world.rows.old(CUTOFF, None, 7).next is None
    # Further than a window behind young rows one may wait until those before it are old too.
    world.run("UPDATE logs SET at = :old WHERE id = 100", old=LONG_AGO)
    assert world.old() == []
    world.run("UPDATE logs SET at = :old", old=LONG_AGO)
    assert len(world.old()) == 100


@pytest.mark.parametrize(
    ("zone", "kind", "value", "is_old"),
    [
        # The cutoff is midnight UTC on June 1: 02:00 in Berlin, 09:00 in Tokyo.
        (None, "DATETIME", "2026-05-31 23:59:59", True),
        (None, "DATETIME", "2026-06-01 00:00:00", False),
        ("Europe/Berlin", "DATETIME", "2026-06-01 01:59:59", True),
        ("Europe/Berlin", "DATETIME", "2026-06-01 02:00:00", False),
        ("Asia/Tokyo", "DATETIME(6)", "2026-06-01 08:59:59.999999", True),
        ("Asia/Tokyo", "DATETIME", "2026-06-01 09:00:00", False),
        ("Asia/Tokyo", "TIMESTAMP", "2026-05-31 23:59:59", True),  # UTC, in our sessions
        ("Asia/Tokyo", "TIMESTAMP", "2026-06-01 00:00:00", False),
        (None, "DATE", "2026-05-31", True),
        (None, "DATE", "2026-06-01", False),
        ("America/New_York", "DATE", "2026-05-30", True),
        ("America/New_York", "DATE", "2026-05-31", False),  # it isn't over there
        (None, "DATETIME", "1970-01-01 00:00:01", False),  # a clock that wasn't set
        (None, "DATETIME", "0000-00-00 00:00:00", False),
    ],
)
def test_ages_are_compared_in_their_own_zone(
    make_world: MakeWorld, zone: str | None, kind: str, value: str, is_old: bool
) -> None:
    world = make_world(create("BIGINT", kind, AGE), zone)
    world.run("INSERT INTO logs VALUES (1, :value, 1, 1)", value=value)
    found = world.old()
    assert [row.key for row in found] == ([1] if is_old else [])
    assert all(row.age < CUTOFF for row in found)
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_synced([1], CUTOFF).rows == is_old


@pytest.mark.parametrize(
    ("cutoff", "old"),
    [
        ("2026-10-25T00:30:00Z", {1}),  # 02:30 for the first time: the row of 02:15 may be of the second
        ("2026-10-25T01:30:00Z", {1, 2}),  # for the second time
        ("2026-10-25T02:00:00Z", {1, 2, 3}),
    ],
)
def test_in_the_hour_that_comes_twice_no_row_is_taken_for_older_than_it_may_be(
    make_world: MakeWorld, cutoff: str, old: set[int]
) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE), "Europe/Berlin")
    world.run(
        "INSERT INTO logs VALUES (1, '2026-10-25 01:29:00', 1, 1), (2, '2026-10-25 02:15:00', 1, 1),"
        " (3, '2026-10-25 02:45:00', 1, 1), (4, '2026-10-25 03:00:00', 1, 1)"
    )
    assert {row.key for row in world.rows.old(datetime.fromisoformat(cutoff), None, 7).rows} == old


def test_the_delete_itself_asks_again(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG))
    for key, at, flag in ((1, LONG_AGO, 1), (2, LATELY, 1), (3, LONG_AGO, 0), (4, LONG_AGO, None), (5, None, 1)):
        world.run("INSERT INTO logs VALUES (:key, :at, 1, :flag)", key=key, at=at, flag=flag)
    world.run("INSERT INTO logs SELECT seq, :old, 1, 1 FROM seq_11_to_14", old=LONG_AGO)
    for key, status in ((11, "pending"), (12, "syncing"), (13, "failed"), (14, "completed")):
        world.run(
            "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES ('logs', :key, :status)",
            key=key,
            status=status,
        )
    with world.rows.transaction(world.lease) as tx:
        deleted = tx.delete_synced([1, 2, 3, 4, 5, 11, 12, 13, 14, 99], CUTOFF)
    assert deleted.rows == 2
    assert deleted.refused == {11: Refusal.WAITS, 12: Refusal.WAITS, 13: Refusal.FAILED}
    assert world.keys() == [2, 3, 4, 5, 11, 12, 13]


def test_a_given_up_row_goes_only_while_it_is_given_up(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG))
    world.run("INSERT INTO logs SELECT seq, :old, 1, 0 FROM seq_1_to_5", old=LONG_AGO)
    world.run("UPDATE logs SET synced_to_bq = NULL WHERE id = 4")
    world.run("UPDATE logs SET at = :young WHERE id = 5", young=LATELY)
    for key, status, operation in (
        (1, "abandoned", "INSERT"),
        (2, "abandoned", "INSERT"),
        (2, "pending", "INSERT"),
        (3, "abandoned", "UPDATE"),
        (4, "abandoned", "INSERT"),
        (5, "abandoned", "INSERT"),
    ):
        world.run(
            "INSERT INTO bq_sync_queue (table_name, record_id, sync_status, operation)"
            " VALUES ('logs', :key, :status, :operation)",
            key=key,
            status=status,
            operation=operation,
        )
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_abandoned([1, 2, 3, 4, 5], CUTOFF).rows == 1
    assert world.keys() == [2, 3, 4, 5]
    assert world.rows.old_unsynced([2, 3, 4, 5], CUTOFF).keys() == {2, 3}


def test_who_lost_the_table_deletes_nothing(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG))
    world.run("INSERT INTO logs VALUES (1, :old, 1, 1)", old=LONG_AGO)
    grant(world.engine, Lease("logs", new_token(), world.lease.connection_id))
    with pytest.raises(LeaseLost), world.rows.transaction(world.lease) as tx:
        tx.delete_synced([1], CUTOFF)
    assert world.keys() == [1]


def test_rows_are_deleted_by_their_primary_key(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG))
    world.run("INSERT INTO logs SELECT seq, :old, 1, 1 FROM seq_1_to_50000", old=LONG_AGO)
    world.run("ANALYZE TABLE logs")
    with world.engine.connect() as connection:
        keys = ", ".join(str(key) for key in range(1, 400, 2))
        explained = connection.execute(
            text(f"EXPLAIN DELETE FROM logs WHERE id IN ({keys}) AND synced_to_bq = 1 AND at < '2026-06-01'")
        ).mappings()
        plan = explained.one()
    assert (plan["key"], int(plan["rows"]) <= 200) == ("PRIMARY", True)


def test_what_stays_is_named(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG))
    world.run("INSERT INTO logs SELECT seq, :old, 1, 0 FROM seq_1_to_30", old=LONG_AGO)
    world.run("INSERT INTO logs SELECT seq, :old, 1, NULL FROM seq_31_to_35", old=LONG_AGO)
    world.run("INSERT INTO logs SELECT seq, :young, 1, NULL FROM seq_36_to_40", young=LATELY)
    world.run("INSERT INTO logs VALUES (50, NULL, 1, 1), (51, '1970-01-01 00:05:00', 1, 1), (52, 0, 1, 1)")
    assert {reason: set(keys) for reason, keys in world.rows.staying(CUTOFF).items()} == {
        Refusal.NOT_SYNCED: {*range(1, 31)},
        Refusal.HISTORY: {*range(31, 36)},
        Refusal.NO_AGE: {50, 51, 52},
    }


def test_an_age_that_no_clock_has_told_is_named_where_there_is_no_null(make_world: MakeWorld) -> None:
    world = make_world(create("BIGINT", "DATETIME", AGE, FLAG).replace("DATETIME NULL", "DATETIME NOT NULL"))
    world.run("INSERT INTO logs VALUES (1, '1970-01-01 00:05:00', 1, 1), (2, :old, 1, 1)", old=LONG_AGO)
    assert world.rows.staying(CUTOFF) == {Refusal.NO_AGE: [1]}


# bq-sync's own tables


def test_items_that_are_done_are_read_by_their_ids(make_world: MakeWorld) -> None:
    world = make_world(create())
    now = world.rows.now()
    with SqlLedger(world.engine).transaction(world.lease) as tx:
        batch = tx.add_batch(BatchState.COMPLETED, None, None, sent_rows(1))
    former = world.run(
        "INSERT INTO bq_sync_batch (table_name, state, row_count, sent_rows) VALUES ('logs', 'completed', 0, '')"
    )
    add = (
        "INSERT INTO bq_sync_queue (table_name, record_id, sync_status, batch_id, created_at, synced_at) VALUES"
        " (:table, '1', 'completed', :batch, UTC_TIMESTAMP() - INTERVAL :days DAY,"
        " UTC_TIMESTAMP() - INTERVAL :done DAY)"
    )
    first = world.run(add, table="logs", batch=batch, days=20, done=9)
    second = world.run(add, table="logs", batch=former, days=20, done=1)
    third = world.run(add, table="logs", batch=None, days=20, done=9)
    world.run(add, table="logs", batch=batch, days=1, done=1)
    world.run(add, table="others", batch=batch, days=20, done=9)
    items = world.rows.items_to_clean(ItemStatus.COMPLETED, now - timedelta(days=7), 0, 500)
    assert [(entry.queued.item.id, entry.queued.item.sent, entry.evidence) for entry in items] == [
        (first, True, False),
        (second, True, True),
        (third, False, False),
    ]
    assert [entry.done_at < now - timedelta(days=7) for entry in items] == [True, False, True]
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_items([first], ItemStatus.ABANDONED) == 0
        assert tx.delete_items([first], ItemStatus.COMPLETED) == 1


def test_batches_that_something_rests_on_stay(make_world: MakeWorld) -> None:
    world = make_world(create())
    ids: list[int] = []
    with SqlLedger(world.engine).transaction(world.lease) as tx:
        final, in_use = tx.add_stream("final"), tx.add_stream("in use")
        tx.close_stream(final, 3)
        for state, stream in (
            (BatchState.COMPLETED, final),
            (BatchState.COMPLETED, in_use),
            (BatchState.REFUSED, None),
            (BatchState.RELEASED, final),
            (BatchState.COMPLETED, None),  # an item names it
            (BatchState.APPENDED, None),
            (BatchState.BEGUN, None),
            (BatchState.COMPLETED, None),  # not ended: it stands for rows that are still to be flagged
            *[(BatchState.COMPLETED, None)] * 10,  # the last ones
        ):
            ids.append(tx.add_batch(state, stream, 0, sent_rows(1, 2)))
    world.run(
        "UPDATE bq_sync_batch SET ended_at = UTC_TIMESTAMP() - INTERVAL 99 DAY"
        " WHERE state IN ('completed', 'refused', 'released')"
    )
    world.run("UPDATE bq_sync_batch SET ended_at = NULL WHERE id = :id", id=ids[7])
    world.run(
        "INSERT INTO bq_sync_queue (table_name, record_id, sync_status, batch_id) VALUES ('logs', '1', 'failed', :id)",
        id=ids[4],
    )
    world.run("UPDATE bq_sync_stream SET created_at = created_at - INTERVAL 99 DAY")
    ago = world.rows.now() - timedelta(days=60)
    assert world.rows.batches_to_clean(ago - timedelta(days=60), 0, 50) == []
    found = world.rows.batches_to_clean(ago, 0, 50)
    assert [(batch.id, list(batch.keys)) for batch in found] == [(ids[0], [1, 2]), (ids[2], []), (ids[3], [])]
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_streams(ago, 10) == 0
        assert tx.delete_batches([ids[0], ids[2], ids[3], ids[4], ids[5]]) == 3
        assert tx.delete_streams(ago, 10) == 1


def test_the_last_report_stays(make_world: MakeWorld) -> None:
    world = make_world(create())
    reports = SqlReports(world.engines, "logs")
    assert reports.last_finished() is None
    with world.engine.connect() as connection:
        assert last_runs(connection, ["logs", "others"]) == {}
    now = datetime.now(UTC)

    def keep(*, dry_run: bool = False, problem: str | None = None) -> None:
        report = Report(dry_run, now, deleted=7, problem=problem, ended_at=now)
        reports.keep(world.lease, report.as_json())

    keep()
    world.run("UPDATE bq_sync_command SET ended_at = ended_at - INTERVAL 40 DAY")
    keep(dry_run=True)
    keep(problem="BigQuery can't be reached")
    last = reports.last_finished()
    assert last is not None
    assert timedelta(days=39) < now - last < timedelta(days=41)
    with world.engine.connect() as connection:
        assert last_runs(connection, ["logs", "others"])["logs"].problem == "BigQuery can't be reached"
    world.run(
        "INSERT INTO bq_sync_command (table_name, kind, state, ended_at)"
        " VALUES ('logs', 'flush', 'done', UTC_TIMESTAMP() - INTERVAL 40 DAY)"
    )
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_commands(now - timedelta(days=30), 500) == 1
    assert reports.last_finished() == last
    with world.rows.transaction(world.lease) as tx:
        assert tx.delete_commands(now + timedelta(days=1), 500) == 2
    assert reports.last_finished() == last


def test_how_far_a_run_is_stands_with_its_command(make_world: MakeWorld) -> None:
    world = make_world(create())
    command = world.run("INSERT INTO bq_sync_command (table_name, kind, state) VALUES ('logs', 'retention', 'taken')")
    SqlReports(world.engines, "logs").show(world.lease, command, Report(False, datetime.now(UTC), deleted=7).as_json())
    with world.engine.connect() as connection:
        state, result = connection.execute(text("SELECT state, result FROM bq_sync_command")).one()
    assert (state, json.loads(result)["deleted"], json.loads(result)["finished"]) == ("taken", 7, False)
