"""A thread for calls that block, so that no actor has to."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol


class Background(Protocol):
    """Runs calls one after another, away from the actor that asks for them."""

    def run(self, call: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class BackgroundThread:
    """Calls on one daemon thread, in order. A call has to answer by a message and to raise nothing."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def close(self) -> None:
        """Let the thread end after the calls that it has."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
