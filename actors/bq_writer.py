"""BqWriter: one batch at a time, begun in the ledger before it is sent: fact 2 of docs/exactly-once.md."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import structlog

from actors.background import Background
from actors.measures import Measures, NotMeasured
from actors.messages import (
    AppendDone,
    Arrival,
    BatchAppended,
    BatchReady,
    Drain,
    Flush,
    LookedUp,
    RecoveryNeeded,
    RetryDue,
    RetryNow,
    RowsDecided,
    RowsSettled,
    StreamMade,
    StreamOpened,
    WriterReady,
)
from actors.parts import Clock, PipelineActor, Recipient, Scheduler
from actors.retries import Retries
from actors.sending import Sending
from actors.writer_steps import WriterSteps
from delivery.backoff import Backoff
from delivery.begin import Begun, NewStream, begin, begin_found, refuse
from delivery.destination import Destination
from delivery.errors import DestinationError
from delivery.lease import Lease
from delivery.ledger import BatchState, Ledger
from delivery.position import Position
from delivery.retry import Decision, GiveBack, Hold, LeaveAside, Recover, Reject, TakeApart
from delivery.rows import Outgoing
from delivery.settle import Outcome, RowRef
from delivery.trial import Trial
from delivery.uplink import Uplink


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """`new_stream_seconds`: how long a new stream's row has to stand in the ledger before the stream is used (fact 7);
    where there are no streams, each batch's. And how long a refusal has to, before its offset is used again.

    `uplink`: the line that the attempts of all tables share.
    """

    new_stream_seconds: float = 0.0
    uplink: Uplink = field(default_factory=Uplink)


class BqWriter(PipelineActor):
    """Takes batches and barriers in order. Each step with the batch in hand ends with a message or a transaction."""

    def __init__(
        self,
        upstream: Recipient,
        marker: Recipient,
        ledger: Ledger,
        lease: Lease,
        destination: Destination,
        background: Background,
        scheduler: Scheduler,
        clock: Clock,
        limits: WriterLimits,
        backoff: Backoff | None = None,
        database_backoff: Backoff | None = None,
        measures: Measures | None = None,
    ) -> None:
        super().__init__(upstream, lease.table)
        self._marker = marker
        self._destination = destination
        self._clock = clock
        self._measures = measures or NotMeasured()
        self._log = structlog.get_logger(__name__).bind(table=lease.table)
        backoff = backoff or Backoff()
        self._random = backoff.random
        self._retries = Retries("BqWriter", self.actor_ref, upstream, scheduler, self._log)
        self._steps = WriterSteps(
            self.actor_ref,
            upstream,
            ledger,
            lease,
            background,
            self._retries,
            backoff,
            database_backoff or Backoff.for_database(),
            self._measures,
            self._log,
        )
        self._sending = Sending(
            self.actor_ref,
            upstream,
            destination,
            background,
            self._steps,
            self._retries,
            clock,
            limits.uplink,
            limits.new_stream_seconds,
            self._measures,
            appended=self._appended,
            not_appended=self._not_appended,
        )
        self._work: deque[BatchReady | Flush | Drain] = deque()
        self._hand: Outgoing | None = None  # the batch that is worked on
        self._begun: Begun | None = None  # the same, once it stands in the ledger
        self._trial: Trial | None = None  # of the batch whose piece is in hand
        self._at: Position | None = None  # where this pipeline writes to, once that is known
        self._completed: set[int] = set()  # batches, since the ledger was asked for them last

    def on_receive(self, message: object) -> None:
        if self._steps.ended:
            return
        match message:
            case BatchReady() if not self._steps.draining:
                self._work.append(message)
                self._next()
            case RowsSettled(batch=int() as batch):
                self._completed.add(batch)
            case StreamOpened(answer):
                self._stream_opened(answer)
            case LookedUp(answer):
                self._looked_up(answer)
            case AppendDone(result, seconds):
                self._sending.answered(result, seconds)
            case RetryDue() | RetryNow():
                self._retries.receive(message)
            case Flush():
                self._work.append(message)
                self._next()
            case Drain():
                self._drain()

    # one batch after another

    def _next(self) -> None:
        while self._hand is None and self._work and not self._steps.ended:
            match self._work.popleft():
                case BatchReady(outgoing, look_up):
                    self._hand = outgoing
                    if look_up:
                        self._look_up(outgoing)
                    else:
                        self._ready(outgoing)
                case barrier:
                    self._steps.ended = self._steps.draining
                    self._marker.tell(barrier)

    def _done(self) -> None:
        self._hand = self._begun = None
        if self._trial is not None and not self._steps.draining:
            self._go_on_with_trial(self._trial)
        else:
            self.upstream.tell(WriterReady())
            self._next()

    def _go_on_with(self, hand: Outgoing, without: Collection[int]) -> None:
        rest = [place for place in range(len(hand)) if place not in without]
        if rest and not self._steps.draining:
            self._hand = hand.take(rest)
            self._ready(self._hand)
        else:
            self._done()

    def _settled(self, outgoing: Outgoing, places: Collection[int]) -> None:
        if places:
            self.upstream.tell(RowsSettled(_refs(outgoing.take(sorted(places)))))

    def _drain(self) -> None:
        """Begin nothing more: what isn't in the ledger yet stays where it was found."""
        self._steps.draining = True
        self._work.clear()
        self._work.append(Drain())
        if self._begun is None:
            self._hand = None
        self._next()
        self._retries.receive(RetryNow())  # what can't be done now isn't waited for

    # look up first, where the database may have forgotten that rows were sent

    def _look_up(self, hand: Outgoing) -> None:
        self._steps.call(LookedUp, lambda: self._destination.look_up(hand.rows))

    def _looked_up(self, answer: frozenset[int] | DestinationError) -> None:
        hand = self._hand
        if hand is None:
            return  # drained meanwhile
        if isinstance(answer, DestinationError):
            self._steps.call_failed(answer.failure, again=lambda: self._look_up(hand))
            return
        self._steps.succeeded()
        if answer:
            self._enter_found(hand, answer)
        else:
            self._ready(hand)

    def _enter_found(self, hand: Outgoing, there: frozenset[int]) -> None:
        found = hand.take(sorted(there))

        def entered(begun: Begun | None) -> None:
            self._completed.clear()
            self._settled(found, range(len(found)) if begun is None else begun.left_out)
            if begun is not None:
                self._log.info("rows were in BigQuery already", batch=begun.batch_id, rows=len(begun.outgoing))
                self._measures.batch_ended(BatchState.APPENDED, len(begun.outgoing), 0)
                self._marker.tell(BatchAppended(begun.batch_id, _refs(begun.outgoing)))
            self._go_on_with(hand, without=there)

        self._steps.write(
            lambda tx: begin_found(tx, found, self._completed),
            then=entered,
            again=lambda: self._enter_found(hand, there),
        )

    # begin

    def _ready(self, hand: Outgoing) -> None:
        """The batch in hand may be begun, once there is a stream for it."""
        if self._at is None:
            self._steps.call(StreamOpened, self._destination.open)
        else:
            self._begin(hand, self._at)

    def _stream_opened(self, answer: str | DestinationError | None) -> None:
        hand = self._hand
        if hand is None:
            return  # drained meanwhile
        if isinstance(answer, DestinationError):
            self._steps.call_failed(answer.failure, again=lambda: self._ready(hand))
            return
        self._steps.succeeded()
        if answer is not None:
            self.upstream.tell(StreamMade(answer))
        self._at = Position(None if answer is None else NewStream(answer))
        self._begin(hand, self._at)

    def _begin(self, hand: Outgoing, at: Position) -> None:
        self._steps.write(
            lambda tx: begin(tx, hand, at.known or at.stream, at.offset, self._completed),
            then=lambda begun: self._has_begun(hand, at, begun),
            again=lambda: self._begin(hand, at),
        )

    def _has_begun(self, hand: Outgoing, at: Position, begun: Begun | None) -> None:
        self._completed.clear()
        if begun is None:
            self._settled(hand, range(len(hand)))
            self._done()
            return
        self._settled(hand, begun.left_out)
        self._begun = begun
        self._sending.begin(begun, at, on_trial=self._trial is not None)

    # what came of sending it

    @property
    def _in_ledger(self) -> Begun:
        if self._begun is None:
            raise AssertionError("no batch is begun")
        return self._begun

    def _appended(self, seconds: float | None) -> None:
        begun = self._in_ledger
        if self._trial is not None:
            self._trial.got_through()
        nbytes = begun.outgoing.encoded.nbytes
        self._measures.batch_ended(BatchState.APPENDED, len(begun.outgoing), nbytes)
        now = self._clock.time()
        ages = [now - since for since in begun.outgoing.since.values()]
        self._measures.rows_arrived(ages)
        arrival = Arrival(nbytes, _rounded(seconds), _rounded(max(ages, default=None)))
        self._marker.tell(BatchAppended(begun.batch_id, _refs(begun.outgoing), arrival))
        self._done()

    def _not_appended(self, decision: Decision) -> None:
        begun = self._in_ledger
        rows = len(begun.outgoing)
        match decision:
            case GiveBack():
                self._give_back(begun)
            case TakeApart(reason, sure):
                self._log.warning("batch taken apart", batch=begun.batch_id, rows=rows, reason=reason)
                self._take_apart(begun, reason, sure=sure)
            case Reject(guilty):
                reason = next(iter(guilty.values()))
                self._log.warning("rows refused", batch=begun.batch_id, rows=len(guilty), reason=reason)
                self._reject(begun, guilty)
            case Hold(reason):
                self._take_back(begun, RecoveryNeeded(reason, blocked=True, batch=begun.batch_id))
            case LeaveAside(reason):
                accused = _refs(begun.outgoing)
                self._take_back(begun, RecoveryNeeded(reason, batch=begun.batch_id, accused=accused))
            case Recover(reason, smaller, alone):
                next_rows = max(1, rows // 2) if smaller else None
                accused = _refs(begun.outgoing) if alone else ()
                self._steps.end(RecoveryNeeded(reason, next_rows=next_rows, batch=begun.batch_id, accused=accused))

    def _give_back(self, begun: Begun) -> None:
        """The rows are found again, and go in batches as small as they should be by now."""

        def refused() -> None:
            self._settled(begun.outgoing, range(len(begun.outgoing)))
            self._done()

        self._refuse(begun, {}, then=refused)

    def _reject(self, begun: Begun, guilty: Mapping[int, str]) -> None:
        """Fail the guilty rows; the others are a new batch at the same offset."""

        def refused() -> None:
            self._begun = None
            self._measures.rows_settled(Outcome.FAILED, len(guilty))
            self._settled(begun.outgoing, guilty)
            if self._trial is not None:
                self._trial.named()
            self._go_on_with(begun.outgoing, without=guilty)

        self._refuse(begun, guilty, then=refused)

    def _take_apart(self, begun: Begun, reason: str, *, sure: bool) -> None:
        """BigQuery refuses the batch, and no row of it is named: find out which it is for."""

        def refused() -> None:
            if self._trial is None:
                self._trial = Trial(begun.outgoing, reason, self._random, sure=sure)
            else:
                self._trial.refused(begun.outgoing, reason)
            self._done()

        self._refuse(begun, {}, then=refused)

    def _go_on_with_trial(self, trial: Trial) -> None:
        piece = trial.next()
        if piece is not None:
            self._hand = piece
            self._ready(piece)
            return
        self._trial = None
        for row in trial.guilty:
            self._marker.tell(RowsDecided(_refs(row), Outcome.FAILED, f"its batch-mates got through: {trial.reason}"))
        if trial.accused:
            accused = tuple(ref for row in trial.accused for ref in _refs(row))
            self._steps.end(RecoveryNeeded(trial.reason, accused=accused))
        else:
            self._done()

    def _take_back(self, begun: Begun, needed: RecoveryNeeded) -> None:
        """Nothing of it was written, or else recovery decides."""
        if self._sending.nothing_written:
            self._refuse(begun, {}, then=lambda: self._steps.end(needed))
        else:
            self._steps.end(needed)

    def _refuse(self, begun: Begun, guilty: Mapping[int, str], then: Callable[[], None]) -> None:
        def refused() -> None:
            # A ledger that forgot this would take other rows at this offset for the refused ones: fact 7.
            self._sending.wait_for_disk()
            self._measures.batch_ended(BatchState.REFUSED, len(begun.outgoing), begun.outgoing.encoded.nbytes)
            then()

        self._steps.write(
            lambda tx: refuse(tx, begun.batch_id, begun.outgoing, guilty),
            then=lambda _: refused(),
            again=lambda: self._refuse(begun, guilty, then),
        )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _refs(outgoing: Outgoing) -> tuple[RowRef, ...]:
    return tuple(RowRef(row.key, item) for row, item in zip(outgoing.rows.rows, outgoing.items, strict=True))
