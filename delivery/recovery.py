"""Learn what became of everything that was begun: one path after a crash, a lost lease or an unknown outcome.

Fact 6 of docs/exactly-once.md. Two steps, each repeatable: streams are finalized and their counts kept; what no
count decides is looked up. Runs under a new lease, before anything else is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil

from delivery.destination import Count, Destination, Missing, NoCount
from delivery.doubts import Doubts
from delivery.errors import DestinationError, Failure
from delivery.lease import Lease
from delivery.ledger import IN_BIGQUERY, Batch, BatchState, Extent, Ledger, OrphanItem, Stream, Transaction
from delivery.rows import SentRows

ORPHANS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Adopted:
    """Orphaned items as the rows they would be; those that can't be read or converted are missing."""

    rows: SentRows
    items: tuple[int, ...]


ReadOrphans = Callable[[Sequence[OrphanItem]], Adopted]


class TooEarly(Exception):
    """BigQuery's answer isn't believed yet; it is `seconds` later. Nothing is lost; run recovery again by then."""

    def __init__(self, reason: str, seconds: float) -> None:
        super().__init__(reason)
        self.seconds = ceil(seconds)  # whole ones: a fraction that rounding left would be waited for again and again


@dataclass(frozen=True, slots=True)
class Recovery:
    """What recovery works with, for one table.

    `doubts`: of this table and process.
    `stream_settle_seconds`: for how long a stream has to be known before the service's "no such stream" is believed.
    `lookup_settle_seconds`: how long a batch without a stream has to be doubted before "not there" is believed: such a
    batch has no fence, and BigQuery may still be taking in the last request for it.
    `decided`: is told of each batch, once that is committed: its state and how many rows.
    """

    lease: Lease
    ledger: Ledger
    destination: Destination
    read_orphans: ReadOrphans
    doubts: Doubts
    stream_settle_seconds: float
    lookup_settle_seconds: float
    decided: Callable[[BatchState, int], None] = lambda *_: None

    def run(self) -> tuple[Batch, ...]:
        """Decide every batch.

        Returns:
            The batches that BigQuery has and that are still to be completed.

        Raises:
            DestinationError, LedgerError, TooEarly: nothing is lost; run it again, later.
            LeaseLost: somebody else does it.
        """
        with self.ledger.transaction(self.lease) as tx:
            streams = tx.open_streams()
        self.doubts.streams.are([stream.name for stream in streams])
        for stream in streams:
            self._close(stream)
        self._adopt_orphans()
        with self.ledger.transaction(self.lease) as tx:
            in_doubt = tx.batches(BatchState.BEGUN)
        self.doubts.batches.are([batch.id for batch in in_doubt])
        early = [unsettled for batch in in_doubt if (unsettled := self._look_up(batch)) is not None]
        if early:
            raise _unsettled(early)
        with self.ledger.transaction(self.lease) as tx:
            return tuple(tx.batches(BatchState.APPENDED))

    def _close(self, stream: Stream) -> None:
        """Finalize the stream, and keep what its count decides together with the count."""
        count = self._count(stream)
        with self.ledger.transaction(self.lease) as tx:
            extents = tx.extents(stream.id)
            fits = count is not None and believable(count, extents)
            tx.close_stream(stream.id, count if fits else None)
            if count is None or not fits or count > ledger_end(extents):
                # Rows may have been appended that the ledger knows nothing of, or has forgotten: fact 8.
                tx.begin_lookups()
                decided: list[tuple[BatchState, int]] = []
            elif tx.lookups().first:
                decided = []  # a ledger that went back may take a refused batch for a begun one: look-ups decide
            else:
                decided = _decide_by_count(tx, extents, count)
        for state, rows in decided:
            self.decided(state, rows)

    def _count(self, stream: Stream) -> int | None:
        age = self.doubts.streams.age(stream.name)  # before it is asked: the answer may be as old as the question
        match self.destination.finalize(stream.name):
            case Count(rows):
                return rows
            case NoCount():
                return None
            case Missing():
                if age < self.stream_settle_seconds:
                    raise _young(stream, self.stream_settle_seconds - age)
                return None
            case Failure() as failure:
                raise DestinationError(failure)

    def _look_up(self, batch: Batch) -> "_Unsettled | None":
        """Decide the batch by what is there, or say how long that has to wait."""
        # Read before the look-up: its answer may be as old as the question.
        age = self.doubts.batches.age(batch.id)
        settles_in = 0.0 if batch.stream_id is not None else self.lookup_settle_seconds - age
        there = self.destination.look_up(batch.rows)
        missing = len(batch.rows) - len(there)
        if missing and settles_in > 0:
            return _Unsettled(missing, settles_in)
        state = BatchState.RELEASED if missing else BatchState.APPENDED
        with self.ledger.transaction(self.lease) as tx:
            tx.set_state(batch.id, state, was=BatchState.BEGUN)
            if missing and there:
                # Of a stream all are there or none. Without one some may be, and so may another program's.
                rows = batch.rows.take(sorted(there))
                tx.move_items(batch.id, rows.keys, tx.add_batch(BatchState.APPENDED, None, None, rows))
            if missing:
                tx.free_items(batch.id)
        self.decided(state, len(batch.rows))
        return None

    def _adopt_orphans(self) -> None:
        """Give items that an older program left in the middle of sending a batch, so that a look-up decides them."""
        while True:
            with self.ledger.transaction(self.lease) as tx:
                orphans = tx.orphan_items(ORPHANS_AT_ONCE)
            if not orphans:
                return
            adopted = self.read_orphans(orphans)
            with self.ledger.transaction(self.lease) as tx:
                if adopted.items:
                    for item, row in zip(adopted.items, adopted.rows.rows, strict=True):
                        tx.respell(item, row.key)
                    tx.tie(adopted.items, tx.add_batch(BatchState.BEGUN, None, None, adopted.rows))
                # What can't be read now could not be looked up either: it is decided like any pending item.
                tx.free_orphans({orphan.id for orphan in orphans} - set(adopted.items))


def believable(count: int, extents: Sequence[Extent]) -> bool:
    """Whether a count fits the ledger: it cuts no batch in two, and isn't below what was appended.

    A count above the ledger's end is believed: it tells that the ledger is older than the stream.
    """
    cut = any(extent.offset < count < extent.end for extent in extents if extent.state is BatchState.BEGUN)
    appended = max((extent.end for extent in extents if extent.state in IN_BIGQUERY), default=0)
    return not cut and count >= appended


def _decide_by_count(tx: Transaction, extents: Sequence[Extent], count: int) -> list[tuple[BatchState, int]]:
    decided: list[tuple[BatchState, int]] = []
    for extent in extents:
        if extent.state is BatchState.BEGUN:
            state = BatchState.APPENDED if extent.end <= count else BatchState.RELEASED
            tx.set_state(extent.id, state, was=BatchState.BEGUN)
            if state is BatchState.RELEASED:
                tx.free_items(extent.id)
            decided.append((state, extent.row_count))
    return decided


def ledger_end(extents: Sequence[Extent]) -> int:
    """How far into its stream the ledger has written, or may have."""
    wrote = IN_BIGQUERY | {BatchState.BEGUN}
    return max((extent.end for extent in extents if extent.state in wrote), default=0)


@dataclass(frozen=True, slots=True)
class _Unsettled:
    """A batch of which so many rows aren't there, which is believed so many seconds from now."""

    missing: int
    seconds: float


def _unsettled(early: Sequence[_Unsettled]) -> TooEarly:
    rows, seconds = sum(batch.missing for batch in early), max(batch.seconds for batch in early)
    return TooEarly(
        f"{rows} rows whose sending was never answered aren't in BigQuery; "
        f"they may still arrive, and are sent again in {seconds:.0f} s if they don't",
        seconds,
    )


def _young(stream: Stream, seconds: float) -> TooEarly:
    return TooEarly(
        f"BigQuery doesn't know the stream {stream.name}, and may not know it yet; "
        f"it is believed to be gone in {seconds:.0f} s",
        seconds,
    )
