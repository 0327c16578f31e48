"""The real worker in a process of its own, which kills or freezes itself at a named point.

`python -m tests.chaos.doomed_worker --at begun --how kill` carries rows as `bq-sync worker` does,
but for its ports: they are wrapped, and see what passes. Without `--at` nothing is wrapped.
"""

import argparse
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import StrEnum
from typing import cast

from actors import poller
from actors.parts import Clock, Scheduler
from actors.table import OpenedTable
from actors.worker import Opener, open_table, run_worker
from bigquery.connect import Clients
from config.settings import Settings, load
from database.engine import Engines
from delivery.destination import AppendResult, Count, Destination, FinalizeResult, NoCount
from delivery.errors import ErrorClass, Failure
from delivery.lease import Lease
from delivery.ledger import BatchState, Ledger, Transaction
from delivery.rows import Encoded, SentRows
from operations.ending import end_at_once
from tests.chaos.haste import hasten

WATCHED = "detection_logs"  # the table whose points count


class Point(StrEnum):
    """A moment in a batch's life, or in a recovery."""

    BEGINNING = "beginning"  # the batch is written, its transaction open
    BEGUN = "begun"  # committed, not sent
    SENT = "sent"  # BigQuery has it, and its answer never comes
    ANSWERED = "answered"  # the answer has come, the ledger doesn't know
    BETWEEN_FLAGS = "between-flags"  # the first flags of a large batch are committed
    COMPLETING = "completing"  # flags, items and batch are written, their transaction open
    FINALIZED = "finalized"  # recovery: the stream's count has come, the ledger doesn't know
    COUNT_KEPT = "count-kept"  # recovery: what the count couldn't decide is still to be looked up


class Fate(StrEnum):
    """What the process does to itself at its point."""

    KILL = "kill"
    FREEZE = "freeze"

    @property
    def signal(self) -> signal.Signals:
        return signal.SIGKILL if self is Fate.KILL else signal.SIGSTOP


class Doom:
    """Strikes once: when its point is reached for the n-th time."""

    def __init__(self, point: Point, fate: Fate, nth: int) -> None:
        self.point = point
        self._fate = fate
        self._left = nth
        self._lock = threading.Lock()

    def at(self, point: Point) -> bool:
        """A point is reached. True: the process was frozen here, and goes on."""
        if point is not self.point:
            return False
        with self._lock:
            self._left -= 1
            if self._left:
                return False
        print(reached(point), flush=True)
        os.kill(os.getpid(), self._fate.signal)
        return True


def reached(point: Point) -> str:
    """What the process says at its point, just before it happens."""
    return f"reached: {point}"


class DoomedLedger:
    """A ledger whose transactions are watched."""

    def __init__(self, ledger: Ledger, doom: Doom) -> None:
        self._ledger = ledger
        self._doom = doom

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator[Transaction]:
        with self._ledger.transaction(lease) as tx:
            watched = _Watched(tx)
            yield cast(Transaction, watched)
            if watched.begins:
                self._doom.at(Point.BEGINNING)
            if watched.completes:
                self._doom.at(Point.COMPLETING)
        if watched.begins:
            self._doom.at(Point.BEGUN)
        if watched.did("set_flags") and not watched.completes:
            self._doom.at(Point.BETWEEN_FLAGS)
        if watched.did("close_stream"):
            self._doom.at(Point.COUNT_KEPT)


class _Watched:
    """A transaction that remembers its operations."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._done: list[tuple[str, tuple[object, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., object]:
        operation = getattr(self._tx, name)

        def watched(*args: object, **kwargs: object) -> object:
            self._done.append((name, args))
            return operation(*args, **kwargs)

        return watched

    def did(self, name: str, *, state: BatchState | None = None) -> bool:
        return any(done == name and (state is None or state in args) for done, args in self._done)

    @property
    def begins(self) -> bool:
        return self.did("add_batch", state=BatchState.BEGUN)

    @property
    def completes(self) -> bool:
        return self.did("set_state", state=BatchState.COMPLETED)


class DoomedDestination:
    """A destination whose answers are watched; two of them are lost, where the point asks for that."""

    def __init__(self, destination: Destination, doom: Doom) -> None:
        self._destination = destination
        self._doom = doom

    def open(self) -> str | None:
        return self._destination.open()

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        result = self._destination.send(stream, offset, rows)
        if self._doom.at(Point.SENT):
            return Failure(ErrorClass.TRANSIENT, "the connection broke while this process was frozen", definite=False)
        self._doom.at(Point.ANSWERED)
        return result

    def finalize(self, stream: str) -> FinalizeResult:
        result = self._destination.finalize(stream)
        self._doom.at(Point.FINALIZED)
        if isinstance(result, Count) and self._doom.point is Point.COUNT_KEPT:
            return NoCount()  # so that there is something left to look up
        return result

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self._destination.look_up(rows)

    def close(self) -> None:
        self._destination.close()


def doomed(doom: Doom) -> Opener:
    """Opens tables as the worker does; the ports of one of them are watched."""

    def opener(
        settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
    ) -> OpenedTable:
        opened = open_table(settings, name, engines, clients, scheduler, clock)
        if name != WATCHED:
            return opened
        return replace(
            opened,
            ledger=DoomedLedger(opened.ledger, doom),
            destination=DoomedDestination(opened.destination, doom),
        )

    return opener


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.doomed_worker")
    parser.add_argument("--at", type=Point, choices=list(Point))
    parser.add_argument("--how", type=Fate, choices=list(Fate), default=Fate.KILL)
    parser.add_argument("--nth", type=int, default=1, help="the n-th time that the point is reached")
    parser.add_argument("--lookup-first", action="store_true")
    parser.add_argument("--hasty", action="store_true", help="calls to BigQuery are given up after a few seconds")
    arguments = parser.parse_args()
    if arguments.hasty:
        hasten()
    poller.STRAYS_SECONDS = 5.0  # a restored backup is noticed by it where nothing new comes: nobody wants to wait
    opener = None
    if arguments.at is not None:
        opener = doomed(Doom(arguments.at, arguments.how, arguments.nth))
    return run_worker(load(), lookup_first=arguments.lookup_first, opener=opener)


if __name__ == "__main__":
    end_at_once(main())
