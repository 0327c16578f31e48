"""A migration that is killed after any of its statements is finished by running it again, with the same outcome."""

from collections.abc import Callable
from itertools import count

import pytest
from sqlalchemy import Engine

from operations.migrate import MigrationError, migrate_down, migrate_up, what_goes
from tests.integration.migrating import (
    LOGS,
    NAMES,
    OLDER_ITEMS,
    OLDER_QUEUE,
    Cut,
    before,
    cut_after,
    insert_logs,
    picture,
    read,
    run,
    settings,
)

pytestmark = pytest.mark.integration

PARTS = 3  # of the longest test, so that it needn't be run by one process alone

CONFIGURED = settings(logs={}, names={"primary_key": "name"})


def make_older(engine: Engine) -> None:
    """A database that another program synced until now; nothing else is in it."""
    run(engine, *(f"DROP TABLE `{name}`" for (name,) in read(engine, "SHOW TABLES")))
    run(engine, LOGS, NAMES, "INSERT INTO names VALUES ('a', 0), ('b', NULL)", OLDER_QUEUE, OLDER_ITEMS)
    insert_logs(engine, 6)


def run_until(changes: int, migrate: Callable[[], object]) -> str | None:
    """Cut it after so many changes; the last of them, or None where it had fewer to make."""
    try:
        with cut_after(changes):
            migrate()
    except Cut as cut:
        return str(cut)
    return None


@pytest.mark.parametrize("part", range(PARTS))
def test_up_cut_anywhere(engine: Engine, part: int) -> None:
    make_older(engine)
    migrate_up(engine, CONFIGURED, "skip", print)
    whole = picture(engine)

    for changes in count(1 + part, PARTS):
        make_older(engine)
        cut = run_until(changes, lambda: migrate_up(engine, CONFIGURED, "skip", print))
        if cut is None:
            break
        migrate_up(engine, CONFIGURED, "skip", print)
        assert picture(engine) == whole, f"cut after {cut}"
    assert changes > 25


def test_down_cut_anywhere(engine: Engine) -> None:
    make_older(engine)
    migrate_up(engine, CONFIGURED, "skip", print)
    migrate_down(engine, CONFIGURED, print)
    whole = picture(engine)

    for changes in count(1):
        make_older(engine)
        migrate_up(engine, CONFIGURED, "skip", print)
        cut = run_until(changes, lambda: migrate_down(engine, CONFIGURED, print))
        if cut is None:
            break
        what_goes(engine)  # can be told at any time
        migrate_down(engine, CONFIGURED, print)
        assert picture(engine) == whole, f"cut after {cut}"
    assert changes > 10


def test_up_refuses_what_a_cut_way_down_left(engine: Engine) -> None:
    make_older(engine)
    migrate_up(engine, CONFIGURED, "skip", print)
    with before("DROP TABLE", die), pytest.raises(Cut):
        migrate_down(engine, CONFIGURED, print)

    with pytest.raises(MigrationError, match="a migration down was cut"):
        migrate_up(engine, CONFIGURED, "skip", print)

    migrate_down(engine, CONFIGURED, print)
    migrate_up(engine, CONFIGURED, "skip", print)


def test_rows_that_come_while_a_skip_is_cut_short_are_history(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 2)
    with before("SET DEFAULT", die), pytest.raises(Cut):
        migrate_up(engine, settings(logs={}), "skip", print)
    insert_logs(engine, 2)

    # Still unfinished, so it still asks; and a row can't be lost between two runs: all that are there now are history.
    with pytest.raises(MigrationError, match="--history"):
        migrate_up(engine, settings(logs={}), None, print)
    migrate_up(engine, settings(logs={}), "skip", print)
    insert_logs(engine, 1)

    assert read(engine, "SELECT synced_to_bq FROM logs ORDER BY id") == [(None,)] * 4 + [(0,)]


def test_a_finished_flag_that_lost_its_default_is_not_made_anew(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 2)
    migrate_up(engine, settings(logs={}), "send", print)
    run(engine, "UPDATE logs SET synced_to_bq = 1", "ALTER TABLE logs ALTER COLUMN synced_to_bq SET DEFAULT NULL")

    migrate_up(engine, settings(logs={}), None, print)

    assert read(engine, "SELECT synced_to_bq FROM logs") == [(1,), (1,)]


def test_a_flag_that_somebody_else_added_after_the_note_stays(engine: Engine) -> None:
    run(engine, LOGS)
    with before("ADD COLUMN `synced_to_bq`", die), pytest.raises(Cut):
        migrate_up(engine, settings(logs={}), None, print)
    run(engine, "ALTER TABLE logs ADD COLUMN synced_to_bq BOOLEAN DEFAULT 0")

    migrate_up(engine, settings(logs={}), None, print)
    migrate_down(engine, settings(logs={}), print)

    assert read(engine, "SHOW COLUMNS FROM logs LIKE 'synced_to_bq'")
    assert not read(engine, "SHOW INDEX FROM logs WHERE key_name = 'bq_sync_flag'")


def die() -> None:
    raise Cut
