"""The sample camera server: a producer of rows, as fast or as slow as asked, that knows nothing of BigQuery.

`python -m sandbox.camera --url mysql+pymysql://... --rate 20` inserts until it is stopped.
"""

import argparse
import signal
import threading
from collections.abc import Callable
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from bq_sync_enqueuer import BqSyncEnqueuer
from sqlalchemy import Connection, Engine, column, create_engine, func, insert, select, table
from sqlalchemy.exc import DBAPIError

from sandbox import camera_values
from sandbox.camera_tables import create_tables
from sandbox.camera_values import Row

ZONE = ZoneInfo("Asia/Tokyo")  # what the camera server's DATETIME columns are in
RETRY_SECONDS = 1.0
MAX_TRANSACTION_ROWS = 50  # PyMySQL splits INSERTs of more than 1 MB, and ids would have gaps

# Of a hundred rows, as in a real installation: mostly detections, now and then a summary.
MIX = (("detection_logs", 78), ("is21_logs", 20), ("ai_summary_cache", 2))


class Camera:
    """Inserts rows in transactions of various sizes; a share of them is enqueued, in the row's own transaction.

    The others are only found by their flag. The same seed makes the same rows, but for their times.
    """

    def __init__(
        self,
        engine: Engine,
        seed: int = 1,
        *,
        enqueue_share: float = 0.5,
        tid: str = "T2025112006260013",
        fid: str = "0150",
    ) -> None:
        self._engine = engine
        self._random = Random(seed)
        self._enqueue_share = enqueue_share
        self._site = {"tid": tid, "fid": fid}

    def insert_detections(self, rows: int) -> list[int]:
        """Insert so many rows into detection_logs; their ids."""
        return self.insert("detection_logs", rows)

    def insert(self, name: str, rows: int) -> list[int]:
        """Insert so many rows into the table of that name; their ids."""
        ids: list[int] = []
        while len(ids) < rows:
            size = min(rows - len(ids), self._random.randint(1, MAX_TRANSACTION_ROWS))
            with self._engine.begin() as connection:
                ids += self.insert_in(connection, name, size)
        return ids

    def insert_mixed(self, rows: int) -> None:
        """Insert so many rows, spread over the three tables as a real installation has them."""
        names = self._random.choices([name for name, _ in MIX], [share for _, share in MIX], k=rows)
        for name in dict.fromkeys(names):
            self.insert(name, names.count(name))

    def insert_in(self, connection: Connection, name: str, size: int) -> list[int]:
        """Insert so many rows, MAX_TRANSACTION_ROWS at most, in a transaction of the caller's; their ids."""
        make = MAKERS[name]
        now = datetime.now(ZONE).replace(tzinfo=None)
        rows = [self._site | make(self._random, now) for _ in range(size)]
        connection.execute(insert(table(name, *map(column, rows[0]))), rows)
        # Of a statement with many rows this is the first id; the others follow it without gaps.
        first = connection.execute(select(func.last_insert_id())).scalar_one()
        ids = list(range(first, first + size))
        enqueuer = BqSyncEnqueuer(connection)
        for row_id in ids:
            if self._random.random() < self._enqueue_share:
                enqueuer.enqueue(name, row_id)
        return ids


MAKERS: dict[str, Callable[[Random, datetime], Row]] = {
    "detection_logs": camera_values.detection,
    "ai_summary_cache": camera_values.summary,
    "is21_logs": camera_values.inference,
}


def run(camera: Camera, stopped: threading.Event, *, rate: float, rows: int | None) -> None:
    """Insert about `rate` rows a second until stopped or until `rows` are made; wait for a database that is away."""
    batch = max(1, round(rate / 2))
    made = 0
    while not stopped.is_set() and (rows is None or made < rows):
        size = batch if rows is None else min(batch, rows - made)
        try:
            camera.insert_mixed(size)
        except DBAPIError as error:
            print(f"camera: the database doesn't take rows ({type(error.orig).__name__}); trying again", flush=True)
            stopped.wait(RETRY_SECONDS)
            continue
        made += size
        stopped.wait(size / rate)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m sandbox.camera", description="A sample camera server.")
    parser.add_argument("--url", required=True, help="mysql+pymysql://user:password@host/database")
    parser.add_argument("--rate", type=float, default=20, help="rows a second (default: 20)")
    parser.add_argument("--rows", type=int, help="stop after so many rows (default: run until stopped)")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()

    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    engine = create_engine(arguments.url, pool_pre_ping=True)
    create_tables(engine)
    run(Camera(engine, arguments.seed), stopped, rate=arguments.rate, rows=arguments.rows)


if __name__ == "__main__":
    main()
