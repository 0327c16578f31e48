"""What the API needs beside it: tables in a database, and somebody who takes commands as their owner would."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from sqlalchemy import Engine, text

from database.commands import Command, read_orders
from database.schema import metadata

TABLES = ("logs", "summaries")


def make_tables(engine: Engine) -> None:
    """bq-sync's own tables, and the source tables of `tests.unit.api.client.settings`, empty."""
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in TABLES:
            flag = "synced_to_bq BOOLEAN DEFAULT FALSE, KEY (synced_to_bq)"
            connection.execute(text(f"CREATE TABLE {table} (id BIGINT AUTO_INCREMENT PRIMARY KEY, {flag})"))


@contextmanager
def worker(engine: Engine, *tables: str, end: Callable[[Command], str | None]) -> Iterator[None]:
    """Takes the commands to these tables as their owner would, and ends each with that result (None: not at all)."""
    stopped = threading.Event()

    def work() -> None:
        turn = text("UPDATE bq_sync_command SET state = :state, result = :result WHERE id = :id")
        while not stopped.wait(0.01):
            with engine.begin() as connection:
                for command in read_orders(connection, tables).commands:
                    result = end(command)
                    connection.execute(
                        turn, {"state": "done" if result else "taken", "result": result, "id": command.id}
                    )

    with ThreadPoolExecutor(1) as thread:
        working = thread.submit(work)
        try:
            yield
        finally:
            stopped.set()
        working.result()
