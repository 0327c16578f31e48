"""The locks that say which worker owns a table, on a real server."""

from collections.abc import Callable, Iterator
from functools import partial

import pytest
from sqlalchemy import Engine, text

from database.engine import connect_unpooled
from database.locks import Locks, lock_name
from delivery.errors import LedgerError
from tests.fakes.inbox import Listener

pytestmark = pytest.mark.integration


class Worker:
    """One process's locks, and what it hears when they are lost."""

    def __init__(self, url: str) -> None:
        self.heard = Listener()
        self.locks = Locks(
            connect_unpooled(url), lambda connection_id, reason: self.heard.tell((connection_id, reason))
        )

    def take(self, table: str = "logs") -> int | None:
        return self.locks.take(table)


@pytest.fixture
def workers(database_url: str) -> Iterator[tuple[Worker, Worker]]:
    workers = Worker(database_url), Worker(database_url)
    yield workers
    for worker in workers:
        worker.locks.close()


def holder(engine: Engine, table: str = "logs") -> int | None:
    """The connection that holds the table's lock, as anybody may ask."""
    with engine.connect() as connection:
        name = lock_name(engine.url.database or "", table)
        connection_id: int | None = connection.scalar(text("SELECT IS_USED_LOCK(:name)"), {"name": name})
        return connection_id


def kill(engine: Engine, connection_id: int | None) -> None:
    with engine.connect() as connection:
        connection.exec_driver_sql(f"KILL {connection_id}")


def test_one_worker_has_the_lock_and_anybody_can_see_whose_it_is(
    workers: tuple[Worker, Worker], engine: Engine
) -> None:
    owner, standby = workers
    held = owner.take()
    assert held is not None
    assert standby.take() is None
    assert holder(engine) == held


def test_taking_it_again_changes_nothing(workers: tuple[Worker, Worker], engine: Engine) -> None:
    owner, standby = workers
    assert owner.take() == owner.take() == owner.take()
    owner.locks.release("logs")
    assert holder(engine) is None
    assert standby.take() is not None


def test_tables_are_locked_apart_on_one_connection(workers: tuple[Worker, Worker]) -> None:
    first, second = workers
    assert first.take("logs") == first.take("summaries")
    first.locks.release("logs")
    assert second.take("logs") is not None
    assert second.take("summaries") is None


def test_databases_are_locked_apart() -> None:
    names = {lock_name(database, table) for database in ("a", "b", "a b") for table in ("logs", "summaries", "b logs")}
    assert len(names) == 9
    assert max(map(len, names)) <= 64  # what MySQL takes


def test_closing_frees_all(workers: tuple[Worker, Worker]) -> None:
    owner, standby = workers
    owner.take("logs")
    owner.take("summaries")
    owner.locks.close()
    assert wait_for(partial(standby.take, "logs"))
    assert wait_for(partial(standby.take, "summaries"))


def test_a_killed_connection_is_noticed_and_the_lock_can_be_taken_over(
    workers: tuple[Worker, Worker], engine: Engine
) -> None:
    owner, standby = workers
    kill(engine, owner.take())
    assert wait_for(standby.take)
    assert "connection" in str(owner.heard.next())
    assert owner.take() is None


def test_a_loss_that_is_noticed_while_taking_another_lock_is_told_too(
    workers: tuple[Worker, Worker], engine: Engine
) -> None:
    owner, standby = workers
    kill(engine, owner.take("logs"))
    with pytest.raises(LedgerError):
        owner.take("summaries")
    assert owner.heard.next()
    assert owner.take("summaries") is not None
    assert standby.take("logs") is not None


def test_a_server_that_isnt_there_is_an_error_and_no_loss(database_url: str, engine: Engine) -> None:
    nowhere = Worker(engine.url.set(port=1).render_as_string(hide_password=False))
    with pytest.raises(LedgerError):
        nowhere.take()
    assert nowhere.heard.nothing()
    nowhere.locks.close()


def wait_for(take: Callable[[], int | None]) -> bool:
    """Whether the lock comes free: the server frees what a killed connection held in its own time."""
    return any(take() is not None for _ in range(10_000))
