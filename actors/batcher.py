"""Batcher: converts found rows and gathers them into batches, as large as backlog, line and quota let them be."""

from collections import deque
from collections.abc import Iterable
from typing import NamedTuple

import structlog

from actors.messages import (
    AppendMeasured,
    BatchReady,
    Flush,
    QuotaExceeded,
    RowsDecided,
    RowsFound,
    Tick,
    WriterReady,
)
from actors.parts import Clock, PipelineActor, Recipient, Scheduler
from delivery.finding import Found
from delivery.pace import Pace
from delivery.rows import TIMED_ROWS, Outgoing, SentRow, SentRows
from delivery.settle import Outcome, RowRef
from mapping.compile import TableMapping
from mapping.row import BadRow, Row

AHEAD = 2  # batches with the writer: one is sent, the next waits encoded


class _Waiting(NamedTuple):
    row: Row
    found: Found


class Batcher(PipelineActor):
    """Emits a batch when `batch_size` rows wait or `interval` seconds have passed since the last one.

    While the writer is busy, rows gather, up to what Pace allows: that is how batches grow with the backlog.
    """

    def __init__(
        self,
        upstream: Recipient,
        writer: Recipient,
        marker: Recipient,
        mapping: TableMapping,
        scheduler: Scheduler,
        clock: Clock,
        pace: Pace,
        batch_size: int,
        interval: float,
        *,
        table: str,
    ) -> None:
        super().__init__(upstream, table)
        self._log = structlog.get_logger(__name__).bind(table=table)
        self._writer = writer
        self._marker = marker
        self._mapping = mapping
        self._scheduler = scheduler
        self._clock = clock
        self._pace = pace
        self._batch_size = batch_size
        self._interval = interval
        self._waiting: deque[_Waiting] = deque()
        self._nbytes = 0  # of all that waits
        self._with_writer = 0
        self._last_emitted = float("-inf")
        self._tick_at: float | None = None
        self._barriers: deque[tuple[int, Flush]] = deque()  # each with how many rows are still before it

    def on_receive(self, message: object) -> None:
        match message:
            case RowsFound(rows):
                self._convert(rows)
            case Tick():
                self._tick_at = None
            case WriterReady():
                self._with_writer -= 1
            case AppendMeasured(rows, nbytes, seconds):
                self._pace = self._pace.measured(rows, nbytes, seconds)
            case QuotaExceeded():
                self._pace = self._pace.eased()
            case Flush():
                self._barriers.append((len(self._waiting), message))
        self._emit()

    def _convert(self, rows: Iterable[Found]) -> None:
        bad: dict[str, list[RowRef]] = {}
        for found in rows:
            try:
                row = self._as_row(found)
            except BadRow as error:
                bad.setdefault(str(error), []).append(RowRef(found.key, found.item))
            except Exception as error:  # noqa: BLE001  one row that nobody foresaw mustn't hold up the others
                self._log.error("a row could not be converted", exc_info=error)
                reason = f"could not be converted ({type(error).__name__}): please report it"
                bad.setdefault(reason, []).append(RowRef(found.key, found.item))
            else:
                self._waiting.append(_Waiting(row, found))
                self._nbytes += row.nbytes
        for reason, guilty in bad.items():
            self._marker.tell(RowsDecided(tuple(guilty), Outcome.FAILED, reason))

    def _as_row(self, found: Found) -> Row:
        if found.payload is None:
            return self._mapping.row(found.values)
        return self._mapping.payload(found.key, found.payload)

    def _emit(self) -> None:
        self._pass_barriers()
        while self._waiting and self._with_writer < AHEAD and self._enough():
            batch = self._take()
            self._with_writer += 1
            self._last_emitted = self._clock.monotonic()
            self._writer.tell(BatchReady(self._outgoing(batch), any(waiting.found.suspect for waiting in batch)))
            self._barriers = deque((before - len(batch), flush) for before, flush in self._barriers)
            self._pass_barriers()
        self._wake_when_due()

    def _enough(self) -> bool:
        if self._barriers:
            return True
        if self._pace.stretch > 1 and self._due_in() > 0:
            return False  # a quota is exceeded: small batches one right after another would be even more requests
        if len(self._waiting) >= self._pace.rows or self._nbytes >= self._pace.bytes:
            return True
        if self._with_writer:
            return False  # more may come until the writer is free
        return len(self._waiting) >= self._batch_size or self._due_in() <= 0

    def _due_in(self) -> float:
        return self._last_emitted + self._interval * self._pace.stretch - self._clock.monotonic()

    def _wake_when_due(self) -> None:
        if self._waiting and not self._with_writer and self._tick_at is None:
            delay = max(0.0, self._due_in())
            self._tick_at = self._clock.monotonic() + delay
            self._scheduler.after(delay, self.actor_ref, Tick())

    def _take(self) -> list[_Waiting]:
        """The next rows of one shape, within the pace; one row at least."""
        batch = [self._waiting.popleft()]
        nbytes = batch[0].row.nbytes
        while self._waiting and len(batch) < self._pace.rows:
            row = self._waiting[0].row
            if row.shape != batch[0].row.shape or nbytes + row.nbytes > self._pace.bytes:
                break
            batch.append(self._waiting.popleft())
            nbytes += row.nbytes
        self._nbytes -= nbytes
        return batch

    def _outgoing(self, batch: list[_Waiting]) -> Outgoing:
        return Outgoing(
            SentRows(
                self._mapping.identity_columns,
                self._mapping.partition_column,
                tuple(SentRow(waiting.found.key, waiting.row.identity, waiting.row.partition) for waiting in batch),
            ),
            tuple(waiting.found.item for waiting in batch),
            self._mapping.encode([waiting.found.key for waiting in batch], [waiting.row for waiting in batch]),
            _since(batch),
        )

    def _pass_barriers(self) -> None:
        while self._barriers and self._barriers[0][0] <= 0:
            self._writer.tell(self._barriers.popleft()[1])


def _since(batch: list[_Waiting]) -> dict[int, float]:
    timed = [(place, since) for place, waiting in enumerate(batch) if (since := waiting.found.since) is not None]
    step = 1 + len(timed) // TIMED_ROWS
    return {place: since.timestamp() for place, since in timed[::step]}
