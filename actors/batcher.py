"""Batcher: converts found rows and gathers them into batches, as large as backlog, line and quota let them be."""

from collections import deque

from actors.conversion import Conversion, Pieces
from actors.messages import (
    AppendMeasured,
    BatchReady,
    ColumnsFound,
    Flush,
    QuotaExceeded,
    RowsDecided,
    RowsFound,
    Tick,
    WriterReady,
)
from actors.parts import Clock, PipelineActor, Recipient, Scheduler
from actors.waiting import Waiting
from delivery.pace import Pace
from delivery.settle import Outcome
from mapping.compile import TableMapping

AHEAD = 2  # batches with the writer: one is sent, the next waits encoded


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
        self._writer = writer
        self._marker = marker
        self._conversion = Conversion(mapping, table)
        self._scheduler = scheduler
        self._clock = clock
        self._pace = pace
        self._batch_size = batch_size
        self._interval = interval
        self._waiting = Waiting()
        self._with_writer = 0
        self._last_emitted = float("-inf")
        self._tick_at: float | None = None
        self._barriers: deque[tuple[int, Flush]] = deque()  # each with how many rows are still before it

    def on_receive(self, message: object) -> None:
        match message:
            case RowsFound(rows):
                self._gather(self._conversion.of_rows(rows))
            case ColumnsFound(read):
                self._gather(self._conversion.of_columns(read))
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

    def _gather(self, pieces: Pieces) -> None:
        self._waiting.add(pieces.good)
        for reason, guilty in pieces.bad.items():
            self._marker.tell(RowsDecided(tuple(guilty), Outcome.FAILED, reason))

    def _emit(self) -> None:
        self._pass_barriers()
        while self._waiting and self._with_writer < AHEAD and self._enough():
            outgoing, suspect = self._waiting.take(self._pace.rows, self._pace.bytes)
            self._with_writer += 1
            self._last_emitted = self._clock.monotonic()
            self._writer.tell(BatchReady(outgoing, suspect))
            self._barriers = deque((before - len(outgoing), flush) for before, flush in self._barriers)
            self._pass_barriers()
        self._wake_when_due()

    def _enough(self) -> bool:
        if self._barriers:
            return True
        if self._pace.stretch > 1 and self._due_in() > 0:
            return False  # a quota is exceeded: small batches one right after another would be even more requests
        if len(self._waiting) >= self._pace.rows or self._waiting.nbytes >= self._pace.bytes:
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

    def _pass_barriers(self) -> None:
        while self._barriers and self._barriers[0][0] <= 0:
            self._writer.tell(self._barriers.popleft()[1])
