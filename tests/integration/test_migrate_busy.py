"""Tables that others use meanwhile: they are never held up for long, and no row of theirs is missed."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Engine

from database import changes
from operations.migrate import MigrationError, migrate_up, plan
from tests.integration.migrating import LOGS, before, insert_logs, read, run, settings

pytestmark = pytest.mark.integration

CONFIGURED = settings(logs={})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PAUSE_SECONDS", 0)


@contextmanager
def producer(engine: Engine) -> Iterator[None]:
    """Inserts rows, one a transaction, from before the block until after it; an error ends the test."""
    stop = threading.Event()
    errors: list[Exception] = []
    begun = threading.Event()

    def produce() -> None:
        try:
            while not stop.is_set():
                run(engine, "INSERT INTO logs (tid) VALUES ('new')")
                begun.set()
        except Exception as error:  # noqa: BLE001  handed to the test's thread
            errors.append(error)

    thread = threading.Thread(target=produce)
    thread.start()
    assert begun.wait(10)
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert errors == []


def test_a_row_that_comes_while_history_is_skipped_is_not_history(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 5)
    comes = threading.Thread(target=lambda: run(engine, "INSERT INTO logs (tid) VALUES ('between')"))

    def insert_between() -> None:
        comes.start()
        waiting = "SELECT 1 FROM information_schema.processlist WHERE state = 'Waiting for table metadata lock'"
        deadline = time.monotonic() + 5
        while not read(engine, waiting) and comes.is_alive():
            assert time.monotonic() < deadline

    with before("SET DEFAULT", insert_between):
        migrate_up(engine, CONFIGURED, "skip", print)
    comes.join()

    assert read(engine, "SELECT tid, synced_to_bq FROM logs ORDER BY id")[-1] == ("between", 0)


@pytest.mark.parametrize(("history", "there"), [("send", 0), ("skip", None)])
def test_a_producer_goes_on_meanwhile(engine: Engine, history: str, there: int | None) -> None:
    run(engine, LOGS)
    insert_logs(engine, 5000)
    marker: list[int] = []

    def note_last_row() -> None:
        marker.append(read(engine, "SELECT MAX(id) FROM logs")[0][0])

    with producer(engine), before("ADD INDEX", note_last_row):
        migrate_up(engine, CONFIGURED, history, print)  # type: ignore[arg-type]  # one of the two

    assert read(engine, "SELECT DISTINCT synced_to_bq FROM logs WHERE tid = 'T1'") == [(there,)]
    last = marker[0]
    assert read(engine, f"SELECT DISTINCT synced_to_bq FROM logs WHERE id > {last}") == [(0,)]


def test_it_tries_again_until_a_long_transaction_ends(engine: Engine) -> None:
    run(engine, LOGS)
    insert_logs(engine, 5)
    said: list[str] = []
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM logs").all()

        def end_the_transaction(line: str) -> None:
            said.append(line)
            if "in use" in line:
                # Between two attempts nobody waits behind us.
                insert_logs(engine, 1)
                reader.rollback()

        migrate_up(engine, CONFIGURED, "skip", end_the_transaction)

    assert any("in use" in line for line in said)
    assert read(engine, "SELECT synced_to_bq FROM logs") == [(None,)] * 6


def test_it_gives_up_on_a_table_that_stays_in_use(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "ATTEMPTS", 1)
    run(engine, LOGS)
    with engine.connect() as reader:
        reader.exec_driver_sql("SELECT * FROM logs").all()
        with pytest.raises(MigrationError, match="in use for too long"):
            migrate_up(engine, CONFIGURED, None, print)
    migrate_up(engine, CONFIGURED, None, print)
    assert read(engine, "SHOW INDEX FROM logs WHERE key_name = 'bq_sync_flag'")


def test_a_skip_that_the_server_cannot_do_online_can_be_done_by_hand(engine: Engine) -> None:
    run(engine, LOGS, "ALTER TABLE logs ADD FULLTEXT INDEX words (tid)")
    insert_logs(engine, 2)

    with pytest.raises(MigrationError, match="run it yourself when nobody does") as refused:
        migrate_up(engine, CONFIGURED, "skip", print)
    by_hand = [line.strip().removesuffix(";") for line in str(refused.value).splitlines()[1:]]
    assert len(by_hand) == 2
    run(engine, *by_hand)
    assert migrate_up(engine, CONFIGURED, None, print) == ()

    assert plan(engine, CONFIGURED).is_empty
    insert_logs(engine, 1)
    assert read(engine, "SELECT synced_to_bq FROM logs ORDER BY id") == [(None,), (None,), (0,)]


def test_what_the_server_cannot_do_instantly_is_left_to_the_operator(engine: Engine) -> None:
    run(engine, LOGS, "ALTER TABLE logs ROW_FORMAT=COMPRESSED")
    insert_logs(engine, 2)

    with pytest.raises(MigrationError, match="run it yourself when nobody does"):
        migrate_up(engine, CONFIGURED, "skip", print)
    migrate_up(engine, CONFIGURED, "send", print)

    assert read(engine, "SELECT synced_to_bq FROM logs") == [(0,), (0,)]
