"""BqWriter: one batch at a time, begun in the ledger before it is sent. Facts 2, 3, 4 and 7 of docs/exactly-once.md."""

from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

import structlog

from actors.background import Background
from actors.measures import Measures, NotMeasured
from actors.messages import (
    AppendDone,
    AppendMeasured,
    Arrival,
    BatchAppended,
    BatchReady,
    Drain,
    Flush,
    LeaseGone,
    LookedUp,
    QuotaExceeded,
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
from actors.retries import Retries, Step
from delivery.backoff import Backoff
from delivery.begin import Begun, DatabaseWentBackError, NewStream, begin, begin_found, refuse
from delivery.destination import AlreadyThere, Appended, AppendResult, Destination
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState, Ledger, Transaction
from delivery.position import Position
from delivery.retry import Attempts, GiveBack, Hold, Recover, Reject, Repeat, TakeApart, decide
from delivery.rows import Outgoing
from delivery.settle import Outcome, RowRef
from delivery.trial import Trial
from delivery.uplink import Uplink

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class WriterLimits:
    """`new_stream_seconds`: how long a new stream's row has to stand in the ledger before the stream is used (fact 7);
    where there are no streams, each batch's. And how long a refusal has to, before its offset is used again.

    `uplink`: the line that the attempts of all tables share.
    """

    new_stream_seconds: float = 0.0
    uplink: Uplink = field(default_factory=Uplink)


class BqWriter(PipelineActor):
    """Takes batches and barriers in order. Each step with the batch in hand ends with a message or a transaction.

    A step that has to be done again after a delay is kept in `_retries`.
    """

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
        self._ledger = ledger
        self._lease = lease
        self._destination = destination
        self._background = background
        self._log = structlog.get_logger(__name__).bind(table=lease.table)
        self._retries = Retries("BqWriter", self.actor_ref, upstream, scheduler, self._log)
        self._clock = clock
        self._limits = limits
        self._backoff = backoff or Backoff()
        self._database_backoff = database_backoff or Backoff.for_database()
        self._measures = measures or NotMeasured()
        self._work: deque[BatchReady | Flush | Drain] = deque()
        self._hand: Outgoing | None = None  # the batch that is worked on
        self._begun: Begun | None = None  # the same, once it stands in the ledger
        self._trial: Trial | None = None  # of the batch whose piece is in hand
        self._attempts = Attempts()  # to send it
        self._opened: Position | None = None  # where this pipeline writes to, once that is known
        self._completed: set[int] = set()  # batches, since the ledger was asked for them last
        self._may_send_at = float("-inf")
        self._turn_seconds = 0.0  # for which the line is left to the attempt
        self._draining = False
        self._ended = False  # somebody else decides from here on: nothing more is done

    def on_receive(self, message: object) -> None:
        if self._ended:
            return
        match message:
            case BatchReady() if not self._draining:
                self._work.append(message)
                self._next()
            case RowsSettled(batch=int() as batch):
                self._completed.add(batch)
            case StreamOpened(answer):
                self._stream_opened(answer)
            case LookedUp(answer):
                self._looked_up(answer)
            case AppendDone(result, seconds):
                self._append_done(result, seconds)
            case RetryDue() | RetryNow():
                self._retries.receive(message)
            case Flush():
                self._work.append(message)
                self._next()
            case Drain():
                self._drain()

    # one batch after another

    def _next(self) -> None:
        while self._hand is None and self._work and not self._ended:
            match self._work.popleft():
                case BatchReady(outgoing, look_up):
                    self._hand = outgoing
                    if look_up:
                        self._look_up(outgoing)
                    else:
                        self._ready(outgoing)
                case barrier:
                    self._ended = self._draining
                    self._marker.tell(barrier)

    def _done(self) -> None:
        self._hand = self._begun = None
        if self._trial is not None and not self._draining:
            self._go_on_with_trial(self._trial)
        else:
            self.upstream.tell(WriterReady())
            self._next()

    def _drain(self) -> None:
        """Begin nothing more: what isn't in the ledger yet stays where it was found."""
        self._draining = True
        self._work.clear()
        self._work.append(Drain())
        if self._begun is None:
            self._hand = None
        self._next()
        self._retries.receive(RetryNow())  # what can't be done now isn't waited for

    # look up first, where the database may have forgotten that rows were sent

    def _look_up(self, hand: Outgoing) -> None:
        self._call(LookedUp, lambda: self._destination.look_up(hand.rows))

    def _looked_up(self, answer: frozenset[int] | DestinationError) -> None:
        hand = self._hand
        if hand is None:
            return  # drained meanwhile
        if isinstance(answer, DestinationError):
            self._call_failed(answer.failure, again=lambda: self._look_up(hand))
            return
        self._retries.succeeded(self._backoff)
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

        self._write(
            lambda tx: begin_found(tx, found, self._completed),
            then=entered,
            again=lambda: self._enter_found(hand, there),
        )

    # begin

    def _ready(self, hand: Outgoing) -> None:
        """The batch in hand may be begun, once there is a stream for it."""
        if self._opened is None:
            self._call(StreamOpened, self._destination.open)
        else:
            self._begin(hand, self._opened)

    def _stream_opened(self, answer: str | DestinationError | None) -> None:
        hand = self._hand
        if hand is None:
            return  # drained meanwhile
        if isinstance(answer, DestinationError):
            self._call_failed(answer.failure, again=lambda: self._ready(hand))
            return
        self._retries.succeeded(self._backoff)
        if answer is not None:
            self.upstream.tell(StreamMade(answer))
        self._opened = Position(None if answer is None else NewStream(answer))
        self._begin(hand, self._opened)

    def _begin(self, hand: Outgoing, at: Position) -> None:
        self._write(
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
        self._attempts = Attempts()
        if at.must_reach_disk:
            self._may_send_at = self._clock.monotonic() + self._limits.new_stream_seconds
        at.begun(begun)
        self._queue_up()

    # send

    def _queue_up(self) -> None:
        """Each attempt waits for its turn on the line."""
        turn = self._limits.uplink.turn(self._in_ledger.outgoing.encoded, self._clock.monotonic())
        self._may_send_at = max(self._may_send_at, turn.begins)
        self._turn_seconds = turn.seconds
        self._send()

    def _send(self) -> None:
        delay = self._may_send_at - self._clock.monotonic()
        if delay > 0:
            self._retries.later(delay, partial(self._still_ours, self._send))
            return
        stream, offset, encoded = self._at.name, self._at.offset, self._in_ledger.outgoing.encoded

        def call() -> None:
            began = self._clock.monotonic()
            result = self._destination.send(stream, offset, encoded)
            self.actor_ref.tell(AppendDone(result, self._clock.monotonic() - began))

        self._background.run(call)

    def _append_done(self, result: AppendResult, seconds: float) -> None:
        self._measures.append_took(seconds)
        match result:
            case Appended():
                self._appended(seconds)
            case AlreadyThere() if self._attempts.unknown:
                self._appended(None)  # by an attempt that we heard nothing of
            case AlreadyThere():
                self._not_ours()
            case Failure():
                self._attempts = self._attempts.after(definite=result.definite)
                self._failed(result)

    def _appended(self, seconds: float | None) -> None:
        begun = self._in_ledger
        self._retries.succeeded(self._backoff)
        if self._trial is not None:
            self._trial.got_through()
        self._at.appended(len(begun.outgoing))
        nbytes = begun.outgoing.encoded.nbytes
        if seconds is not None:
            # What the line could do beyond our share of it is no reason for larger batches.
            self.upstream.tell(AppendMeasured(len(begun.outgoing), nbytes, max(seconds, self._turn_seconds)))
        self._measures.batch_ended(BatchState.APPENDED, len(begun.outgoing), nbytes)
        now = self._clock.time()
        ages = [now - since for since in begun.outgoing.since.values()]
        self._measures.rows_arrived(ages)
        arrival = Arrival(nbytes, _rounded(seconds), _rounded(max(ages, default=None)))
        self._marker.tell(BatchAppended(begun.batch_id, _refs(begun.outgoing), arrival))
        self._done()

    def _not_ours(self) -> None:
        """ALREADY_EXISTS, although no attempt of ours can have got there: only a look-up can tell what is there."""
        batch_id = self._in_ledger.batch_id
        needed = RecoveryNeeded("the stream already holds rows that this batch has not sent")
        self._write(lambda tx: tx.detach(batch_id), then=lambda _: self._end(needed), again=self._not_ours)

    def _failed(self, failure: Failure) -> None:
        self._measures.failed_attempt(failure.error_class)
        if failure.error_class is ErrorClass.QUOTA:
            self.upstream.tell(QuotaExceeded())
        if failure.error_class is ErrorClass.UNKNOWN and self._trial is None:
            self._count_retry(failure)
        else:
            self._decide(failure)

    def _count_retry(self, failure: Failure) -> None:
        batch_id = self._in_ledger.batch_id
        self._write(
            lambda tx: tx.count_retry(batch_id),
            then=lambda used_up: self._decide(failure, used_up=used_up),
            again=lambda: self._count_retry(failure),
        )

    def _decide(self, failure: Failure, *, used_up: bool = False) -> None:
        begun = self._in_ledger
        rows = len(begun.outgoing)
        on_trial, fenced = self._trial is not None, self._at.is_fenced
        match decide(failure, self._attempts, rows, used_up=used_up, on_trial=on_trial, fenced=fenced):
            case Repeat():
                self._wait_after(failure, partial(self._still_ours, self._queue_up))
            case GiveBack():
                self._wait_after(failure, partial(self._give_back, begun))
            case TakeApart(reason, sure):
                self._log.warning("batch taken apart", batch=begun.batch_id, rows=rows, reason=reason)
                self._take_apart(begun, reason, sure=sure)
            case Reject(guilty):
                reason = next(iter(guilty.values()))
                self._log.warning("rows refused", batch=begun.batch_id, rows=len(guilty), reason=reason)
                self._reject(begun, guilty)
            case Hold(reason, probe_after):
                needed = RecoveryNeeded(reason, blocked=True, probe_after=probe_after, batch=begun.batch_id)
                self._hold(begun, needed)
            case Recover(reason, smaller, alone):
                next_rows = max(1, rows // 2) if smaller else None
                accused = _refs(begun.outgoing)[0] if alone else None
                self._end(RecoveryNeeded(reason, next_rows=next_rows, batch=begun.batch_id, accused=accused))

    def _wait_after(self, failure: Failure, step: Step) -> None:
        begun = self._in_ledger
        fields = {"batch": begun.batch_id, "rows": len(begun.outgoing), "attempt": self._attempts.made}
        self._wait("append failed", failure.reason, self._backoff, step, **fields, error=failure.error_class.value)

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
                self._trial = Trial(begun.outgoing, reason, self._backoff.random, sure=sure)
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
        if trial.is_services:
            self._end(RecoveryNeeded(trial.reason, blocked=True))
        else:
            self._done()

    def _hold(self, begun: Begun, needed: RecoveryNeeded) -> None:
        """Nothing gets through. Take the batch back if nothing of it can have been written; else recovery decides."""
        if self._attempts.unknown:
            self._end(needed)
        else:
            self._refuse(begun, {}, then=lambda: self._end(needed))

    def _refuse(self, begun: Begun, guilty: Mapping[int, str], then: Callable[[], None]) -> None:
        def refused() -> None:
            # A ledger that forgot this would take other rows at this offset for the refused ones: fact 7.
            on_disk = self._clock.monotonic() + self._limits.new_stream_seconds
            self._may_send_at = max(self._may_send_at, on_disk)
            self._measures.batch_ended(BatchState.REFUSED, len(begun.outgoing), begun.outgoing.encoded.nbytes)
            then()

        self._write(
            lambda tx: refuse(tx, begun.batch_id, begun.outgoing, guilty),
            then=lambda _: refused(),
            again=lambda: self._refuse(begun, guilty, then),
        )

    # what the steps share

    @property
    def _in_ledger(self) -> Begun:
        if self._begun is None:
            raise AssertionError("no batch is begun")
        return self._begun

    @property
    def _at(self) -> Position:
        if self._opened is None:
            raise AssertionError("nothing is open")
        return self._opened

    def _still_ours(self, step: Step) -> None:
        """Time has passed since the lease was demanded. Without a fence nothing else stops an attempt in its place.

        With one it is the ledger that has to know the attempt: where a power cut may have undone what was begun, it
        ended the lease too, and this worker may live on beside it.
        """
        if self._at.is_fenced and not self._limits.new_stream_seconds:
            step()
        else:
            self._write(lambda _: None, then=lambda _: step(), again=partial(self._still_ours, step), repeatable=True)

    def _go_on_with(self, hand: Outgoing, without: Collection[int]) -> None:
        rest = [place for place in range(len(hand)) if place not in without]
        if rest and not self._draining:
            self._hand = hand.take(rest)
            self._ready(self._hand)
        else:
            self._done()

    def _settled(self, outgoing: Outgoing, places: Collection[int]) -> None:
        if places:
            self.upstream.tell(RowsSettled(_refs(outgoing.take(sorted(places)))))

    def _wait(self, event: str, reason: str, backoff: Backoff, step: Step, **fields: object) -> None:
        """Do the step again after backoff; while it is drained recovery does what is left."""
        if self._draining:
            self._end(RecoveryNeeded(reason))
        else:
            self._retries.wait(event, reason, backoff, step, **fields)

    def _write(
        self,
        work: Callable[[Transaction], T],
        then: Callable[[T], None],
        again: Callable[[], None],
        *,
        repeatable: bool = False,
    ) -> None:
        """Do the work in a transaction, `then` go on with what it returned. `again` is for an error that passes.

        `repeatable`: the work may be done twice, so that it doesn't matter whether a failed COMMIT happened.
        """
        try:
            with self._ledger.transaction(self._lease) as tx:
                value = work(tx)
        except LeaseLost as lost:
            self._end(LeaseGone(str(lost)))
        except DatabaseWentBackError as back:
            self._look_up_from_now_on(RecoveryNeeded(str(back)))
        except LedgerError as error:
            if error.outcome_unknown and not repeatable:
                self._end(RecoveryNeeded(f"the outcome of a transaction is unknown: {error}"))
            else:
                self._wait("could not write to the ledger", str(error), self._database_backoff, again)
        else:
            self._retries.succeeded(self._database_backoff)
            then(value)

    def _look_up_from_now_on(self, needed: RecoveryNeeded) -> None:
        self._log.warning("every waiting row is looked up before it is sent", reason=needed.reason)
        self._write(
            lambda tx: tx.begin_lookups(),
            then=lambda _: self._end(needed),
            again=lambda: self._look_up_from_now_on(needed),
            repeatable=True,
        )

    def _call(self, wrap: Callable[[T | DestinationError], object], verb: Callable[[], T]) -> None:
        """Let the destination do something on its own thread; the answer comes as a message."""

        def call() -> None:
            try:
                self.actor_ref.tell(wrap(verb()))
            except DestinationError as error:
                self.actor_ref.tell(wrap(error))

        self._background.run(call)

    def _call_failed(self, failure: Failure, again: Callable[[], None]) -> None:
        """A call other than an append failed: nothing was written by it, so that it can simply be made again."""
        self._measures.failed_attempt(failure.error_class)
        if failure.error_class is ErrorClass.BLOCKED:
            self._end(RecoveryNeeded(failure.reason, blocked=True))
            return
        if failure.error_class is ErrorClass.QUOTA:
            self.upstream.tell(QuotaExceeded())
        self._wait("a call failed", failure.reason, self._backoff, again, error=failure.error_class.value)

    def _end(self, message: RecoveryNeeded | LeaseGone) -> None:
        self._ended = True
        self.upstream.tell(message)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def _refs(outgoing: Outgoing) -> tuple[RowRef, ...]:
    return tuple(RowRef(row.key, item) for row, item in zip(outgoing.rows.rows, outgoing.items, strict=True))
