"""Time that passes only when a test lets it."""

import heapq
import itertools
from collections.abc import Callable

from actors.parts import Recipient


class FakeClock:
    """Starts at 1000 s, so that differences to the past stay positive.

    `set_by`: how many seconds somebody has set the wall clock forward; the monotonic one goes on as it did.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.set_by = 0.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now + self.set_by


class FakeScheduler:
    """Keeps messages for later, and delivers them, in the order they are due, while a test advances the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._waiting: list[tuple[float, int, Recipient, object]] = []
        self._order = itertools.count()

    def after(self, seconds: float, recipient: Recipient, message: object) -> None:
        heapq.heappush(self._waiting, (self._clock.now + seconds, next(self._order), recipient, message))

    @property
    def delays(self) -> list[float]:
        """How many seconds each waiting message still waits."""
        return [due - self._clock.now for due, *_ in sorted(self._waiting, key=lambda entry: entry[:2])]

    def advance(self, seconds: float, pump: Callable[[], object] = lambda: None) -> None:
        """Let time pass, and deliver what becomes due, each at its own time; `pump` lets it be handled then."""
        end = self._clock.now + seconds
        while self._waiting and self._waiting[0][0] <= end:
            self.deliver_next()
            pump()
        self._clock.now = max(self._clock.now, end)  # `pump` may let more time pass

    def deliver_next(self) -> None:
        """Let time pass until the next message is due, and deliver it."""
        due, _, recipient, message = heapq.heappop(self._waiting)
        self._clock.now = max(self._clock.now, due)
        recipient.tell(message)
