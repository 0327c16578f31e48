"""How often a token may be tried at /login: so many at once, then one every few seconds, whoever tries."""

import math
import time
from collections.abc import Callable

AT_ONCE = 10
EVERY_SECONDS = 3.0


class Tries:
    """A bucket of tries. A right token gives its try back, so that only wrong ones run it dry.

    It is one for all who ask, so that it takes no memory of them, and nobody gets more by asking from many addresses.
    While it is dry nobody can log in; a header with a token needs no login.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._left = float(AT_ONCE)
        self._at = monotonic()

    def take(self) -> int:
        """Take one: 0; or the seconds until there is one again."""
        now = self._monotonic()
        self._left = min(AT_ONCE, self._left + (now - self._at) / EVERY_SECONDS)
        self._at = now
        if self._left < 1:
            return math.ceil((1 - self._left) * EVERY_SECONDS)
        self._left -= 1
        return 0

    def give_back(self) -> None:
        self._left = min(AT_ONCE, self._left + 1)
