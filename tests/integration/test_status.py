"""The status on a real database: what is counted, how old it is, and what the database lacks."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Connection, Engine, insert, text

from config.settings import Settings
from database import counting, flagged
from database.commands import (
    CommandKind,
    CommandState,
    Orders,
    outcomes,
    read_orders,
    request,
    set_paused,
    withdraw,
)
from database.counting import Count
from database.locks import lock_name
from database.schema import metadata, queue
from database.schema import table as notes
from database.status import Problem, Status, read_status
from database.table_status import UNPREPARED, TableStatus

pytestmark = pytest.mark.integration

LOGS = """
CREATE TABLE logs (
    id BIGINT AUTO_INCREMENT PRIMARY KEY,
    made_at {age_type} NULL,
    Synced BOOLEAN NULL DEFAULT FALSE,
    KEY `by %flag` (Synced)
)
"""


def settings(**table: object) -> Settings:
    logs = {
        "destination": "events",
        "primary_key": "id",
        "synced_flag": "synced",
        "age_column": "made_at",
        "columns": {"id": table.get("primary_key", "id")},
    }
    return Settings.model_validate(
        {"project_id": "p", "dataset_id": "d", "database_timezone": "Asia/Tokyo", "tables": {"logs": logs | table}}
    )


def make_logs(engine: Engine, age_type: str = "DATETIME(6)") -> None:
    metadata.create_all(engine)
    with engine.begin() as connection:
        connection.execute(text(LOGS.format(age_type=age_type)))


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    """A connection to a database with our own tables and an empty table `logs`; `read` sees what it committed."""
    make_logs(engine)
    with engine.connect() as connection:
        yield connection


def add_rows(connection: Connection, rows: int, flag: str = "FALSE", made_at: str = "NULL") -> None:
    connection.execute(text(f"INSERT INTO logs (made_at, synced) SELECT {made_at}, {flag} FROM seq_1_to_{rows}"))


def add_items(connection: Connection, status: str, *records: object, **values: object) -> None:
    for record in records:
        item = {"table_name": "logs", "record_id": str(record), "sync_status": status} | values
        connection.execute(insert(queue).values(item))


def read(connection: Connection, **table: object) -> TableStatus:
    connection.commit()
    return read_status(connection.engine, settings(**table)).tables["logs"]


def test_nothing_is_there(connection: Connection) -> None:
    assert read(connection) == TableStatus("stopped")


def test_rows_are_pending_by_flag_and_by_item_each_once(connection: Connection) -> None:
    add_rows(connection, 8)  # ids 1 to 8
    add_rows(connection, 2, flag="TRUE")
    add_rows(connection, 3, flag="NULL")  # history
    add_items(connection, "pending", 1, 2, 99)  # 99: its row isn't there yet
    add_items(connection, "syncing", 3)
    add_items(connection, "failed", 4)
    add_items(connection, "abandoned", 5)
    add_items(connection, "completed", 6, 9, batch_id=1)
    add_items(connection, "failed", 7, operation="UPDATE")
    add_items(connection, "pending", 8, table_name="another")
    status = read(connection)
    # by flag: 6 (its flag is being set), 7 (only an INSERT item decides) and 8; by item: 1, 2 and 99
    assert status.pending == Count(6)
    assert (status.syncing, status.completed, status.failed) == (Count(1), Count(2), Count(2))
    assert status.abandoned == Count(1)


def test_a_table_without_flag_waits_by_items_alone(connection: Connection) -> None:
    add_rows(connection, 5)
    add_items(connection, "pending", 1)
    assert read(connection, synced_flag=None).pending == Count(1)


def test_text_keys_meet_their_items(engine: Engine) -> None:
    metadata.create_all(engine)
    with engine.connect() as connection:
        key = "id VARCHAR(20) CHARACTER SET latin1 PRIMARY KEY"
        connection.execute(text(f"CREATE TABLE logs ({key}, synced BOOLEAN DEFAULT FALSE, KEY (synced))"))
        connection.execute(text("INSERT INTO logs (id) VALUES ('SUM-é'), ('b')"))
        add_items(connection, "failed", "SUM-é")
        assert read(connection, age_column=None).pending == Count(1)


def test_beyond_the_cap_the_server_estimates(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "CAP", 100)
    monkeypatch.setattr(flagged, "AGED_ROWS", 50)
    add_rows(connection, 3000, made_at="UTC_TIMESTAMP(6) + INTERVAL 9 HOUR - INTERVAL 1 HOUR")
    add_rows(connection, 500, flag="TRUE")
    add_items(connection, "pending", *range(2001, 2401))
    pending = read(connection).pending
    assert pending.is_estimate
    assert 1500 < pending.rows < 6000  # 3,000 in truth
    assert read(connection).oldest_pending_age_seconds == pytest.approx(3600, abs=60)


@pytest.mark.parametrize(
    ("age_type", "made_at", "age"),
    [
        ("DATETIME(6)", "UTC_TIMESTAMP(6) + INTERVAL 9 HOUR - INTERVAL 90 SECOND", 90),  # Asia/Tokyo
        ("DATETIME(6)", "UTC_TIMESTAMP(6) + INTERVAL 10 HOUR", -3600),
        ("TIMESTAMP(6)", "UTC_TIMESTAMP(6) - INTERVAL 90 SECOND", 90),
        ("DATETIME(6)", "NULL", None),
        ("BIGINT", "1700000000", None),
    ],
)
def test_the_oldest_row_says_how_far_behind_we_are(engine: Engine, age_type: str, made_at: str, age: float) -> None:
    make_logs(engine, age_type)
    with engine.connect() as connection:
        add_rows(connection, 1, made_at=made_at)
        oldest = read(connection).oldest_pending_age_seconds
    assert oldest == (None if age is None else pytest.approx(age, abs=30))


def test_the_oldest_of_rows_and_items_counts_and_decided_ones_dont(connection: Connection) -> None:
    ago = "UTC_TIMESTAMP(6) + INTERVAL 9 HOUR - INTERVAL {} SECOND"
    add_rows(connection, 1, made_at=ago.format(9000))
    add_items(connection, "failed", 1)
    add_rows(connection, 1, made_at=ago.format(500))
    add_items(connection, "pending", 7, created_at=text("UTC_TIMESTAMP(6) - INTERVAL 300 SECOND"))
    assert read(connection).oldest_pending_age_seconds == pytest.approx(500, abs=30)
    connection.execute(text("UPDATE logs SET synced = TRUE"))
    assert read(connection).oldest_pending_age_seconds == pytest.approx(300, abs=30)


LATE = text("UTC_TIMESTAMP(6) - INTERVAL 90 SECOND")


def test_items_that_wait_for_rows_which_arent_there_are_named(connection: Connection) -> None:
    add_rows(connection, 3)
    add_items(connection, "pending", 1, "002", created_at=LATE)  # their rows are there
    add_items(connection, "pending", 98, created_at=LATE, payload="{}")  # needs no row
    add_items(connection, "pending", 97, created_at=LATE, operation="DELETE")
    assert read(connection).rowless is None
    add_items(connection, "pending", 99, 100, created_at=LATE)
    rowless = read(connection).rowless
    assert rowless is not None
    assert (rowless.items, rowless.first_record, rowless.has_flag) == (2, "99", True)
    assert not read(connection, synced_flag=None).rowless.has_flag  # type: ignore[union-attr]  # there is one


def test_an_item_that_has_just_come_isnt_suspected(connection: Connection) -> None:
    add_items(connection, "pending", 99)
    assert read(connection).rowless is None


def test_of_many_items_few_are_looked_at(connection: Connection) -> None:
    add_items(connection, "pending", *range(500, 530), created_at=LATE)
    rowless = read(connection).rowless
    assert rowless is not None
    assert (rowless.items, rowless.first_record) == (20, "500")


def test_text_keys_are_found_as_the_server_compares_them(engine: Engine) -> None:
    metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(
            text("CREATE TABLE logs (id VARCHAR(20) PRIMARY KEY, made_at DATETIME(6), synced BOOLEAN, KEY (synced))")
        )
        connection.execute(text("INSERT INTO logs (id, synced) VALUES ('abc', 0)"))
        add_items(connection, "pending", "ABC", created_at=LATE)
        assert read(connection).rowless is None
        add_items(connection, "pending", "abd", created_at=LATE)
        rowless = read(connection).rowless
    assert rowless is not None
    assert rowless.first_record == "abd"


def test_items_of_tables_that_arent_configured(connection: Connection) -> None:
    add_items(connection, "pending", 1, 2, table_name="lgos")
    add_items(connection, "completed", 1, table_name="former")
    connection.commit()
    assert read_status(connection.engine, settings()).unconfigured == {"lgos": Count(2)}


def test_what_the_owner_noted(connection: Connection) -> None:
    connection.execute(
        insert(notes).values(
            table_name="logs",
            state="waiting",
            reason="the network is down",
            synced_rows=42,
            last_sync_at=datetime(2026, 11, 23, 1, 2, 3),
            last_error_at=datetime(2026, 11, 23, 4, 5, 6),
            last_error="the network is down",
        )
    )
    status = read(connection)
    assert (status.noted, status.noted_reason, status.synced) == ("waiting", "the network is down", 42)
    assert status.last_sync_at == datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)
    assert status.last_error_at == datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)


def test_a_worker_lives_while_it_holds_the_lock(connection: Connection) -> None:
    lock = {"name": lock_name(connection.engine.url.database or "", "logs")}
    with connection.engine.connect() as worker:
        worker.execute(text("SELECT GET_LOCK(:name, 0)"), lock)
        assert read(connection).owner_alive
        worker.execute(text("SELECT RELEASE_LOCK(:name)"), lock)
    assert not read(connection).owner_alive


def test_the_status_tells_the_databases_time(connection: Connection) -> None:
    status = read_status(connection.engine, settings())
    assert abs(datetime.now(UTC) - status.read_at) < timedelta(seconds=60)


def lacking(engine: Engine, **table: object) -> str:
    status: Status = read_status(engine, settings(**table))
    (problem,) = status.problems
    assert status.tables["logs"].state == UNPREPARED
    assert status.tables["logs"].reason == problem.text
    return problem.text


def test_an_empty_database(engine: Engine) -> None:
    problem = lacking(engine)
    assert "bq_sync_queue" in problem
    assert "run `bq-sync migrate`" in problem


def test_a_table_that_isnt_there(engine: Engine) -> None:
    metadata.create_all(engine)
    assert lacking(engine) == "logs: the database has no such table: create it, or take it out of `tables`"


def test_a_table_without_flag_or_index(connection: Connection) -> None:
    engine = connection.engine
    assert lacking(engine, synced_flag="sent") == "logs: the table has no column sent: run `bq-sync migrate`"
    assert lacking(engine, synced_flag="made_at") == "logs: the table has no index on made_at: run `bq-sync migrate`"


def test_a_column_that_isnt_there(connection: Connection) -> None:
    assert lacking(connection.engine, primary_key="x`; DROP") == (
        "logs: the table has no column x`; DROP: correct its settings"
    )
    assert lacking(connection.engine, age_column="made") == "logs: the table has no column made: correct its settings"


def test_a_table_that_somebody_has_locked_is_a_problem_of_that_table_alone(connection: Connection) -> None:
    add_rows(connection, 2)
    add_items(connection, "pending", 99)
    connection.execute(
        text("CREATE TABLE names (name VARCHAR(20) PRIMARY KEY, synced BOOLEAN DEFAULT 0, KEY (synced))")
    )
    connection.execute(text("INSERT INTO names (name) VALUES ('a')"))
    connection.commit()
    logs = settings().tables["logs"]
    names = logs.model_copy(update={"primary_key": "name", "age_column": None})
    both = settings().model_copy(update={"tables": {"logs": logs, "names": names}})

    with connection.engine.connect() as other:
        other.execute(text("LOCK TABLES logs WRITE"))
        try:
            status = read_status(connection.engine, both)
        finally:
            other.execute(text("UNLOCK TABLES"))

    (problem,) = status.problems
    assert problem == Problem("logs: its rows can't be counted: a lock wasn't free in time (error 1205)", "logs")
    assert (status.tables["logs"].noted, status.tables["logs"].noted_reason) == ("stopped", problem.text)
    assert status.tables["logs"].pending == Count(1, is_estimate=True)  # its items
    assert status.tables["names"] == TableStatus("stopped", pending=Count(1))


def test_a_command_waits_until_it_is_withdrawn(connection: Connection) -> None:
    asked = request(connection, CommandKind.RETENTION, ["logs", "summaries"], {"dryRun": True})
    (command,) = read_orders(connection, ["logs"]).commands
    assert (command.table, command.kind, command.arguments) == ("logs", CommandKind.RETENTION, {"dryRun": True})
    withdraw(connection, asked)
    assert not read_orders(connection, ["logs", "summaries"]).commands
    assert [outcome.state for outcome in outcomes(connection, asked)] == [CommandState.WITHDRAWN] * 2


def test_a_command_that_was_taken_isnt_withdrawn(connection: Connection) -> None:
    asked = request(connection, CommandKind.FLUSH, ["logs", "summaries"])
    first, second = (outcome.id for outcome in outcomes(connection, asked))
    turn = text("UPDATE bq_sync_command SET state = :state, result = :result WHERE id = :id")
    connection.execute(turn, {"state": "taken", "result": None, "id": first})
    connection.execute(turn, {"state": "done", "result": '{"flushedCount": 3}', "id": second})
    withdraw(connection, asked)
    logs, summaries = outcomes(connection, asked)
    assert (logs.state, summaries.state) == (CommandState.TAKEN, CommandState.DONE)
    assert summaries.result == {"flushedCount": 3}


def test_a_table_stays_paused_until_it_is_resumed(connection: Connection) -> None:
    set_paused(connection, ["logs", "summaries"], paused=True)
    set_paused(connection, ["summaries"], paused=False)
    assert read_orders(connection, ["logs", "summaries"]) == Orders(frozenset({"logs"}), ())
