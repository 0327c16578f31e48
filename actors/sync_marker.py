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
from delivery.complete import Step, steps
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Ledger
from delivery.settle import settle

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
    ) -> None:
        super().__init__(upstream, lease.table)
        self._ledger = ledger
        self._lease = lease
        self._backoff = backoff or Backoff.for_database()
        self._measures = measures or NotMeasured()
        self._work: deque[Work] = deque()
        self._steps: Iterator[Step] | None = None  # of the first piece of work
        self._log = structlog.get_logger(__name__).bind(table=lease.table)
        self._retries = Retries("SyncMarker", self.actor_ref, upstream, scheduler, self._log)
        self._ended = False

    def on_receive(self, message: object) -> None:
        match message:
            case BatchAppended() | RowsDecided() | Flush() | Drain():
                self._work.append(message)
                if not self._retries.pending:
                    self._go_on()
                elif isinstance(message, Drain):
                    self._retries.receive(RetryNow())  # what can't be done now isn't waited for
            case RetryDue() | RetryNow():
                self._retries.receive(message)

    def _go_on(self) -> None:
        while self._work and not self._ended:
            if self._steps is None:
                self._steps = self._steps_of(self._work[0])
            for step in self._steps:
                if not self._commit(step):
                    return
            self._steps = None
            self._finish(self._work.popleft())

    def _again(self, step: Step) -> None:
        if self._commit(step):
            self._go_on()

    def _steps_of(self, work: Work) -> Iterator[Step]:
        match work:
            case BatchAppended(batch_id, rows):
                return steps(batch_id, tuple(row.key for row in rows if row.key is not None))
            case RowsDecided(rows, outcome, reason):
                return iter([lambda tx: settle(tx, rows, outcome, reason)])
            case _:
                return iter(())

    def _commit(self, step: Step) -> bool:
        try:
            with self._ledger.transaction(self._lease) as tx:
                step(tx)
        except LedgerError as error:
            if Drain() in self._work:
                self._end(RecoveryNeeded(str(error)))
            else:
                event = "could not write down what became of rows"
                self._retries.wait(event, str(error), self._backoff, lambda: self._again(step))
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
                    self._log.warning("rows not sent", outcome=outcome.value, rows=len(rows), reason=reason)
                self._measures.rows_settled(outcome, len(rows))
                self.upstream.tell(RowsSettled(rows))
            case Flush(command_id):
                self.upstream.tell(Flushed(command_id))
            case Drain():
                self.upstream.tell(Drained())
