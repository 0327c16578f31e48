"""How much of the database a backlog may use: all while it is ours alone, a small share while others work on it."""

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

LONGEST_REST_SECONDS = 5.0
JUDGE_SECONDS = 10.0  # how often it is judged whether the share is enough
PATIENCE_SECONDS = 30.0  # that rows may wait before the share is found too small; three of the slowest polls


class Throttle:
    """Spreads the work of all that shares it over time, as long as others are there. For any thread.

    Whoever works on the database in earnest asks for `rest()` first, and waits that long; then works within `work()`.
    While others are there (`gentle`), it should also do less at once: what they wait for is at worst what is under way.

    A share that doesn't keep up with what comes in would let rows wait ever longer. So it is doubled, again and again,
    as long as they do and the line isn't the reason, and halved, down to what is configured, when they don't any more.

    Args:
        share: of the time, in which a statement of ours may run while others are there (0 to 1); 1: always.
        others_work: whether others work on the database now; called again and again, so it has to be cheap.
        clock: seconds since some fixed point.
        rested: is told of each rest, in seconds.
    """

    def __init__(
        self,
        share: float,
        others_work: Callable[[], bool],
        clock: Callable[[], float],
        rested: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._least = share
        self._share = share
        self._others_work = others_work
        self._clock = clock
        self._rested = rested
        self._lock = threading.Lock()
        self._free_at = 0.0
        self._judged_at = clock()
        self._taken = 0.0  # by work and rests, since then
        self._waited = 0.0  # the longest since then
        self._waited_before = math.inf

    @classmethod
    def none(cls) -> "Throttle":
        """One that never lets anybody wait."""
        return cls(1.0, lambda: False, lambda: 0.0)

    @property
    def gentle(self) -> bool:
        return self._share < 1 and self._others_work()

    def rest(self) -> float:
        """How many seconds to wait before the next piece of work; whoever asks does."""
        rest = self._free_at - self._clock()
        if rest <= 0 or not self.gentle:
            return 0.0
        with self._lock:
            self._taken += rest
        self._rested(rest)
        return rest

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around each piece of work; how long it takes decides how long all others rest."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            with self._lock:
                self._taken += now - began
                rest = (now - began) * (1 / self._share - 1)
                self._free_at = min(max(now, self._free_at) + rest, now + LONGEST_REST_SECONDS)

    def found(self, waited: float) -> None:
        """A row was found that has waited so many seconds."""
        now = self._clock()
        with self._lock:
            self._waited = max(self._waited, waited)
            passed = now - self._judged_at
            if passed < JUDGE_SECONDS:
                return
            # Whoever falls behind does so by no more than the time that passes: a backlog that appears isn't that.
            most = self._waited_before + passed
            falls_behind = self._waited > PATIENCE_SECONDS and self._waited_before < self._waited <= most
            if falls_behind and self._taken > passed / 2:  # else the line is what isn't fast enough
                self._share = min(1.0, 2 * self._share)
            else:
                self._share = max(self._least, self._share / 2)
            self._judged_at, self._taken = now, 0.0
            self._waited_before, self._waited = self._waited, 0.0
