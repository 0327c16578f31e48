"""How BigQuery can fail us, as values: an error's class, and whether it is certain that nothing was written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ErrorClass(StrEnum):
    """What an error asks for; each class is handled in one place, `delivery.retry`."""

    TRANSIENT = "transient"  # goes away by itself: repeat with backoff
    QUOTA = "quota"  # too much at once: repeat later, with less
    STREAM = "stream"  # the stream isn't what we took it for: recover
    BLOCKED = "blocked"  # somebody has to act: probe now and then
    BAD_ROW = "bad_row"  # some rows can't be taken: without them the rest can
    UNKNOWN = "unknown"  # none of these


@dataclass(frozen=True, slots=True)
class Failure:
    """A call to BigQuery that didn't succeed.

    `definite` says that nothing was written: the service itself refused. Without it the call may have had its effect.
    `bad_rows` names the guilty rows of an append by their place in the batch, each with a reason without row values;
    some of them at least, or none where the list didn't fit into the answer.
    """

    error_class: ErrorClass
    reason: str
    definite: bool
    bad_rows: Mapping[int, str] = field(default_factory=dict)


class DestinationError(Exception):
    """A call to BigQuery other than an append failed."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.reason)
        self.failure = failure


class LeaseLost(Exception):
    """This worker no longer owns the table: its transaction was rolled back, and its pipeline has to end."""


class LedgerError(Exception):
    """The database didn't do what a transaction asked for; the transaction was rolled back, or its outcome is unknown.

    `outcome_unknown` is true where the COMMIT itself failed: it may have happened.
    """

    def __init__(self, reason: str, *, outcome_unknown: bool) -> None:
        super().__init__(reason)
        self.outcome_unknown = outcome_unknown
