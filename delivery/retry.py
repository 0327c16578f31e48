"""What to do with a batch whose append failed: pure decisions, all in one place."""

from collections.abc import Mapping
from dataclasses import dataclass

from delivery.errors import ErrorClass, Failure

PROBE_SECONDS = 300.0  # a blocked table is tried this often at most
UNKNOWN_OUTCOMES = 3  # after so many attempts whose outcome nobody knows, recovery decides
ATTEMPTS_AT_UNKNOWN = 5  # an error of no known class is repeated so often; an item may say otherwise: max_retries
ATTEMPTS_AT_QUOTA = 3  # by then the next batches are smaller, and this one isn't repeated as it is any more


@dataclass(frozen=True, slots=True)
class Repeat:
    """Send the very same request again, after backoff."""


@dataclass(frozen=True, slots=True)
class Reject:
    """Fail these rows (place: reason) and send the rest as a new batch."""

    rows: Mapping[int, str]


@dataclass(frozen=True, slots=True)
class TakeApart:
    """Send the batch in pieces, to find the rows that it is refused for (`delivery.trial`).

    `sure`: BigQuery says that rows are the reason.
    """

    reason: str
    sure: bool = False


@dataclass(frozen=True, slots=True)
class GiveBack:
    """After backoff let the rows be found again, for smaller batches."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing gets through until somebody acts: take the batch back and try again after a while."""

    reason: str


@dataclass(frozen=True, slots=True)
class LeaveAside:
    """The batch is a single row, and may be itself the reason: take it back, and go on with others."""

    reason: str


@dataclass(frozen=True, slots=True)
class Recover:
    """Only recovery can tell what became of the batch; `smaller` halves the next one.

    `alone`: the batch is a single row, and may be itself the reason.
    """

    reason: str
    smaller: bool = False
    alone: bool = False


Decision = Repeat | Reject | TakeApart | GiveBack | Hold | LeaveAside | Recover


@dataclass(frozen=True, slots=True)
class Attempts:
    """What was tried for one batch so far: how often, and how often without knowing the outcome."""

    made: int = 0
    unknown: int = 0

    def after(self, *, definite: bool) -> "Attempts":
        return Attempts(self.made + 1, self.unknown + (not definite))


def decide(
    failure: Failure,
    attempts: Attempts,
    rows: int,
    *,
    used_up: bool = False,
    on_trial: bool = False,
    fenced: bool = True,
) -> Decision:
    """What follows from a failed append.

    Args:
        failure: of the last attempt.
        attempts: all of the batch's, the last one included.
        rows: in the batch.
        used_up: an item of the batch has been tried as often as it may be for errors of no known class.
        on_trial: the batch is a piece of one that was refused often enough.
        fenced: a stream's offset makes it safe to repeat an attempt of unknown outcome.
    """
    all_refused = attempts.unknown == 0
    # What an item says of earlier attempts, with others, says nothing of the row alone.
    used_up = (used_up and rows > 1) or attempts.made >= ATTEMPTS_AT_UNKNOWN
    match failure.error_class:
        case ErrorClass.STREAM:
            return Recover(failure.reason)
        case ErrorClass.BAD_ROW:
            # After an attempt of unknown outcome even a refusal proves nothing: that attempt may still be on its way.
            if all_refused:
                return _without_bad_rows(failure, rows)
            return Recover(failure.reason, smaller=not failure.definite)
        case ErrorClass.BLOCKED:
            return Hold(failure.reason)
        case _ if not all_refused and not fenced:
            return _undecided(failure, rows)
        case ErrorClass.UNKNOWN if all_refused and (on_trial or used_up):
            return TakeApart(failure.reason) if on_trial or rows > 1 else LeaveAside(failure.reason)
        case ErrorClass.UNKNOWN if used_up:
            return _undecided(failure, rows)
        case _ if attempts.unknown >= UNKNOWN_OUTCOMES:
            return _undecided(failure, rows)
        case ErrorClass.QUOTA if all_refused and rows > 1 and attempts.made >= ATTEMPTS_AT_QUOTA:
            return GiveBack()
        case _:
            return Repeat()


def _undecided(failure: Failure, rows: int) -> Decision:
    alone = rows == 1 and failure.error_class is ErrorClass.UNKNOWN
    return Recover(failure.reason, smaller=True, alone=alone)


def _without_bad_rows(failure: Failure, rows: int) -> Decision:
    if failure.bad_rows:
        return Reject(failure.bad_rows)
    # More rows are bad than fit into an answer.
    return TakeApart(failure.reason, sure=True) if rows > 1 else Reject({0: failure.reason})
