"""Send the history of one table by load jobs, a chunk of rows at a time, under the table's own lease.

A load job is a stream that takes one batch. What became of it decides recovery, after each chunk as after a crash: it
is the same path, so that nothing here knows more than a worker that comes after us.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from delivery.backfill import ROWS_AT_ONCE, BackfillError, SelectedRows, free_of_items
from delivery.backfill_report import BackfillReport, Fate
from delivery.backoff import Backoff
from delivery.begin import DatabaseWentBackError, NewStream, begin_load
from delivery.complete import steps as completing
from delivery.errors import DestinationError, LedgerError
from delivery.lease import Lease
from delivery.ledger import Batch, Ledger, Transaction
from delivery.old_rows import Position
from delivery.patience import ATTEMPTS, passes, patiently
from delivery.rows import Key, SentRows
from delivery.settle import Outcome, RowRef, settle
from delivery.source import Source
from delivery.steps import Gentle, Pause, Steps, ask
from delivery.triage import RowState

ROWS = 100_000  # of a chunk
NBYTES = 200_000_000  # before compression

T = TypeVar("T")
Problem = BackfillError | DestinationError | LedgerError


class Chunk(Protocol):
    """A file that rows are written to. `nbytes`: of the rows, before compression."""

    @property
    def nbytes(self) -> int: ...

    @property
    def path(self) -> Path: ...

    @property
    def shape(self) -> tuple[str, ...]: ...

    @property
    def rows(self) -> SentRows: ...

    def __len__(self) -> int: ...

    def add(self, rows: Iterable[tuple[Key, Sequence[object]]]) -> Mapping[Key, str]:
        """Write rows, each with its source values; those that BigQuery can't take, and why."""
        ...

    def finish(self) -> None:
        """The file is whole; it has a row at least."""
        ...


class Loading(Protocol):
    """The port to BigQuery's load jobs; `stage` and `insert` block, and may raise DestinationError."""

    def new_stream(self, rows: int) -> str: ...

    def stage(self, stream: str, path: Path, shape: tuple[str, ...]) -> None:
        """Bring the file to BigQuery, not yet to the destination; it may be done again."""
        ...

    def insert(self, stream: str, rows: SentRows, shape: tuple[str, ...]) -> int:
        """Let the destination have the rows that were staged and that it lacks; how many these were.

        Once for a stream, and not at all after it was finalized: that tells what became of it where this raises.
        """
        ...

    def clean_up(self, stream: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a chunk, and how long a new stream's row has to stand in the ledger before it is used (fact 7)."""

    rows: int = ROWS
    nbytes: int = NBYTES
    new_stream_seconds: float = 0.0


@dataclass
class BulkBackfill:
    """One run. `steps` does it; `report` says how far it is, at any time.

    Args:
        recover: `delivery.recovery.Recovery.run`, under this lease.
        new_chunk: an empty file; it is deleted with the context.
    """

    lease: Lease
    ledger: Ledger
    recover: Callable[[], tuple[Batch, ...]]
    rows: SelectedRows
    source: Source
    loading: Loading
    new_chunk: Callable[[], AbstractContextManager[Chunk]]
    limits: Limits
    gentle: Gentle
    report: BackfillReport
    backoff: Callable[[], Backoff] = Backoff
    _completed: set[int] = field(default_factory=set, init=False)  # batches, since the ledger was asked for them last

    def steps(self) -> Steps[None]:
        """Recover, and then load one chunk after another until no history is left.

        Raises:
            BackfillError, DestinationError, LedgerError, SourceError: it ends here, and may be begun again at any time.
            LeaseLost: somebody else owns the table.
        """
        yield from self._recover()
        self.report.total = yield from self._patiently(lambda: ask(self.rows.count))
        after = None
        while True:
            with self.new_chunk() as chunk:
                after = yield from self._fill(chunk, after)
                if len(chunk):
                    yield from self._send(chunk)
            if after is None:
                return

    # a chunk

    def _fill(self, chunk: Chunk, after: Position | None) -> Steps[Position | None]:
        """Write the next rows; where the next chunk begins, None: this is the last."""
        while True:
            limit = min(ROWS_AT_ONCE, self.limits.rows - len(chunk))
            passed, values, after = yield from self._patiently(partial(self._read, after, limit))
            bad = chunk.add(values.items())
            yield from self._fail(bad)
            self.report.passed += passed
            self.report.under_way = len(chunk)
            if after is None or len(chunk) >= self.limits.rows or chunk.nbytes >= self.limits.nbytes:
                break
        if len(chunk):
            chunk.finish()
        return after

    def _read(
        self, after: Position | None, limit: int
    ) -> Steps[tuple[int, Mapping[Key, Sequence[object]], Position | None]]:
        """How many rows were passed, those that no item decides about, with their values, and where to go on."""
        started = self.gentle.start()
        stretch = self.rows.stretch(after, limit)
        free = free_of_items(self.source, stretch.keys, self.report)
        rows = self.source.rows(free) if free else {}
        yield self.gentle.rest(started, "reading rows")
        history = {key: row.values for key, row in rows.items() if row.state is RowState.HISTORY}
        return stretch.passed, history, stretch.next

    def _fail(self, bad: Mapping[Key, str]) -> Steps[None]:
        """Each gets a failed item, as a row without one does elsewhere."""
        for reason in set(bad.values()):
            refs = [RowRef(key) for key, why in bad.items() if why == reason]
            yield from self._write(partial(settle, rows=refs, outcome=Outcome.FAILED, reason=reason))
        self.report.decide(Fate.FAILED, len(bad))

    def _send(self, chunk: Chunk) -> Steps[None]:
        """Load the chunk, each time as a new stream, until BigQuery has it and everything says so."""
        backoff = self.backoff()
        while (failure := (yield from self._load(chunk))) is not None:
            if not passes(failure) or backoff.attempts >= ATTEMPTS:
                raise failure
            self.report.wait_for(str(failure))
            yield Pause(backoff.next())
        self.report.under_way = 0

    def _load(self, chunk: Chunk) -> Steps[Problem | None]:
        """None: BigQuery has the chunk. Else why it hasn't."""
        stream, rows = self.loading.new_stream(len(chunk)), chunk.rows
        self.report.wait_for(f"{len(rows):,} rows are uploaded")
        try:
            yield from ask(partial(self.loading.stage, stream, chunk.path, chunk.shape))
        except DestinationError as error:
            return error  # the ledger knows nothing of it yet
        self.report.wait_for(f"{len(rows):,} rows are inserted by BigQuery")
        inserted, failure = len(rows), None
        try:
            yield from self._begin(stream, rows)
            inserted = yield from ask(partial(self.loading.insert, stream, rows, chunk.shape))
        except (BackfillError, DestinationError, LedgerError) as error:
            failure = error
        arrived = yield from self._recover()
        yield from ask(partial(self.loading.clean_up, stream))
        self.report.wait_for(None)
        if not arrived >= set(rows.keys):
            return failure or BackfillError("BigQuery says that the rows were inserted, and doesn't have them")
        self.report.decide(Fate.SENT, inserted)
        self.report.decide(Fate.THERE, len(rows) - inserted)
        return None

    def _begin(self, stream: str, rows: SentRows) -> Steps[None]:
        """Not repeated after an error, which may have been the answer's alone: recovery decides."""
        try:
            with self.ledger.transaction(self.lease) as tx:
                begin_load(tx, rows, NewStream(stream), self._completed)
        except DatabaseWentBackError as back:
            yield from self._write(lambda tx: tx.begin_lookups())
            raise BackfillError(f"{back}; run it again") from back
        self._completed.clear()
        yield Pause(self.limits.new_stream_seconds)

    # what was begun, by us or by those before us

    def _recover(self) -> Steps[set[Key]]:
        """Decide all that was begun and complete what BigQuery has; the keys of these rows."""
        appended = yield from self._patiently(lambda: ask(self.recover))
        for batch in appended:
            for step in completing(batch.id, batch.rows.keys, ROWS_AT_ONCE):
                yield from self._write(step)
            self._completed.add(batch.id)
        return {key for batch in appended for key in batch.rows.keys}

    def _write(self, step: Callable[[Transaction], None]) -> Steps[None]:
        """A transaction that may be repeated."""

        def attempt() -> Steps[None]:
            started = self.gentle.start()
            with self.ledger.transaction(self.lease) as tx:
                step(tx)
            yield self.gentle.rest(started, "writing")

        yield from self._patiently(attempt)

    def _patiently(self, attempt: Callable[[], Steps[T]]) -> Steps[T]:
        return (yield from patiently(attempt, self.backoff(), self.report.wait_for))
