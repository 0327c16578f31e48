"""A thread for calls that block, so that no actor has to."""

import queue
import threading
from collections.abc import Callable
from typing import Protocol

import pykka
import structlog

log = structlog.get_logger(__name__)


class Background(Protocol):
    """Runs calls one after another, away from the actor that asks for them."""

    def run(self, call: Callable[[], None]) -> None: ...

    def close(self) -> None: ...


class BackgroundThread:
    """Calls on one daemon thread, in order. A call answers by a message.

    Args:
        failed: is told what a call raised: an error that nobody foresaw, and after which no answer comes.
    """

    def __init__(self, name: str, failed: Callable[[Exception], None]) -> None:
        self._failed = failed
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def run(self, call: Callable[[], None]) -> None:
        self._calls.put(call)

    def close(self) -> None:
        """Let the thread end after the calls that it has."""
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                call()
            except pykka.ActorDeadError:
                continue  # whoever asked is gone
            except Exception as error:
                log.error("a call in the background failed", thread=self._name, exc_info=error)
                self._failed(error)
