"""The ports of backfills over a database in memory, with a BigQuery that holds a set of keys."""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from delivery.backfill import Stretch
from delivery.backfill_report import Fate, Total
from delivery.destination import AppendResult, Count, FinalizeResult
from delivery.errors import DestinationError, Failure
from delivery.ledger import ItemStatus
from delivery.old_rows import Position
from delivery.rows import Encoded, Key, SentRow, SentRows
from delivery.source import SourceError
from tests.fakes.database import MemoryDatabase
from tests.fakes.mapping import event_id

OPEN = {ItemStatus.PENDING, ItemStatus.SYNCING}


@dataclass
class MemoryHistory:
    """The rows of `database` that are history. `failures`: of the next reads, one each."""

    database: MemoryDatabase
    failures: deque[bool] = field(default_factory=deque)

    def count(self) -> Total:
        self._answer()
        return Total(len(self.database.history))

    def stretch(self, after: Position | None, limit: int) -> Stretch:
        self._answer()
        keys = sorted(key for key in self.database.history if after is None or key > after[0])[:limit]  # type: ignore[operator]  # integers
        return Stretch(keys, len(keys), (keys[-1],) if len(keys) == limit else None)

    def _answer(self) -> None:
        if self.failures and self.failures.popleft():
            raise SourceError("the database can't be reached")


@dataclass
class MemoryItems:
    """Items of `database`; at each look a worker sends `at_once` of them. `most`: of those that were ever open."""

    database: MemoryDatabase
    at_once: int = 1_000_000
    bad: set[Key] = field(default_factory=set)
    there: set[Key] = field(default_factory=set)
    nobody: deque[str] = field(default_factory=deque)  # what stands in the way, at each next look
    most: int = 0

    def add(self, keys: Sequence[Key]) -> Collection[int]:
        ids = [self.database.add_item(key, resend=True) for key in keys]
        self.most = max(self.most, self.open(1_000_000))
        return ids

    def decided(self, ids: Collection[int]) -> Mapping[int, Fate]:
        if not self.nobody:
            self._work()
        fates = {}
        for id_ in ids:
            item = self.database.items[id_]
            if item.status not in OPEN:
                failed = item.status is ItemStatus.FAILED
                fates[id_] = Fate.FAILED if failed else Fate.THERE if int(item.record_id) in self.there else Fate.SENT
        return fates

    def open(self, at_most: int) -> int:
        return min(at_most, sum(item.status in OPEN for item in self.database.items.values()))

    def obstacle(self) -> str | None:
        return self.nobody.popleft() if self.nobody else None

    def _work(self) -> None:
        for item in [item for item in self.database.items.values() if item.status in OPEN][: self.at_once]:
            key = int(item.record_id)
            status = ItemStatus.FAILED if key in self.bad else ItemStatus.COMPLETED
            self.database.change_items([item.id], status=status, batch_id=1)
            if status is ItemStatus.COMPLETED:
                self.database.history.discard(key)
                self.database.flags.add(key)


@dataclass
class MemoryChunk:
    """A file in memory."""

    bad: set[Key]
    sent: list[SentRow] = field(default_factory=list)
    path: Path = Path("chunk")
    shape: tuple[str, ...] = ("event_id",)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    def __len__(self) -> int:
        return len(self.sent)

    @property
    def nbytes(self) -> int:
        return 100 * len(self.sent)

    @property
    def rows(self) -> SentRows:
        return SentRows(("event_id", "tid"), None, tuple(self.sent))

    def add(self, rows: Iterable[tuple[Key, Sequence[object]]]) -> Mapping[Key, str]:
        keys = [key for key, _ in rows]
        self.sent += [SentRow(key, (event_id(key), "T1")) for key in keys if key not in self.bad]
        return {key: "label: is NULL" for key in keys if key in self.bad}

    def finish(self) -> None: ...


@dataclass
class MemoryJobs:
    """BigQuery with load jobs; `arrived` has each row as often as it was inserted. `Loading` and `Destination`.

    `staging`, `inserting`: what happens to the next calls, one each; None: they go through. An insert that fails is
    carried out before its answer is lost (`done`), later (`late`), or not at all.
    """

    arrived: list[Key] = field(default_factory=list)
    staging: deque[Failure | None] = field(default_factory=deque)
    inserting: deque[tuple[Failure, str] | None] = field(default_factory=deque)
    before_stage: Callable[[], None] = lambda: None
    before_insert: Callable[[], None] = lambda: None
    jobs: dict[str, int] = field(default_factory=dict)  # the count of each that was begun or shut out
    late: list[Callable[[], object]] = field(default_factory=list)
    _made: int = 0

    def new_stream(self, rows: int) -> str:
        self._made += 1
        return f"job-{self._made}_{rows}"

    def stage(self, stream: str, path: Path, shape: tuple[str, ...]) -> None:
        self.before_stage()
        if self.staging and (failure := self.staging.popleft()) is not None:
            raise DestinationError(failure)

    def insert(self, stream: str, rows: SentRows, shape: tuple[str, ...]) -> int:
        self.before_insert()
        fault = self.inserting.popleft() if self.inserting else None
        if fault is None or fault[1] == "done":
            inserted = self._carry_out(stream, rows)
        elif fault[1] == "late":
            self.late.append(lambda: self._carry_out(stream, rows))
        if fault is not None:
            raise DestinationError(fault[0])
        return inserted

    def clean_up(self, stream: str) -> None: ...

    def _carry_out(self, stream: str, rows: SentRows) -> int:
        if stream in self.jobs:
            return 0  # 409
        self.jobs[stream] = len(rows)
        new = [key for key in rows.keys if key not in self.arrived]
        self.arrived += new
        return len(new)

    # delivery.destination.Destination

    def finalize(self, stream: str) -> FinalizeResult:
        return Count(self.jobs.setdefault(stream, 0))

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return frozenset(place for place, key in enumerate(rows.keys) if key in self.arrived)

    def open(self) -> str | None:
        raise AssertionError("a backfill opens no stream")

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        raise AssertionError("a backfill appends nothing")

    def close(self) -> None: ...
