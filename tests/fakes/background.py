"""Calls that an actor doesn't wait for, without a thread."""

from collections import deque
from collections.abc import Callable


class InlineBackground:
    """Runs each call at once."""

    def run(self, call: Callable[[], None]) -> None:
        call()

    def close(self) -> None:
        pass


class HeldBackground:
    """Keeps calls until a test lets them run."""

    def __init__(self) -> None:
        self.calls: deque[Callable[[], None]] = deque()

    def run(self, call: Callable[[], None]) -> None:
        self.calls.append(call)

    def run_next(self) -> None:
        self.calls.popleft()()

    def close(self) -> None:
        self.calls.clear()
