"""SyncMarker: writes down what became of rows, and only then says that they are settled."""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict

import structlog

from actors.measures import Measures, NotMeasured
from actors.messages import (
    BatchAppended,
    Drain,
    Drained,
    Flush,
    Flushed,
    GoOn,
    LeaseGone,
    RecoveryNeeded,
    RetryDue,
    RetryNow,
    RowsDecided,
    RowsSettled,
)
from actors.parts import PipelineActor, Recipient, Scheduler
from actors.retries import Retries
from delivery.backoff import Backoff
from delivery.complete import CHUNK, GENTLE_CHUNK, Step, steps
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Ledger
from delivery.settle import settle
from delivery.throttle import Throttle

NAMED = 5  # rows that a line of the log names

Work = BatchAppended | RowsDecided | Flush | Drain


class SyncMarker(PipelineActor):
    """Takes its work in order, each step in a transaction of its own, repeated with backoff until it commits.

    The steps can be repeated whether the last attempt committed or not, so that an error here costs nothing but time.
    """

    def __init__(
        self,
        upstream: Recipient,
        ledger: Ledger,
        lease: Lease,
        scheduler: Scheduler,
        backoff: Backoff | None = None,
        measures: Measures | None = None,
        throttle: Throttle | None = None,
    ) -> None:
        super().__init__(upstream, lease.table)
        self._ledger = ledger
        self._lease = lease
        self._backoff = backoff or Backoff.for_database()
        self._measures = measures or NotMeasured()
        self._throttle = throttle or Throttle.none()
        self._work: deque[Work] = deque()
        self._steps: deque[Step] = deque()  # that are left of the first piece of work, once it is begun
        self._log = structlog.get_logger(__name__).bind(table=lease.table)
        self._retries = Retries("SyncMarker", self.actor_ref, upstream, scheduler, self._log)
        self._scheduler = scheduler
        self._rests = False  # a GoOn is on its way
        self._has_turn = False  # it has rested for the next step
        self._ended = False

    def on_receive(self, message: object) -> None:
        match message:
            case BatchAppended() | RowsDecided() | Flush():
                self._work.append(message)
                if not self._retries.pending:
                    self._go_on()
            case Drain():
                self._work.append(message)
                self._steps.clear()  # those that are left may be many small ones; all of them can be repeated
                if self._retries.pending:
                    self._retries.receive(RetryNow())  # what can't be done now isn't waited for
                else:
                    self._go_on()
            case GoOn():
                self._rests, self._has_turn = False, True
                self._go_on()
            case RetryDue() | RetryNow():
                self._retries.receive(message)

    def _go_on(self) -> None:
        while self._work and not self._ended:
            if not self._steps:
                self._steps.extend(self._steps_of(self._work[0]))
            while self._steps:
                if self._rest() or not self._commit(self._steps[0]):
                    return
                self._steps.popleft()
            self._finish(self._work.popleft())

    @property
    def _hurries(self) -> bool:
        """Somebody waits for the end."""
        return Drain() in self._work

    def _rest(self) -> bool:
        """Whether others have their turn first: once before each step, whatever was done for other tables meanwhile."""
        if self._has_turn or self._hurries:
            self._has_turn = False
            return False
        if not self._rests and (rest := self._throttle.rest()):
            self._rests = True
            self._scheduler.after(rest, self.actor_ref, GoOn())
        return self._rests

    def _steps_of(self, work: Work) -> Iterator[Step]:
        match work:
            case BatchAppended(batch_id, rows):
                chunk = GENTLE_CHUNK if self._throttle.gentle and not self._hurries else CHUNK
                return steps(batch_id, tuple(row.key for row in rows if row.key is not None), chunk)
            case RowsDecided(rows, outcome, reason):
                return iter([lambda tx: settle(tx, rows, outcome, reason)])
            case _:
                return iter(())

    def _commit(self, step: Step) -> bool:
        try:
            with self._throttle.work(), self._ledger.transaction(self._lease) as tx:
                step(tx)
        except LedgerError as error:
            if self._hurries:
                self._end(RecoveryNeeded(str(error)))
            else:
                event = "could not write down what became of rows"
                self._retries.wait(event, str(error), self._backoff, self._go_on)
            return False
        except LeaseLost as lost:
            self._end(LeaseGone(str(lost)))
            return False
        self._retries.succeeded(self._backoff)
        return True

    def _end(self, message: RecoveryNeeded | LeaseGone) -> None:
        self._ended = True
        self.upstream.tell(message)

    def _finish(self, work: Work) -> None:
        match work:
            case BatchAppended(batch_id, rows, arrival):
                how = {} if arrival is None else asdict(arrival)
                self._log.info("batch completed", batch=batch_id, rows=len(rows), **how)
                self._measures.rows_settled(None, len(rows))
                self.upstream.tell(RowsSettled(rows, len(rows), batch_id, arrived=arrival is not None))
            case RowsDecided(rows, outcome, reason):
                if reason is not None:
                    some = [row.key for row in rows[:NAMED] if row.key is not None]
                    self._log.warning("rows not sent", outcome=outcome.value, rows=len(rows), some=some, reason=reason)
                self._measures.rows_settled(outcome, len(rows))
                self.upstream.tell(RowsSettled(rows))
            case Flush(command_id):
                self.upstream.tell(Flushed(command_id))
            case Drain():
                self.upstream.tell(Drained())
