"""The attempts to send a batch that is begun: facts 3, 4 and 7 of docs/exactly-once.md."""

from collections.abc import Callable
from functools import partial

from actors.background import Background
from actors.measures import Measures
from actors.messages import AppendDone, AppendMeasured, RecoveryNeeded
from actors.parts import Clock, Recipient
from actors.retries import Retries, Step
from actors.writer_steps import WriterSteps
from delivery.begin import Begun
from delivery.destination import AlreadyThere, Appended, AppendResult, Destination
from delivery.errors import ErrorClass, Failure
from delivery.position import Position
from delivery.retry import Attempts, Decision, GiveBack, Repeat, decide
from delivery.uplink import Uplink


class Sending:
    """Sends one batch at a time, each attempt in its turn, until BigQuery has it or something else is decided.

    Args:
        actor: gets each AppendDone, and hands it over to `answered`.
        uplink: the line that the attempts of all tables share.
        disk_seconds: how long a row of the ledger may take to be on the disk.
        appended: goes on once BigQuery has the batch; how many seconds that took, None: nobody heard the answer.
        not_appended: goes on where the batch isn't to be repeated.
    """

    def __init__(
        self,
        actor: Recipient,
        upstream: Recipient,
        destination: Destination,
        background: Background,
        steps: WriterSteps,
        retries: Retries,
        clock: Clock,
        uplink: Uplink,
        disk_seconds: float,
        measures: Measures,
        appended: Callable[[float | None], None],
        not_appended: Callable[[Decision], None],
    ) -> None:
        self._actor = actor
        self._upstream = upstream
        self._destination = destination
        self._background = background
        self._steps = steps
        self._retries = retries
        self._clock = clock
        self._uplink = uplink
        self._disk_seconds = disk_seconds
        self._measures = measures
        self._appended = appended
        self._not_appended = not_appended
        self._sent: tuple[Begun, Position] | None = None  # the batch, and where it goes
        self._on_trial = False
        self._attempts = Attempts()
        self._may_send_at = float("-inf")
        self._turn_seconds = 0.0  # for which the line is left to the attempt

    @property
    def nothing_written(self) -> bool:
        """BigQuery refused every attempt."""
        return self._attempts.unknown == 0

    def begin(self, batch: Begun, at: Position, *, on_trial: bool) -> None:
        """Send the batch. `on_trial`: it is a piece of one that was refused often enough."""
        if at.must_reach_disk:
            self.wait_for_disk()
        at.begun(batch)
        self._sent = batch, at
        self._on_trial = on_trial
        self._attempts = Attempts()
        self._queue_up()

    def wait_for_disk(self) -> None:
        """What was just written to the ledger must be on the disk before anything is sent."""
        self._may_send_at = max(self._may_send_at, self._clock.monotonic() + self._disk_seconds)

    def answered(self, result: AppendResult, seconds: float) -> None:
        """An attempt came to this after so many seconds."""
        self._measures.append_took(seconds)
        match result:
            case Appended():
                self._has_it(seconds)
            case AlreadyThere() if self._attempts.unknown:
                self._has_it(None)  # by an attempt that we heard nothing of
            case AlreadyThere():
                self._not_ours()
            case Failure():
                self._attempts = self._attempts.after(definite=result.definite)
                self._failed(result)

    # an attempt

    def _queue_up(self) -> None:
        """Each attempt waits for its turn on the line."""
        turn = self._uplink.turn(self._batch.outgoing.encoded, self._clock.monotonic())
        self._may_send_at = max(self._may_send_at, turn.begins)
        self._turn_seconds = turn.seconds
        self._send()

    def _send(self) -> None:
        delay = self._may_send_at - self._clock.monotonic()
        if delay > 0:
            self._retries.later(delay, partial(self._still_ours, self._send))
            return
        stream, offset, encoded = self._at.name, self._at.offset, self._batch.outgoing.encoded

        def call() -> None:
            began = self._clock.monotonic()
            result = self._destination.send(stream, offset, encoded)
            self._actor.tell(AppendDone(result, self._clock.monotonic() - began))

        self._background.run(call)

    def _still_ours(self, step: Step) -> None:
        """Time has passed since the lease was demanded. Without a fence nothing else stops an attempt in its place.

        With one it is the ledger that has to know the attempt: where a power cut may have undone what was begun, it
        ended the lease too, and this worker may live on beside it.
        """
        if self._at.is_fenced and not self._disk_seconds:
            step()
        else:
            again = partial(self._still_ours, step)
            self._steps.write(lambda _: None, then=lambda _: step(), again=again, repeatable=True)

    # and what came of it

    def _has_it(self, seconds: float | None) -> None:
        outgoing = self._batch.outgoing
        self._steps.succeeded()
        self._at.appended(len(outgoing))
        if seconds is not None:
            # What the line could do beyond our share of it is no reason for larger batches.
            took = max(seconds, self._turn_seconds)
            self._upstream.tell(AppendMeasured(len(outgoing), outgoing.encoded.nbytes, took))
        self._appended(seconds)

    def _not_ours(self) -> None:
        """ALREADY_EXISTS, although no attempt of ours can have got there: only a look-up can tell what is there."""
        batch_id = self._batch.batch_id
        needed = RecoveryNeeded("the stream already holds rows that this batch has not sent")
        self._steps.write(lambda tx: tx.detach(batch_id), then=lambda _: self._steps.end(needed), again=self._not_ours)

    def _failed(self, failure: Failure) -> None:
        self._steps.count(failure)
        if failure.error_class is ErrorClass.UNKNOWN and not self._on_trial:
            self._count_retry(failure)
        else:
            self._decide(failure)

    def _count_retry(self, failure: Failure) -> None:
        batch_id = self._batch.batch_id
        self._steps.write(
            lambda tx: tx.count_retry(batch_id),
            then=lambda used_up: self._decide(failure, used_up=used_up),
            again=lambda: self._count_retry(failure),
        )

    def _decide(self, failure: Failure, *, used_up: bool = False) -> None:
        rows, fenced = len(self._batch.outgoing), self._at.is_fenced
        match decide(failure, self._attempts, rows, used_up=used_up, on_trial=self._on_trial, fenced=fenced):
            case Repeat():
                self._wait(failure, partial(self._still_ours, self._queue_up))
            case GiveBack() as decision:
                self._wait(failure, partial(self._not_appended, decision))
            case decision:
                self._not_appended(decision)

    def _wait(self, failure: Failure, step: Step) -> None:
        fields = {
            "batch": self._batch.batch_id,
            "rows": len(self._batch.outgoing),
            "attempt": self._attempts.made,
        }
        self._steps.wait("append failed", failure, step, **fields)

    @property
    def _batch(self) -> Begun:
        return self._under_way[0]

    @property
    def _at(self) -> Position:
        return self._under_way[1]

    @property
    def _under_way(self) -> tuple[Begun, Position]:
        if self._sent is None:
            raise AssertionError("no batch is begun")
        return self._sent
