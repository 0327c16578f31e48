"""The SQL for a DBA does what `migrate` does, and asking for it changes nothing."""

from collections.abc import Callable
from functools import partial

import pytest
from sqlalchemy import Engine

from operations.migrate import MigrationError, migrate_down, migrate_up, migration_sql, plan
from tests.integration.migrating import (
    LOGS,
    NAMES,
    OLDER_ITEMS,
    OLDER_QUEUE,
    insert_logs,
    picture,
    read,
    run,
    run_script,
    settings,
)

pytestmark = pytest.mark.integration

CONFIGURED = settings(logs={}, names={"primary_key": "name"})


@pytest.fixture
def feed(database_url: str) -> Callable[[str], None]:
    return partial(run_script, database_url)


def test_fed_to_an_empty_database(engine: Engine, feed: Callable[[str], None]) -> None:
    migrate_up(engine, CONFIGURED, None, print)
    migrated = picture(engine)
    migrate_down(engine, CONFIGURED, print)

    script = migration_sql(engine, CONFIGURED, None)
    assert read(engine, "SHOW TABLES") == []
    feed(script)

    assert picture(engine).keys() == migrated.keys()
    assert {name: made for name, made in picture(engine).items() if name != "notes"} == {
        name: made for name, made in migrated.items() if name != "notes"
    }
    assert plan(engine, CONFIGURED).is_empty


def test_fed_to_a_database_with_an_older_queue(engine: Engine, feed: Callable[[str], None]) -> None:
    run(engine, LOGS, NAMES, "INSERT INTO names VALUES ('a', 0), ('b', NULL)", OLDER_QUEUE, OLDER_ITEMS)
    insert_logs(engine, 6)
    was = picture(engine)

    script = migration_sql(engine, CONFIGURED, "skip")
    assert picture(engine) == was
    feed(script)
    assert read(engine, "SELECT id FROM logs WHERE synced_to_bq IS NULL ORDER BY id") == [(n,) for n in range(1, 7)]
    # What the former program sent is flagged by the next ordinary run; until then its items keep it from being sent.
    migrate_up(engine, CONFIGURED, None, print)
    by_hand = picture(engine)

    migrate_down(engine, CONFIGURED, print)
    run(engine, "DROP TABLE logs, names, bq_sync_queue", LOGS, NAMES, OLDER_QUEUE, OLDER_ITEMS)
    run(engine, "INSERT INTO names VALUES ('a', 0), ('b', NULL)")
    insert_logs(engine, 6)
    migrate_up(engine, CONFIGURED, "skip", print)
    assert by_hand == picture(engine)


def test_nothing_to_do_is_a_script_that_does_nothing(engine: Engine, feed: Callable[[str], None]) -> None:
    run(engine, LOGS)
    migrate_up(engine, settings(logs={}), None, print)
    migrated = picture(engine)

    feed(migration_sql(engine, settings(logs={}), None))

    assert picture(engine) == migrated


def test_it_asks_for_history_too(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 1)

    with pytest.raises(MigrationError, match="--history"):
        migration_sql(engine, settings(logs={}), None)
