"""Backlogs carried by workers, from the start of their processes to the last flag set, and what that took."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnClause, Engine, column, select, table

from bench.backlog import SOURCES, TABLE, last_key
from bench.processes import peak_mb, tree_cpu_seconds
from bench.site import LOOK_SECONDS, Site
from sandbox.child import Child

LONGEST_SECONDS = 3600.0


@dataclass(frozen=True, slots=True)
class Carried:
    """What workers did of a backlog; `peak_mb` is that of the largest.

    `tail_seconds`: how long the last rows alone waited, fewer than `batch_size` of a table; it is part of `seconds`.
    Such a rest may have to wait for `interval_seconds`, or happen to come along with the batch before it.
    """

    rows: int
    seconds: float
    tail_seconds: float
    worker_cpu_seconds: float
    database_cpu_seconds: float
    emulator_cpu_seconds: float
    peak_mb: float

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds

    @property
    def rate_before_tail(self) -> float:
        """The same without the time in which only a few rows waited for the end of an interval: to compare runs by."""
        return self.rows / (self.seconds - self.tail_seconds)

    @property
    def busy_cores(self) -> float:
        """How many cores all of them together kept busy, on average."""
        return (self.worker_cpu_seconds + self.database_cpu_seconds + self.emulator_cpu_seconds) / self.seconds


def carry(
    measured: Site, rows: int, *, tables: Sequence[str] = (TABLE,), workers: Sequence[Sequence[str]] = ((),)
) -> Carried:
    """Start a worker with each of these options, and end them when none of the `rows` waits any more.

    Raises:
        ChildError: a worker ended by itself, or the rows still waited after an hour.
    """
    servers = (measured.database.child.pid, measured.emulator.child.pid)
    before = [tree_cpu_seconds(pid) for pid in servers]
    last_keys = {name: last_key(measured.engine, name) for name in tables}
    began = time.monotonic()
    children = [measured.start("worker", *options) for options in workers]
    _wait(measured.engine, {name: key - measured.settings.batch_size for name, key in last_keys.items()}, children)
    tail_began = time.monotonic()
    _wait(measured.engine, last_keys, children)
    ended = time.monotonic()
    of_servers = [tree_cpu_seconds(pid) - then for pid, then in zip(servers, before, strict=True)]
    of_workers = sum(tree_cpu_seconds(child.pid) for child in children)
    carried = Carried(
        rows=rows,
        seconds=ended - began,
        tail_seconds=ended - tail_began,
        worker_cpu_seconds=of_workers,
        database_cpu_seconds=of_servers[0],
        emulator_cpu_seconds=of_servers[1],
        peak_mb=max(peak_mb(child.pid) for child in children),
    )
    for child in children:
        child.terminate()
    return carried


def _wait(engine: Engine, last_keys: Mapping[str, int], children: Sequence[Child]) -> None:
    """Until no row waits any more up to these keys."""
    end = time.monotonic() + LONGEST_SECONDS
    while any(_wait_in(engine, name, key) for name, key in last_keys.items()):
        for child in children:
            if not child.running:
                raise child.failure("ended by itself")
            if time.monotonic() > end:
                raise child.failure(f"left rows waiting for {LONGEST_SECONDS:.0f} s")
        time.sleep(LOOK_SECONDS)


def _wait_in(engine: Engine, name: str, last: int) -> bool:
    """Whether any row waits. The last one is asked first: the index may be full of what was marked just now."""
    flag: ColumnClause[int] = column("synced_to_bq")
    key: ColumnClause[int] = column(SOURCES[name].key)
    source = table(name, flag, key)
    with engine.connect() as connection:
        if connection.scalar(select(flag).select_from(source).where(key == last)) == 0:
            return True
        waiting = select(flag).select_from(source).where(flag == 0, key <= last)
        return connection.scalar(waiting.limit(1)) is not None
