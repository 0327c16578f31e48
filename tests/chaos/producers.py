"""Producers at their worst: three at once, whose transactions commit out of order, roll back, and enqueue or don't."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from bq_sync_enqueuer import BqSyncEnqueuer
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from sandbox.camera import Camera

PRODUCERS = 3
MOST_ROWS = 12  # in a transaction
LONGEST_OPEN_SECONDS = 1.5
LONGEST_REST_SECONDS = 0.25
AGAIN_SECONDS = 0.2  # after an error of the database
SHARES = {"detection_logs": 70, "is21_logs": 22, "ai_summary_cache": 8}


class Producers:
    """Insert rows while `running`. What the tables hold afterwards is what they meant: an insert that failed is let be.

    Args:
        engine: of the source database; to be had even where workers' connections are cut.
        seed: of all that is decided; not of the moments.
    """

    def __init__(self, engine: Engine, seed: str) -> None:
        self._producers = [_Producer(engine, f"{seed}/{number}") for number in range(PRODUCERS)]

    @contextmanager
    def running(self) -> Iterator[None]:
        """Returns when all their transactions have ended."""
        stopped = threading.Event()
        threads = [threading.Thread(target=producer.run, args=(stopped,)) for producer in self._producers]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            stopped.set()
            for thread in threads:
                thread.join()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No transaction of theirs is open meanwhile."""
        with ExitStack() as gates:
            for producer in self._producers:
                gates.enter_context(producer.gate)
            yield


class _Producer:
    def __init__(self, engine: Engine, seed: str) -> None:
        self.gate = threading.Lock()  # held while it works
        self._engine = engine
        self._random = Random(seed)
        self._camera = Camera(engine, self._random.randrange(1 << 30), enqueue_share=0.4)
        self._silent = Camera(engine, self._random.randrange(1 << 30), enqueue_share=0)
        self._ways = [
            self._commit,
            self._commit,
            self._commit_late,
            self._roll_back,
            self._item_before_row,
            self._item_after_row,
            self._items_out_of_order,
        ]

    def run(self, stopped: threading.Event) -> None:
        self._stopped = stopped
        while not stopped.is_set():
            way = self._random.choice(self._ways)
            (table,) = self._random.choices(list(SHARES), list(SHARES.values()))
            rows = self._random.randint(1, MOST_ROWS)
            rest = self._random.uniform(0, LONGEST_REST_SECONDS)
            try:
                with self.gate:
                    way(table, rows)
            except DBAPIError:
                rest = AGAIN_SECONDS
            stopped.wait(rest)

    def _commit(self, table: str, rows: int) -> None:
        with self._engine.begin() as connection:
            self._camera.insert_in(connection, table, rows)

    def _commit_late(self, table: str, rows: int) -> None:
        """The others take higher ids meanwhile, and commit them."""
        with self._engine.begin() as connection:
            self._camera.insert_in(connection, table, rows)
            self._stay_open()

    def _roll_back(self, table: str, rows: int) -> None:
        with self._engine.connect() as connection:
            self._camera.insert_in(connection, table, rows)
            self._stay_open()
            connection.rollback()

    def _item_before_row(self, table: str, rows: int) -> None:
        """The items are committed while their rows can't be seen yet."""
        with self._engine.begin() as connection:
            ids = self._silent.insert_in(connection, table, rows)
            self._enqueue(table, ids)
            self._stay_open()

    def _item_after_row(self, table: str, rows: int) -> None:
        """Maybe the rows were sent by then, and have their flags; maybe they are on their way."""
        with self._engine.begin() as connection:
            ids = self._silent.insert_in(connection, table, rows)
        self._stay_open()
        self._enqueue(table, ids)

    def _items_out_of_order(self, table: str, rows: int) -> None:
        """Two items of each row: the second, with the higher id, is committed first."""
        with self._engine.begin() as connection:
            ids = self._silent.insert_in(connection, table, rows)
        with self._engine.begin() as connection:
            _enqueue_all(BqSyncEnqueuer(connection), table, ids)
            self._enqueue(table, ids)
            self._stay_open()

    def _enqueue(self, table: str, ids: list[int]) -> None:
        with self._engine.begin() as connection:
            _enqueue_all(BqSyncEnqueuer(connection), table, ids)

    def _stay_open(self) -> None:
        self._stopped.wait(self._random.uniform(0, LONGEST_OPEN_SECONDS))


def _enqueue_all(enqueuer: BqSyncEnqueuer, table: str, ids: list[int]) -> None:
    for row_id in ids:
        enqueuer.enqueue(table, row_id)


def take_back_promises(engine: Engine, keys: dict[str, str]) -> None:
    """Remove pending items whose rows never came, since the transaction that made them failed.

    bq-sync waits ten minutes for such a row, and rightly so; nobody has so much time here.

    Args:
        keys: the primary key's column of each table.
    """
    for table, key in keys.items():
        promised = (
            f"SELECT q.id FROM bq_sync_queue q LEFT JOIN `{table}` t ON t.`{key}` = q.record_id"
            f" WHERE q.table_name = :table AND q.sync_status = 'pending' AND t.`{key}` IS NULL"
        )
        with engine.connect() as connection:
            items = list(connection.scalars(text(promised), {"table": table}))
        for item in items:  # one at a time, by its key: a worker's locks aren't crossed
            with engine.begin() as connection:
                connection.execute(text("DELETE FROM bq_sync_queue WHERE id = :id"), {"id": item})
