"""What a look at the status asks of the database: few statements, and the catalogue only now and then."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine, event, text

from database.counting import Count
from database.engine import connect_for_looking
from database.schema import metadata
from database.status import CATALOGUE_SECONDS, UNCONFIGURED_SECONDS, StatusReader
from database.table_status import UNPREPARED
from tests.fakes.clock import FakeClock
from tests.integration.migrating import run, settings

pytestmark = pytest.mark.integration

TABLES = ("logs", "names", "plates")
CATALOGUE = 3  # statements: our own columns, and columns and indexes of the source tables
TOGETHER = 3  # time and locks, what the owners noted, items


class Looked:
    def __init__(self, engine: Engine) -> None:
        self.engine = connect_for_looking(engine.url)
        self.clock = FakeClock()
        self.reader = StatusReader(self.engine, settings(logs={}, names={}, plates={}), self.clock.monotonic)
        self.reader.read()  # opens the connection

    def statements(self) -> list[str]:
        """Those of one look."""
        with listening(self.engine) as heard:
            self.reader.read()
        return heard

    def asks_catalogue(self) -> bool:
        return any("information_schema" in statement for statement in self.statements())


@contextmanager
def listening(engine: Engine) -> Iterator[list[str]]:
    heard: list[str] = []

    def hear(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        heard.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    yield heard
    event.remove(engine, "before_cursor_execute", hear)


@pytest.fixture
def looked(engine: Engine) -> Iterator[Looked]:
    metadata.create_all(engine)
    for name in TABLES:
        run(engine, f"CREATE TABLE {name} (id BIGINT PRIMARY KEY, synced_to_bq BOOLEAN DEFAULT 0, KEY (synced_to_bq))")
    looked = Looked(engine)
    yield looked
    looked.engine.dispose()


def test_an_idle_database_hears_little(looked: Looked) -> None:
    assert len(looked.statements()) == TOGETHER + len(TABLES)


def test_where_rows_wait_their_age_is_asked_too(looked: Looked, engine: Engine) -> None:
    run(engine, "INSERT INTO logs (id) VALUES (1), (2)")
    assert len(looked.statements()) == TOGETHER + len(TABLES) + 1
    run(engine, "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('logs', '1')")
    assert len(looked.statements()) == TOGETHER + len(TABLES) + 1
    assert looked.reader.read().tables["logs"].pending == Count(2)


def test_an_item_that_waits_for_long_is_looked_at(looked: Looked, engine: Engine) -> None:
    late = "UTC_TIMESTAMP(6) - INTERVAL 61 SECOND"
    run(engine, f"INSERT INTO bq_sync_queue (table_name, record_id, created_at) VALUES ('logs', '1', {late})")
    assert len(looked.statements()) == TOGETHER + len(TABLES) + 2


def test_items_of_unknown_tables_are_looked_for_seldom(looked: Looked, engine: Engine) -> None:
    run(engine, "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('lgos', '1'), ('lgos', '2')")
    assert len(looked.statements()) == TOGETHER + len(TABLES)
    looked.clock.now += UNCONFIGURED_SECONDS
    assert looked.reader.read().unconfigured == {"lgos": Count(2)}
    assert len(looked.statements()) == TOGETHER + len(TABLES)


def test_the_catalogue_is_asked_now_and_then(looked: Looked) -> None:
    looked.clock.now += CATALOGUE_SECONDS - 1
    assert not looked.asks_catalogue()
    looked.clock.now += 1
    assert len(looked.statements()) == CATALOGUE + TOGETHER + len(TABLES)
    assert not looked.asks_catalogue()


def test_what_was_taken_away_is_said_by_the_next_look(looked: Looked, engine: Engine) -> None:
    run(engine, "ALTER TABLE logs DROP KEY synced_to_bq")
    first, second = looked.reader.read(), looked.reader.read()
    assert "its rows can't be counted" in first.problems[0].text
    assert second.problems[0].text == "logs: the table has no index on synced_to_bq: run `bq-sync migrate`"
    assert second.tables["logs"].state == UNPREPARED
    assert second.tables["names"].noted == "stopped"

    run(engine, "ALTER TABLE logs ADD KEY (synced_to_bq)")
    assert looked.reader.read().problems == ()
    assert not looked.asks_catalogue()


def test_our_own_tables_may_go_too(looked: Looked, engine: Engine) -> None:
    run(engine, "ALTER TABLE bq_sync_table DROP COLUMN paused")
    with pytest.raises(Exception, match="paused"):
        looked.reader.read()
    assert "bq_sync_table.paused" in looked.reader.read().problems[0].text


def test_a_table_that_somebody_has_locked_costs_a_second(looked: Looked, engine: Engine) -> None:
    with looked.engine.connect() as connection:
        waits = connection.execute(text("SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout")).one()
    assert tuple(waits) == (1, 1)
