"""What operators ask for, on a real database: pauses and who follows them, failed items, and rows by the minute."""

import asyncio
import threading
import time
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import anyio
import pytest
from sqlalchemy import Connection, Engine, event, text

from database.activity import MINUTES, read_activity
from database.commands import request
from database.engine import connect
from database.failed import (
    AT_ONCE,
    NoSuchItemsError,
    NotFailedError,
    failed_items,
    give_up,
    give_up_all,
    retry,
    retry_all,
)
from database.locks import lock_name
from database.schema import batch, command, metadata, queue
from database.schema import table as notes
from operations import control
from operations.control import Patience, PausedError, PauseState, flush, pause, resume

pytestmark = pytest.mark.integration

SOON = Patience(taken=0.2, done=0.3, look=0.01)


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    metadata.create_all(engine, tables=[batch, command, notes, queue])
    return engine


@contextmanager
def owned(engine: Engine, table: str) -> Iterator[None]:
    """Some worker owns the table."""
    with engine.connect() as connection:
        name = {"name": lock_name(engine.url.database or "", table)}
        assert connection.scalar(text("SELECT GET_LOCK(:name, 0)"), name)
        yield
        connection.scalar(text("SELECT RELEASE_LOCK(:name)"), name)


def note(engine: Engine, table: str, state: str) -> None:
    with engine.begin() as connection:
        insert = "INSERT INTO bq_sync_table (table_name, state) VALUES (:table, :state)"
        connection.execute(text(f"{insert} ON DUPLICATE KEY UPDATE state = :state"), {"table": table, "state": state})


def wanted(engine: Engine) -> dict[str, bool]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT table_name, paused FROM bq_sync_table"))
        return {row.table_name: bool(row.paused) for row in rows}


def asking(what: Callable[..., Coroutine[Any, Any, Any]], *arguments: object) -> object:
    answer: object = anyio.run(what, *arguments)
    return answer


# pausing


def test_without_a_worker_a_table_is_paused_at_once_and_for_the_next_one(prepared: Engine) -> None:
    assert asking(pause, prepared, ("logs", "summaries"), Patience()) == {
        "logs": PauseState.PAUSED,
        "summaries": PauseState.PAUSED,
    }
    assert wanted(prepared) == {"logs": True, "summaries": True}
    assert asking(resume, prepared, ("logs",), Patience()) == {"logs": PauseState.RESUMED}
    assert wanted(prepared) == {"logs": False, "summaries": True}


def test_a_pause_is_told_once_the_worker_follows(prepared: Engine) -> None:
    note(prepared, "logs", "running")
    done: list[object] = []
    with owned(prepared, "logs"):
        asker = threading.Thread(
            target=lambda: done.append(asking(pause, prepared, ("logs",), Patience(taken=20, look=0.01)))
        )
        asker.start()
        while not wanted(prepared)["logs"]:
            assert asker.is_alive()
        assert not done
        note(prepared, "logs", "paused")
        asker.join(10)
        assert done == [{"logs": PauseState.PAUSED}]


def test_a_worker_that_doesnt_follow_in_time_is_said(prepared: Engine) -> None:
    note(prepared, "logs", "running")
    note(prepared, "summaries", "paused")
    with owned(prepared, "logs"), owned(prepared, "summaries"):
        assert asking(pause, prepared, ("logs", "summaries"), SOON) == {
            "logs": PauseState.PAUSING,
            "summaries": PauseState.PAUSED,
        }
        assert asking(resume, prepared, ("logs", "summaries"), SOON) == {
            "logs": PauseState.RESUMED,
            "summaries": PauseState.RESUMING,
        }


def test_a_flush_of_a_paused_table_asks_nobody(prepared: Engine) -> None:
    asking(pause, prepared, ("summaries",), SOON)
    with pytest.raises(PausedError) as raised:
        asking(flush, prepared, ("logs", "summaries"), SOON)
    assert raised.value.tables == ("summaries",)
    with prepared.connect() as connection:
        assert connection.scalar(text("SELECT COUNT(*) FROM bq_sync_command")) == 0


# failed items


def add_items(engine: Engine, table: str, state: str, count: int) -> None:
    insert = "INSERT INTO bq_sync_queue (table_name, record_id, sync_status, retry_count, last_error)"
    with engine.begin() as connection:
        connection.execute(
            text(f"{insert} SELECT :table, seq, :state, 5, 'too large' FROM seq_1_to_{count}"),
            {"table": table, "state": state},
        )


def states(engine: Engine) -> dict[tuple[str, str], int]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT table_name, sync_status, COUNT(*) FROM bq_sync_queue GROUP BY table_name, sync_status")
        )
        return {(table, state): count for table, state, count in rows}


def test_what_is_asked_while_the_waiting_is_cancelled_is_withdrawn(
    prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Ctrl-C does it: the task is cancelled while a thread writes what is asked."""
    writes, cancelled = threading.Event(), threading.Event()

    def slow_request(connection: Connection, *asked: Any) -> str:
        writes.set()
        assert cancelled.wait(10)
        return request(connection, *asked)

    async def cancel_in_the_middle() -> None:
        flushing = asyncio.ensure_future(flush(prepared, ["logs"], Patience(taken=30, done=30, look=0.01)))
        await anyio.to_thread.run_sync(writes.wait)
        flushing.cancel()
        await asyncio.sleep(0)  # it is told
        cancelled.set()
        with pytest.raises(asyncio.CancelledError):
            await flushing

    monkeypatch.setattr(control, "request", slow_request)
    asking(cancel_in_the_middle)
    with prepared.connect() as connection:
        until = time.monotonic() + 10
        while not (states := list(connection.scalars(text("SELECT state FROM bq_sync_command")))):
            assert time.monotonic() < until
    assert states == ["withdrawn"]


def test_failed_items_come_by_pages_the_newest_first(prepared: Engine) -> None:
    for table in ("logs", "summaries", "others", "logs"):
        add_items(prepared, table, "failed", 3)
    add_items(prepared, "logs", "pending", 2)
    with prepared.connect() as connection:
        first = failed_items(connection, ("logs", "summaries"), 4)
        second = failed_items(connection, ("logs", "summaries"), 4, before=first[-1].id)
        third = failed_items(connection, ("logs", "summaries"), 4, before=second[-1].id)
    pages = [[(item.table, item.record_id) for item in page] for page in (first, second, third)]
    summaries, logs = ([(table, str(key)) for key in (3, 2, 1)] for table in ("summaries", "logs"))
    assert pages == [[*logs, summaries[0]], [*summaries[1:], *logs[:2]], [logs[2]]]
    assert (first[0].error, first[0].retry_count, first[0].operation) == ("too large", 5, "INSERT")
    assert abs(first[0].created_at - datetime.now(UTC)) < timedelta(minutes=5)


def test_a_page_reads_few_of_many_failed_items(prepared: Engine) -> None:
    for table in ("logs", "summaries"):
        add_items(prepared, table, "failed", 20_000)
    with prepared.connect() as connection:
        connection.execute(text("FLUSH STATUS"))
        assert len(failed_items(connection, ("logs", "summaries"), 10, before=30_000)) == 10
        rows = connection.execute(text("SHOW SESSION STATUS LIKE 'Handler_read%'"))
        assert sum(int(value) for _, value in rows) < 500


def test_all_of_some_tables_are_retried_or_given_up(prepared: Engine) -> None:
    add_items(prepared, "logs", "failed", AT_ONCE * 2 + 1)
    add_items(prepared, "summaries", "failed", 2)
    add_items(prepared, "summaries", "abandoned", 1)
    assert retry_all(prepared, ("logs",)) == AT_ONCE * 2 + 1
    assert give_up_all(prepared, ("logs", "summaries")) == 2
    assert states(prepared) == {("logs", "pending"): AT_ONCE * 2 + 1, ("summaries", "abandoned"): 3}
    with prepared.connect() as connection:
        assert connection.scalar(text("SELECT MAX(retry_count) FROM bq_sync_queue WHERE table_name = 'logs'")) == 0


def test_retrying_all_ends_although_they_fail_again_at_once(prepared: Engine, database_url: str) -> None:
    add_items(prepared, "logs", "failed", AT_ONCE + 1)
    worker = connect(database_url)

    @event.listens_for(prepared, "checkin")
    def after_each_transaction(*_: object) -> None:
        with worker.begin() as connection:
            connection.execute(text("UPDATE bq_sync_queue SET sync_status = 'failed' WHERE sync_status = 'pending'"))

    assert retry_all(prepared, ("logs",)) == AT_ONCE + 1
    worker.dispose()


@pytest.mark.parametrize("change", [retry, give_up])
def test_by_id_it_is_all_or_nothing(prepared: Engine, change: Callable[[Engine, Collection[int]], int]) -> None:
    add_items(prepared, "logs", "failed", 2)
    add_items(prepared, "logs", "completed", 1)
    with pytest.raises(NoSuchItemsError, match="no item 4711"):
        change(prepared, (1, 4711))
    ids = _ids(prepared)
    with pytest.raises(NotFailedError, match=f"{max(ids)} is completed"):
        change(prepared, ids)
    assert states(prepared) == {("logs", "failed"): 2, ("logs", "completed"): 1}
    assert change(prepared, (1, 2, 1)) == 2


def _ids(engine: Engine) -> set[int]:
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT id FROM bq_sync_queue")))


# rows by the minute


def test_rows_by_the_minute(prepared: Engine) -> None:
    with prepared.begin() as connection:
        connection.execute(text("SET @@session.timestamp = 1795435230"))  # 12:00:30, so that no minute ends meanwhile
        for ago, rows, state in (
            ("0 SECOND", 1, "completed"),
            ("30 SECOND", 20, "completed"),  # the minute's first instant
            ("31 SECOND", 300, "completed"),
            ("59 MINUTE", 4_000, "completed"),
            ("61 MINUTE", 50_000, "completed"),
            ("5 MINUTE", 7, "released"),
            ("5 MINUTE", 7, "appended"),
        ):
            connection.execute(
                text(
                    "INSERT INTO bq_sync_batch (table_name, state, row_count, sent_rows, ended_at)"
                    f" VALUES ('logs', :state, :rows, '', CURRENT_TIMESTAMP(6) - INTERVAL {ago})"
                ),
                {"state": state, "rows": rows},
            )
        activity = read_activity(connection, ("logs", "summaries"))
    assert activity.start == datetime(2026, 11, 23, 11, 1, tzinfo=UTC)
    assert activity.rows["logs"] == [4_000, *[0] * 57, 300, 21]
    assert activity.rows["summaries"] == [0] * MINUTES


def test_the_minutes_are_read_from_the_index_alone(prepared: Engine) -> None:
    seen: list[tuple[str, Any]] = []
    event.listen(prepared, "before_cursor_execute", lambda *arguments: seen.append((arguments[2], arguments[3])))
    with prepared.connect() as connection:
        read_activity(connection, ("logs", "summaries"))
        query, values = next(each for each in seen if "bq_sync_batch" in each[0])
        plan = connection.exec_driver_sql(f"EXPLAIN {query}", values).mappings().one()
    assert plan["key"] == "bq_sync_batch_ended"
    assert "Using index" in plan["Extra"]
