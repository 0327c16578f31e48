"""How long to wait before the next attempt: one rule for BigQuery and for SQL."""

from dataclasses import dataclass, field
from random import Random, SystemRandom

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 300.0


@dataclass(slots=True)
class Backoff:
    """Doubling delays with jitter, so that a thousand boxes that come back together don't arrive together.

    The first success resets it. A delay lies between half and the whole of its step:
    `first`, doubled to at most `longest`.
    """

    first: float = FIRST_SECONDS
    longest: float = LONGEST_SECONDS
    random: Random = field(default_factory=SystemRandom)
    attempts: int = 0

    @classmethod
    def for_database(cls) -> "Backoff":
        """For the source database: it is near, answers soon after a restart, and its lock waits pass quickly."""
        return cls(first=0.5, longest=15.0)

    def next(self) -> float:
        """Seconds until the next attempt."""
        # 2**32 steps are longer than anything; the cap keeps the float from overflowing in an outage of months.
        step = min(self.longest, self.first * 2.0 ** min(self.attempts, 32))
        self.attempts += 1
        return step * self.random.uniform(0.5, 1.0)

    def reset(self) -> None:
        self.attempts = 0
