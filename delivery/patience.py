"""Long work goes on when the database or BigQuery was away for a while."""

from collections.abc import Callable
from typing import TypeVar

from delivery.backoff import Backoff
from delivery.errors import DestinationError, ErrorClass, LedgerError
from delivery.recovery import TooEarly
from delivery.source import SourceError
from delivery.steps import Pause, Steps

T = TypeVar("T")

ATTEMPTS = 12  # half an hour, or a little more


def patiently(attempt: Callable[[], Steps[T]], backoff: Backoff, note: Callable[[str | None], None]) -> Steps[T]:
    """Do what may be repeated until it succeeds.

    Args:
        note: is told what is waited for, and None when that is over.

    Raises:
        SourceError, LedgerError, DestinationError: it can't pass by itself, or hasn't for ATTEMPTS.
    """
    while True:
        try:
            answer = yield from attempt()
        except TooEarly as early:
            note(str(early))
            yield Pause(min(backoff.next(), early.seconds))
        except (SourceError, LedgerError, DestinationError) as error:
            if not passes(error) or backoff.attempts >= ATTEMPTS:
                raise
            note(str(error))
            yield Pause(backoff.next())
        else:
            if backoff.attempts:
                note(None)
            return answer


def passes(error: Exception) -> bool:
    """Whether it may be over when the same is tried again later."""
    match error:
        case DestinationError(failure=failure):
            return failure.error_class in (ErrorClass.TRANSIENT, ErrorClass.QUOTA)
        case _:
            return isinstance(error, SourceError | LedgerError)
