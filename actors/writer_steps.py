"""What BqWriter asks of database and BigQuery, and what becomes of it where that fails."""

from collections.abc import Callable
from typing import TypeVar

from structlog.typing import FilteringBoundLogger

from actors.background import Background
from actors.measures import Measures
from actors.messages import LeaseGone, QuotaExceeded, RecoveryNeeded
from actors.parts import Recipient
from actors.retries import Retries, Step
from delivery.backoff import Backoff
from delivery.begin import DatabaseWentBackError
from delivery.errors import DestinationError, ErrorClass, Failure, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Ledger, Transaction

T = TypeVar("T")


class WriterSteps:
    """Transactions and calls of a BqWriter, which says how to go on after each, and how to make it again.

    Attributes:
        draining: nothing is made again after a failure: recovery does what is left.
        ended: somebody else decides from here on: nothing more is done.

    Args:
        actor: gets the answers of calls.
        retries: keeps the step that waits to be made again.
        backoff: after failures of BigQuery.
        database_backoff: after those of the database.
    """

    def __init__(
        self,
        actor: Recipient,
        upstream: Recipient,
        ledger: Ledger,
        lease: Lease,
        background: Background,
        retries: Retries,
        backoff: Backoff,
        database_backoff: Backoff,
        measures: Measures,
        log: FilteringBoundLogger,
    ) -> None:
        self._actor = actor
        self._upstream = upstream
        self._ledger = ledger
        self._lease = lease
        self._background = background
        self._retries = retries
        self._backoff = backoff
        self._database_backoff = database_backoff
        self._measures = measures
        self._log = log
        self.draining = False
        self.ended = False

    def write(
        self,
        work: Callable[[Transaction], T],
        then: Callable[[T], None],
        again: Step,
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
            self.end(LeaseGone(str(lost)))
        except DatabaseWentBackError as back:
            self._look_up_from_now_on(RecoveryNeeded(str(back)))
        except LedgerError as error:
            if error.outcome_unknown and not repeatable:
                self.end(RecoveryNeeded(f"the outcome of a transaction is unknown: {error}"))
            else:
                self._wait("could not write to the ledger", str(error), self._database_backoff, again)
        else:
            self._retries.succeeded(self._database_backoff)
            then(value)

    def call(self, wrap: Callable[[T | DestinationError], object], verb: Callable[[], T]) -> None:
        """Let the destination do something on its own thread; the answer comes as a message."""

        def call() -> None:
            try:
                self._actor.tell(wrap(verb()))
            except DestinationError as error:
                self._actor.tell(wrap(error))

        self._background.run(call)

    def call_failed(self, failure: Failure, again: Step) -> None:
        """A call other than an append failed: nothing was written by it, so that it can simply be made again."""
        self.count(failure)
        if failure.error_class is ErrorClass.BLOCKED:
            self.end(RecoveryNeeded(failure.reason, blocked=True))
        else:
            self.wait("a call failed", failure, again)

    def succeeded(self) -> None:
        """BigQuery has done what it was asked for."""
        self._retries.succeeded(self._backoff)

    def count(self, failure: Failure) -> None:
        """Let it be known that BigQuery has not."""
        self._measures.failed_attempt(failure.error_class)
        if failure.error_class is ErrorClass.QUOTA:
            self._upstream.tell(QuotaExceeded())

    def wait(self, event: str, failure: Failure, step: Step, **fields: object) -> None:
        """Do the step after backoff."""
        self._wait(event, failure.reason, self._backoff, step, **fields, error=failure.error_class.value)

    def end(self, message: RecoveryNeeded | LeaseGone) -> None:
        """Leave it to TableOwner to go on."""
        self.ended = True
        self._upstream.tell(message)

    def _wait(self, event: str, reason: str, backoff: Backoff, step: Step, **fields: object) -> None:
        if self.draining:
            self.end(RecoveryNeeded(reason))
        else:
            self._retries.wait(event, reason, backoff, step, **fields)

    def _look_up_from_now_on(self, needed: RecoveryNeeded) -> None:
        self._log.warning("every waiting row is looked up before it is sent", reason=needed.reason)
        self.write(
            lambda tx: tx.begin_lookups(),
            then=lambda _: self.end(needed),
            again=lambda: self._look_up_from_now_on(needed),
            repeatable=True,
        )
