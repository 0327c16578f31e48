"""A BigQuery table in memory that is written to through tabledata.insertAll: no streams, and insertIds for a while."""

from collections.abc import Callable
from dataclasses import replace

from delivery.destination import Appended, AppendResult
from delivery.rows import Encoded
from tests.fakes.clock import FakeClock
from tests.fakes.destination import MemoryDestination, Request, Row

ARRIVAL_SECONDS = 150.0  # a request's deadline, and the time that BigQuery may still take in what it has got
WINDOW_SECONDS = 60.0  # BigQuery promises to remember an insertId for so long; nobody may rest on more


class MemoryInsertAll(MemoryDestination):
    """Takes rows whenever they come. A row's event_id is its insertId; `window_seconds` 0: none is remembered.

    A request that is `Delayed` arrives when the test says so, unless it is too old by then; one that is taken `Partly`
    is never answered. Streams of the other way of writing can be finalized here too: `streams`.
    """

    def __init__(
        self,
        clock: FakeClock,
        refuses: Callable[[Row], str | None] = lambda row: None,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        super().__init__(refuses)
        self._clock = clock
        self._window_seconds = window_seconds
        self._written: dict[object, float] = {}  # insertIds, and when they were seen last

    def open(self) -> str | None:
        return None

    def arrive(self) -> None:
        latest = self._clock.now - ARRIVAL_SECONDS
        self.under_way = [request for request in self.under_way if request.sent_at > latest]
        super().arrive()

    def requested(self, stream: str | None, offset: int | None, rows: Encoded) -> Request:
        return replace(super().requested(stream, offset, rows), sent_at=self._clock.now)

    def write(self, request: Request) -> AppendResult:
        if request.stream is not None or request.offset is not None:
            raise AssertionError("insertAll knows no streams")
        if (refused := self.refused(request)) is not None:
            return refused
        self.others.extend(row for row in request.rows if self._is_new(row["event_id"]))
        return Appended()

    def _is_new(self, insert_id: object) -> bool:
        seen = self._written.get(insert_id, float("-inf"))
        self._written[insert_id] = self._clock.now
        return self._clock.now - seen >= self._window_seconds
