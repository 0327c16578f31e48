"""A camera server that is measured: a process of its own, which inserts rows one by one, each in its own transaction.

`python -m bench.producer --url mysql+pymysql://... --rate 50 --seconds 10` prints what each COMMIT took, as JSON. It
speaks to the database with as little in between as possible: statements are made before, and sent by PyMySQL. With
`--touch FIRST LAST` it changes rows that are there, at random, as a camera server does that completes its rows later.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import pymysql
from sqlalchemy import make_url

from bench.backlog import TABLE, detection
from sandbox.child import Child

STATEMENTS = 500  # different rows; then they come again
MADE_GOOD_SECONDS = 1.0  # of a stall; what is longer leaves a gap
PATIENCE_SECONDS = 60.0  # beyond the time that it was given


@dataclass(frozen=True, slots=True)
class Commit:
    """One transaction: when its first statement was sent and its COMMIT answered (time.monotonic()), and its row."""

    began: float
    ended: float
    key: int

    @property
    def milliseconds(self) -> float:
        return 1000 * (self.ended - self.began)


@dataclass(frozen=True, slots=True)
class Order:
    """What a producer does.

    Attributes:
        rate: transactions a second on average, at random times: regular ones would always meet bq-sync's own beat at
            the same place. None: as many as it can, one after another.
        seconds: how long what it does is written down, after `warm_up` seconds in which it isn't.
        history: the rows are born with a flag that nobody waits for, so that bq-sync leaves them alone.
        enqueued: each row gets an item in the queue, in its transaction.
        touch: the first and the last key of rows to change, where none are inserted.
    """

    rate: float | None
    seconds: float
    warm_up: float = 1.0
    history: bool = False
    enqueued: bool = False
    touch: tuple[int, int] | None = None

    def arguments(self) -> list[str]:
        made = ["--seconds", str(self.seconds), "--warm-up", str(self.warm_up)]
        made += ["--rate", str(self.rate)] if self.rate else []
        made += ["--history"] if self.history else []
        made += ["--enqueued"] if self.enqueued else []
        return made + (["--touch", *map(str, self.touch)] if self.touch else [])


class Producer:
    """The process, from its start until its commits are read."""

    def __init__(self, url: str, order: Order, log: Path) -> None:
        log.unlink(missing_ok=True)
        self._order = order
        command = [sys.executable, "-m", "bench.producer", "--url", url, *order.arguments()]
        self._child = Child("the producer", command, log)
        self._child.start()

    @property
    def running(self) -> bool:
        return self._child.running

    def commits(self) -> Sequence[Commit]:
        """Wait until it ends.

        Raises:
            ChildError: it failed, or didn't end in time.
        """
        code = self._child.wait(self._order.warm_up + self._order.seconds + PATIENCE_SECONDS)
        if code != 0:
            self._child.terminate()
            raise self._child.failure("failed" if code else "didn't end in time")
        return [Commit(*each) for each in json.loads(self._child.log_tail(1))]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--url", required=True, help="mysql+pymysql://user:password@host:port/database")
    parser.add_argument("--rate", type=float, help="rows a second (default: as fast as it can)")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--history", action="store_true")
    parser.add_argument("--enqueued", action="store_true")
    parser.add_argument("--touch", type=int, nargs=2)
    arguments = vars(parser.parse_args())
    url = make_url(arguments.pop("url"))
    touch = arguments.pop("touch")
    connection = pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        charset="utf8mb4",
        autocommit=True,
    )
    commits = produce(connection, Order(**arguments, touch=tuple(touch) if touch else None))
    json.dump([(each.began, each.ended, each.key) for each in commits], sys.stdout)


def produce(connection: "pymysql.Connection[Any]", order: Order) -> Sequence[Commit]:
    """As ordered; the commits after the warm-up."""
    act = _toucher(connection, order.touch) if order.touch else _inserter(connection, order)
    kept: list[Commit] = []
    random = Random(4)
    began = due = time.monotonic()
    while (now := time.monotonic()) < began + order.warm_up + order.seconds:
        commit = act()
        if now >= began + order.warm_up:
            kept.append(commit)
        if order.rate:
            due = max(due + random.expovariate(order.rate), time.monotonic() - MADE_GOOD_SECONDS)
            time.sleep(max(0.0, due - time.monotonic()))
    return kept


def _inserter(connection: "pymysql.Connection[Any]", order: Order) -> Callable[[], Commit]:
    random, place, cursor = Random(2), 0, connection.cursor()
    rows = [detection(random, datetime.now()) for _ in range(STATEMENTS)]
    statements = [cursor.mogrify(*_insert(row, order.history)) for row in rows]

    def act() -> Commit:
        nonlocal place
        place = (place + 1) % STATEMENTS
        statement = statements[place]
        began = time.monotonic()
        if order.enqueued:
            connection.begin()
        cursor.execute(statement)
        key = cursor.lastrowid
        if order.enqueued:
            cursor.execute(f"INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('{TABLE}', {key})")  # noqa: S608  ours
            connection.commit()
        return Commit(began, time.monotonic(), key)

    return act


def _toucher(connection: "pymysql.Connection[Any]", keys: tuple[int, int]) -> Callable[[], Commit]:
    random, cursor = Random(3), connection.cursor()

    def act() -> Commit:
        # Another value each time: one that is there already would cost nothing.
        key, more = random.randint(*keys), random.randint(1, 99)
        began = time.monotonic()
        cursor.execute(f"UPDATE {TABLE} SET severity = (severity + {more}) MOD 100 WHERE id = {key}")  # noqa: S608  ours
        return Commit(began, time.monotonic(), key)

    return act


def _insert(row: Mapping[str, Any], history: bool) -> tuple[str, Sequence[Any]]:
    """The statement and its values; the row's time is that of its insert, in the zone of the shipped configuration."""
    values = {"tid": "T2025112006260013", "fid": "0150", **row} | ({"synced_to_bq": None} if history else {})
    del values["detected_at"]
    places = ", ".join(["%s"] * len(values))
    return (
        f"INSERT INTO {TABLE} (detected_at, {', '.join(values)}) VALUES (UTC_TIMESTAMP(3) + INTERVAL 9 HOUR, {places})",  # noqa: S608  ours
        [*values.values()],
    )


if __name__ == "__main__":
    main()
