"""A BigQuery table in memory, with streams as the Storage Write API has them."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from delivery.destination import AlreadyThere, Appended, AppendResult, Count, FinalizeResult, Missing
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import Encoded, SentRow, SentRows
from mapping.arrow import ArrowRows

Row = Mapping[str, object]

UNAVAILABLE = Failure(ErrorClass.TRANSIENT, "UNAVAILABLE: nobody is there", definite=True)
TIMEOUT = Failure(ErrorClass.TRANSIENT, "DEADLINE_EXCEEDED: no answer in time", definite=False)


@dataclass(frozen=True, slots=True)
class Answered:
    """An append answered by this failure; `written` says whether it had its effect all the same."""

    failure: Failure
    written: bool = False


@dataclass(frozen=True, slots=True)
class Delayed:
    """An append whose answer never comes, and which arrives only when the test says so (`arrive`)."""


@dataclass(frozen=True, slots=True)
class Partly:
    """An append of which only the rows at these places are written, and whose answer never comes."""

    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Request:
    stream: str | None
    offset: int | None
    rows: tuple[Row, ...]
    sent_at: float = 0.0


class MemoryDestination:
    """Takes rows by stream and offset, all of a request or none, as BigQuery does (delivery.destination).

    `faults` are for the next appends, one each; None is no fault. `refuses` says why a row can't be taken, as the
    service would: the whole request is refused then. `open_failures`, `look_up_failures` and `finalize_answers` are
    for the next calls, one each.
    """

    def __init__(self, refuses: Callable[[Row], str | None] = lambda row: None) -> None:
        self.streams: dict[str, list[Row]] = {}
        self.finalized: set[str] = set()
        self.faults: deque[Answered | Delayed | Partly | None] = deque()
        self.open_failures: deque[Failure] = deque()
        self.look_up_failures: deque[Failure] = deque()
        self.finalize_answers: deque[FinalizeResult] = deque()
        self.closed = False
        self.refusal_of = refuses
        self.names_bad_rows = True
        self.under_way: list[Request] = []
        self.others: list[Row] = []

    @property
    def rows(self) -> list[Row]:
        """Everything that the table holds, stream by stream in the order of their making."""
        return [*self.others, *(row for rows in self.streams.values() for row in rows)]

    @property
    def ids(self) -> list[object]:
        """The event_id of every row that the table holds."""
        return [row["event_id"] for row in self.rows]

    def hold(self, rows: SentRows, stream: str | None = None) -> None:
        """Let the table hold these rows already, in a stream where one is named."""
        there = self.others if stream is None else self.streams.setdefault(stream, [])
        there.extend(_asked_for(rows, row) for row in rows.rows)

    def vanish(self, stream: str) -> None:
        """Forget a stream, as the service does with one that was silent for days. Its rows stay."""
        self.others.extend(self.streams.pop(stream))

    def arrive(self) -> None:
        """Let delayed appends arrive now, in the order they were sent; nobody hears the answers."""
        requests, self.under_way = self.under_way, []
        for request in requests:
            self.write(request)

    # the port

    def open(self) -> str | None:
        if self.open_failures:
            raise DestinationError(self.open_failures.popleft())
        name = f"stream-{len(self.streams)}"
        self.streams[name] = []
        return name

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        request = self.requested(stream, offset, rows)
        match self.faults.popleft() if self.faults else None:
            case Answered(failure, written):
                if written:
                    self.write(request)
                return failure
            case Partly(places):
                self.write(replace(request, rows=tuple(request.rows[place] for place in places)))
                return TIMEOUT
            case Delayed():
                self.under_way.append(request)
                return TIMEOUT
            case _:
                return self.write(request)

    def finalize(self, stream: str) -> FinalizeResult:
        if self.finalize_answers:
            return self.finalize_answers.popleft()
        if stream not in self.streams:
            return Missing()
        self.finalized.add(stream)
        return Count(len(self.streams[stream]))

    def look_up(self, rows: SentRows) -> frozenset[int]:
        if self.look_up_failures:
            raise DestinationError(self.look_up_failures.popleft())
        there = self.rows
        wanted = [_asked_for(rows, row) for row in rows.rows]
        return frozenset(
            place
            for place, row in enumerate(wanted)
            if any(all(held.get(name) == value for name, value in row.items()) for held in there)
        )

    def close(self) -> None:
        self.closed = True

    def requested(self, stream: str | None, offset: int | None, rows: Encoded) -> Request:
        return Request(stream, offset, _decoded(rows))

    def write(self, request: Request) -> AppendResult:
        if request.stream is None or request.offset is None:
            raise AssertionError("a stream's append has its stream and offset")
        if request.stream not in self.streams:
            return Failure(ErrorClass.STREAM, "NOT_FOUND: the stream is gone", definite=True)
        if request.stream in self.finalized:
            return Failure(ErrorClass.STREAM, "STREAM_FINALIZED", definite=True)
        held = self.streams[request.stream]
        if request.offset < len(held):
            return AlreadyThere()
        if request.offset > len(held):
            return Failure(ErrorClass.STREAM, "OUT_OF_RANGE", definite=True)
        if (refused := self.refused(request)) is not None:
            return refused
        held.extend(request.rows)
        return Appended()

    def refused(self, request: Request) -> Failure | None:
        """Why BigQuery takes none of the request's rows."""
        bad = {place: reason for place, row in enumerate(request.rows) if (reason := self.refusal_of(row)) is not None}
        if bad and not self.names_bad_rows:
            return Failure(ErrorClass.UNKNOWN, "something about a row", definite=True)
        if bad:
            return Failure(ErrorClass.BAD_ROW, "INVALID_ARGUMENT: rows", definite=True, bad_rows=bad)
        return None


def _decoded(rows: Encoded) -> tuple[Row, ...]:
    assert isinstance(rows, ArrowRows)
    return tuple(rows.record_batch.to_pylist())


def _asked_for(rows: SentRows, row: SentRow) -> dict[str, object]:
    columns = dict(zip(rows.identity_columns, row.identity, strict=True))
    return columns if rows.partition_column is None else columns | {rows.partition_column: row.partition}
