"""Up, down and up again: on an empty database, and beside source tables with and without flags and rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from click.testing import CliRunner, Result
from sqlalchemy import Engine

from cli.main import main
from database.engine import connect_unpooled
from database.locks import Locks
from database.schema import metadata
from migrations import VERSION_TABLE
from operations.migrate import MigrationError, migrate_down, migrate_up, plan
from tests.integration.migrating import LOGS, NAMES, insert_logs, picture, read, run, settings

pytestmark = pytest.mark.integration

OURS = {f"bq_sync_{name}" for name in ("batch", "command", "incident", "lease", "queue", "site", "stream", "table")}


def tables(engine: Engine) -> set[str]:
    return {name for (name,) in read(engine, "SHOW TABLES")}


def test_an_empty_database_gets_the_tables_that_the_code_knows(engine: Engine) -> None:
    migrate_up(engine, settings(logs={}), None, print)

    with engine.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "version_table": VERSION_TABLE}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []
    assert tables(engine) == OURS | {VERSION_TABLE}


def test_up_again_changes_nothing_and_down_leaves_nothing(engine: Engine) -> None:
    run(engine, LOGS, NAMES)
    was = picture(engine)
    configured = settings(logs={}, names={"primary_key": "name"})
    migrate_up(engine, configured, None, print)
    migrated = picture(engine)

    migrate_up(engine, configured, None, print)
    assert picture(engine) == migrated
    assert plan(engine, configured).is_empty

    migrate_down(engine, configured, print)
    assert picture(engine) == was

    migrate_up(engine, configured, None, print)
    assert picture(engine) == migrated


def test_what_is_there_under_another_name_is_used(engine: Engine) -> None:
    run(engine, "CREATE TABLE logs (log_id INT PRIMARY KEY, sent BOOLEAN DEFAULT 0, INDEX mine (sent, log_id))")
    run(engine, "INSERT INTO logs (log_id) VALUES (1)")
    was = picture(engine)["logs"]

    problems = migrate_up(engine, settings(logs={"primary_key": "log_id", "synced_flag": "SENT"}), None, print)

    assert problems == ()
    assert picture(engine)["logs"] == was


def test_a_table_fed_by_the_queue_alone_needs_nothing(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 3)
    was = picture(engine)["logs"]

    migrate_up(engine, settings(logs={"synced_flag": None}), None, print)

    assert picture(engine)["logs"] == was


def test_an_index_alone_is_added_and_alone_removed(engine: Engine) -> None:
    run(engine, NAMES, "INSERT INTO names VALUES ('a', 0), ('b', NULL), ('c', 1)")
    configured = settings(names={"primary_key": "name"})
    was = picture(engine)

    migrate_up(engine, configured, None, print)
    assert any("`synced_to_bq`)" in str(line) for line in picture(engine)["names"])  # type: ignore[attr-defined]  # lines

    migrate_down(engine, configured, print)
    assert picture(engine) == was


@pytest.mark.parametrize(("history", "there"), [("send", 0), ("skip", None)])
def test_rows_that_are_there_are_sent_or_history(engine: Engine, history: str, there: int | None) -> None:
    run(engine, LOGS)
    insert_logs(engine, 3)

    migrate_up(engine, settings(logs={}), history, print)  # type: ignore[arg-type]  # one of the two

    insert_logs(engine, 2)
    flags = [flag for (flag,) in read(engine, "SELECT synced_to_bq FROM logs ORDER BY id")]
    assert flags == [there] * 3 + [0] * 2


def test_it_asks_for_history_with_figures_before_it_changes_anything(engine: Engine) -> None:
    run(engine, LOGS, NAMES)
    insert_logs(engine, 1234)
    was = picture(engine)

    with pytest.raises(
        MigrationError, match=r"(?s)--history send.*--history skip.*logs: 1,234 rows, about [\d,]+ bytes"
    ):
        migrate_up(engine, settings(logs={}, names={"primary_key": "name"}), None, print)

    assert picture(engine) == was


def test_tables_that_cannot_be_synced_are_named_and_the_rest_goes_on(engine: Engine) -> None:
    run(engine, LOGS, "CREATE TABLE old (id INT PRIMARY KEY) ENGINE=MyISAM")

    problems = migrate_up(engine, settings(missing={}, old={}, logs={}), None, print)

    assert [problem.partition(":")[0] for problem in problems] == ["missing", "old"]
    assert "MyISAM" in problems[1]
    assert read(engine, "SHOW COLUMNS FROM logs LIKE 'synced_to_bq'")
    assert not read(engine, "SHOW COLUMNS FROM old LIKE 'synced_to_bq'")


def test_a_table_configured_later_gets_what_it_lacks(engine: Engine) -> None:
    run(engine, LOGS, "CREATE TABLE more (id INT PRIMARY KEY)")
    migrate_up(engine, settings(logs={}), None, print)

    migrate_up(engine, settings(logs={}, more={}), None, print)
    assert read(engine, "SHOW COLUMNS FROM more LIKE 'synced_to_bq'")

    # On the way down it is no longer configured, but noted.
    migrate_down(engine, settings(logs={}), print)
    assert not read(engine, "SHOW COLUMNS FROM more LIKE 'synced_to_bq'")


def test_other_programs_tables_are_left_alone(engine: Engine) -> None:
    others = (
        "CREATE TABLE bq_sync_log (id INT PRIMARY KEY, message TEXT)",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
    )
    run(engine, *others, "INSERT INTO bq_sync_log VALUES (1, 'x')", "INSERT INTO alembic_version VALUES ('abc')")

    migrate_up(engine, settings(logs={}), None, print)
    migrate_down(engine, settings(logs={}), print)

    assert tables(engine) == {"bq_sync_log", "alembic_version"}
    assert read(engine, "SELECT * FROM alembic_version") == [("abc",)]
    assert read(engine, "SELECT * FROM bq_sync_log") == [(1, "x")]


def test_it_refuses_while_a_worker_owns_a_table(engine: Engine, database_url: str) -> None:
    run(engine, LOGS)
    was = picture(engine)
    locks = Locks(connect_unpooled(database_url), on_lost=print)
    locks.take("logs")

    with pytest.raises(MigrationError, match="stop the worker first"):
        migrate_up(engine, settings(logs={}), None, print)
    assert picture(engine) == was

    locks.close()


def test_when_all_is_done_it_says_so(engine: Engine) -> None:
    run(engine, LOGS)
    migrate_up(engine, settings(logs={}), None, print)

    said: list[str] = []
    migrate_up(engine, settings(logs={}), None, said.append)
    assert said == ["nothing to do"]


@pytest.fixture
def migrated(
    engine: Engine, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """The command on a migrated database with two pending items and a failed one."""
    run(engine, LOGS)
    migrate_up(engine, settings(logs={}), None, print)
    items = "('logs', '1', 'pending'), ('logs', '2', 'pending'), ('logs', '3', 'failed')"
    run(engine, f"INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES {items}")
    file = tmp_path / "bq_sync.yaml"
    table = "{destination: events, primary_key: id, columns: {id: id}}"
    file.write_text(f"bq_sync: {{project_id: p, dataset_id: d, tables: {{logs: {table}}}}}")
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    runner = CliRunner(env={"BQ_SYNC_CONFIG": str(file), "BQ_SYNC_DATABASE_URL": database_url})
    return lambda *arguments, **options: runner.invoke(main, ["migrate", *arguments], **options)


def test_down_says_what_goes_and_a_second_one_that_nothing_is_left(
    engine: Engine, migrated: Callable[..., Result]
) -> None:
    done = migrated("--down", "--yes")
    assert done.exit_code == 0
    assert "bq_sync_batch, bq_sync_command" in done.stdout
    assert "logs: synced_to_bq, bq_sync_flag" in done.stdout
    assert "2 pending and 1 failed items" in done.stdout
    assert tables(engine) == {"logs"}

    assert migrated("--down", "--yes").stdout == "nothing to do\n"


@pytest.mark.parametrize(("answer", "left"), [("n", OURS | {VERSION_TABLE, "logs"}), ("y", {"logs"})])
def test_on_a_terminal_down_asks(
    engine: Engine, migrated: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, answer: str, left: set[str]
) -> None:
    monkeypatch.setattr("cli.main._on_terminal", lambda: True)
    assert "Remove it?" in migrated("--down", input=f"{answer}\n").stdout
    assert tables(engine) == left


def test_names_are_only_names(engine: Engine) -> None:
    name, flag = "lo`gs; -- %s :x", "fl`ag %(y)s"
    run(engine, f"CREATE TABLE `{name.replace('`', '``').replace('%', '%%')}` (id INT PRIMARY KEY)")
    tables_by_name: dict[str, Any] = {name: {"synced_flag": flag}}
    configured = settings(**tables_by_name)

    assert migrate_up(engine, configured, None, print) == ()
    assert plan(engine, configured).is_empty
    migrate_down(engine, configured, print)

    assert tables(engine) == {name}
