"""How far a backfill is, and what became of its rows."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum


class Fate(StrEnum):
    """What became of a row."""

    SENT = "sent"
    THERE = "there already"  # BigQuery had it: nothing was sent
    FAILED = "failed"  # BigQuery can't take it as it is
    DROPPED = "dropped"  # its item was given up, or completed since the row is gone
    WOULD_SEND = "would be sent"  # of a dry run

    # Left to an item that was there before:
    WAITS = "waits"  # pending, or on its way
    FAILED_BEFORE = "failed before"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Total:
    """How many rows there are to go through."""

    rows: int
    is_estimate: bool = False


@dataclass
class BackfillReport:
    """Of one table.

    Attributes:
        passed: how many rows of `total` were gone through.
        under_way: how many of these aren't decided yet.
        waits_for: what it waits for at this moment, in words, if it is nothing ordinary.
    """

    total: Total | None = None
    passed: int = 0
    under_way: int = 0
    waits_for: str | None = None
    fates: Counter[Fate] = field(default_factory=Counter)

    @property
    def done(self) -> int:
        return self.passed - self.under_way

    def wait_for(self, what: str | None) -> None:
        self.waits_for = what

    def decide(self, fate: Fate, rows: int = 1) -> None:
        if rows:
            self.fates[fate] += rows
