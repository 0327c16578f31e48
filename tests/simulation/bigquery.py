"""The simulated BigQuery table: streams with offsets, rows that can't be taken, requests that arrive late or never."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

from delivery.destination import AlreadyThere, Appended, AppendResult, Count, FinalizeResult, Missing, NoCount
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import Encoded, SentRows
from tests.fakes.clock import FakeClock
from tests.simulation.violation import Violation

SiteRow = tuple[str, str, int, str]  # event_id, site, day, label
COLUMNS = ("event_id", "site", "day", "label")
REFUSED = "refused"  # the label of a row that the service can't take

UNAVAILABLE = Failure(ErrorClass.TRANSIENT, "UNAVAILABLE", definite=True)
TIMEOUT = Failure(ErrorClass.TRANSIENT, "DEADLINE_EXCEEDED", definite=False)
BLOCKED = Failure(ErrorClass.BLOCKED, "PERMISSION_DENIED", definite=True)
QUOTA = Failure(ErrorClass.QUOTA, "RESOURCE_EXHAUSTED", definite=True)
BROKEN = Failure(ErrorClass.STREAM, "INVALID_STREAM_STATE", definite=True)
UNKNOWN = Failure(ErrorClass.UNKNOWN, "what?", definite=True)
UNHEARD_UNKNOWN = Failure(ErrorClass.UNKNOWN, "what?", definite=False)


@dataclass(frozen=True, slots=True)
class SimRows:
    """Encoded rows: themselves."""

    rows: tuple[SiteRow, ...]

    @property
    def nbytes(self) -> int:
        return 100 * len(self.rows)

    def take(self, places: Sequence[int]) -> "SimRows":
        return SimRows(tuple(self.rows[place] for place in places))

    def join(self, others: Sequence["SimRows"]) -> "SimRows":
        return SimRows((*self.rows, *chain.from_iterable(other.rows for other in others)))


@dataclass(frozen=True, slots=True)
class Fault:
    """An append that is answered by `failure`; `written`: it had its effect all the same, None: it may yet have it."""

    failure: Failure
    written: bool | None = False


@dataclass(frozen=True, slots=True)
class Request:
    """One that carries rows; sent at this time. Without streams it has no stream either, and no offset."""

    stream: str | None
    offset: int | None
    rows: tuple[SiteRow, ...]
    at: float


class SimBigQuery:
    """One table. The faults are for the next calls of whomever, one each.

    Args:
        streams: it is written to through streams; else by requests (insertAll) that nothing shuts out, and that are
            lost, as bq-sync takes for granted, where they don't arrive within LATEST_SECONDS.
        names_bad_rows: a refusal names the guilty rows; else it is an error that says nothing.
        repeats_counts: a stream that is finalized once more tells its count again; else only that it is final.
    """

    def __init__(self, clock: FakeClock, *, streams: bool = True, names_bad_rows: bool, repeats_counts: bool) -> None:
        self.has_streams = streams
        self.streams: dict[str, list[SiteRow]] = {}
        self.made: dict[str, float] = {}  # when each stream was
        self.final: set[str] = set()
        self.there: Counter[tuple[str, str, int]] = Counter()
        self.copies: Counter[str] = Counter()  # of our own rows, by event_id
        self.may_be_twice: Callable[[str], int] = lambda event_id: 0
        self.under_way: list[Request] = []
        self.append_faults: deque[Fault] = deque()
        self.other_faults: dict[str, deque[Failure]] = {"open": deque(), "finalize": deque(), "look_up": deque()}
        self.outage: Failure | None = None  # of the whole service
        self._clock = clock
        self._names_bad_rows = names_bad_rows
        self._repeats_counts = repeats_counts

    def heal(self) -> None:
        self.append_faults.clear()
        for faults in self.other_faults.values():
            faults.clear()
        self.outage = None

    def vanish(self, older_than: float) -> None:
        """Collect silent streams, as the service does after days. Their rows stay."""
        gone = [name for name in self.streams if self._clock.now - self.made[name] >= older_than]
        for name in gone:
            del self.streams[name]

    def arrive(self) -> None:
        """Requests that were under way arrive now; nobody hears the answers."""
        requests, self.under_way = self.under_way, []
        for request in requests:
            if self.has_streams or self._clock.now - request.at < LATEST_SECONDS:
                self._write(request)

    # the verbs

    def open(self) -> str | None:
        self._fail("open")
        if not self.has_streams:
            return None
        name = f"stream {len(self.made) + 1}"
        self.streams[name] = []
        self.made[name] = self._clock.now
        return name

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        assert isinstance(rows, SimRows)
        request = Request(stream, offset, rows.rows, self._clock.now)
        if self.outage is not None:
            return self.outage
        fault = self.append_faults.popleft() if self.append_faults else None
        if fault is None:
            return self._write(request)
        if fault.written is None:
            self.under_way.append(request)
        elif fault.written:
            self._write(request)
        return fault.failure

    def finalize(self, stream: str) -> FinalizeResult:
        faults = self.other_faults["finalize"]
        if faults and not (failure := faults.popleft()).definite:
            self.final.add(stream)  # its answer is lost
            return failure
        if stream not in self.streams:
            return Missing()
        if stream in self.final and not self._repeats_counts:
            return NoCount()
        self.final.add(stream)
        return Count(len(self.streams[stream]))

    def look_up(self, rows: SentRows) -> frozenset[int]:
        self._fail("look_up")
        assert (*rows.identity_columns, rows.partition_column) == COLUMNS[:3]
        there = self.there
        return frozenset(place for place, row in enumerate(rows.rows) if there[(*row.identity, row.partition)])  # type: ignore[index]  # the columns' own values

    def _fail(self, verb: str) -> None:
        failure = self.other_faults[verb].popleft() if self.other_faults[verb] else self.outage
        if failure is not None:
            raise DestinationError(failure)

    def _write(self, request: Request) -> AppendResult:
        if request.stream is not None and (elsewhere := self._not_at_its_end(request)) is not None:
            return elsewhere
        bad = {place: "refused" for place, row in enumerate(request.rows) if row[3] == REFUSED}
        if bad and not self._names_bad_rows:
            return UNKNOWN
        if bad:
            return Failure(ErrorClass.BAD_ROW, "INVALID_ARGUMENT: rows", definite=True, bad_rows=bad)
        for row in request.rows:
            self._add(row)
        if request.stream is not None:
            self.streams[request.stream].extend(request.rows)
        return Appended()

    def _not_at_its_end(self, request: Request) -> AlreadyThere | Failure | None:
        """What the stream answers unless the request is for where it ends."""
        assert request.stream is not None
        assert request.offset is not None
        held = self.streams.get(request.stream)
        if held is None:
            return Failure(ErrorClass.STREAM, "NOT_FOUND", definite=True)
        if request.stream in self.final:
            return Failure(ErrorClass.STREAM, "STREAM_FINALIZED", definite=True)
        if request.offset < len(held):
            return AlreadyThere()
        if request.offset > len(held):
            return Failure(ErrorClass.STREAM, "OUT_OF_RANGE", definite=True)
        return None

    def _add(self, row: SiteRow) -> None:
        self.there[row[:3]] += 1
        if row[1] == OWN_SITE:
            self.copies[row[0]] += 1
            if self.copies[row[0]] > 1 + self.may_be_twice(row[0]):
                raise Violation(f"in BigQuery twice: {row[0]}")


OWN_SITE = "ours"
LATEST_SECONDS = 50.0  # after which no request of insertAll arrives any more


class Port:
    """The table as one process reaches it, once it has opened it: each verb is a side effect.

    What isn't promised of insertAll is kept out: a request of who has lost the lease before it goes out is lost too.

    Args:
        owns: whether the process still has the lease.
    """

    def __init__(self, table: SimBigQuery, side_effect: Callable[[], None], owns: Callable[[], bool]) -> None:
        self._table = table
        self._side_effect = side_effect
        self._owns = owns
        self._is_closed = False

    def open(self) -> str | None:
        self._side_effect()
        return self._table.open()

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        self._side_effect()
        if not self._table.has_streams and (self._is_closed or not self._owns()):
            return TIMEOUT
        return self._table.send(stream, offset, rows)

    def finalize(self, stream: str) -> FinalizeResult:
        self._side_effect()
        return self._table.finalize(stream)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        self._side_effect()
        return self._table.look_up(rows)

    def close(self) -> None:
        self._is_closed = True
