"""What an actor does again after a failure: one step at a time, after backoff, or at once when somebody waits."""

from collections.abc import Callable

from structlog.typing import FilteringBoundLogger

from actors.messages import RetryDue, RetryNow, StateChanged, TableState
from actors.parts import Recipient, Scheduler
from delivery.backoff import Backoff

Step = Callable[[], None]


class Retries:
    """Keeps the step that an actor has to do again. The actor hands RetryDue and RetryNow over to `receive`.

    Args:
        name: of the actor, for the table's state.
        actor: whose steps these are; RetryDue goes to it.
        upstream: is told that the table waits, and why, and when it no longer does.
        log: says each failure once, with its attempt and when the next is made.
    """

    def __init__(
        self,
        name: str,
        actor: Recipient,
        upstream: Recipient,
        scheduler: Scheduler,
        log: FilteringBoundLogger,
    ) -> None:
        self._name = name
        self._actor = actor
        self._upstream = upstream
        self._scheduler = scheduler
        self._log = log
        self._step: Step | None = None
        self._delays = 0  # begun so far: tells a delay that is void from the one that counts

    @property
    def pending(self) -> bool:
        """A step waits to be done."""
        return self._step is not None

    def wait(self, event: str, reason: str, backoff: Backoff, step: Step, **fields: object) -> None:
        """After a failure that passes by itself: say why nothing goes on, and do the step after backoff.

        `event` and `fields` are for the log.
        """
        delay = backoff.next()
        fields = {"attempt": backoff.attempts, **fields}
        self._log.warning(event, **fields, retry_in=round(delay, 1), reason=reason)
        self._upstream.tell(StateChanged(TableState.WAITING, reason, self._name))
        self.later(delay, step)

    def later(self, seconds: float, step: Step) -> None:
        """Do the step after a delay that is no failure's."""
        self._step = step
        self._delays += 1
        self._scheduler.after(seconds, self._actor, RetryDue(self._delays))

    def succeeded(self, backoff: Backoff) -> None:
        """The first success ends the backoff."""
        if backoff.attempts:
            backoff.reset()
            self._upstream.tell(StateChanged(TableState.RUNNING, actor=self._name))

    def receive(self, message: RetryDue | RetryNow) -> None:
        if isinstance(message, RetryNow) or message.delay == self._delays:
            step, self._step = self._step, None
            if step is not None:
                step()
