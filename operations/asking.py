"""Asking BigQuery one question after another, without waiting long for one that doesn't answer."""

import time
from collections.abc import Callable
from typing import Literal, TypeVar

from delivery.errors import DestinationError, ErrorClass
from operations.findings import Doing

# A call that is under way has 30 s of its own, so that all of them together take about a minute at most.
ASKING_SECONDS = 40.0

Way = Literal["BigQuery", "the Storage Write API"]  # two services at two addresses: one may answer without the other

Answer = TypeVar("Answer")


class NotAskedError(Exception):
    """The question wasn't asked; the text says why: BigQuery didn't answer an earlier one, or it took too long."""


class Asking:
    """Asks until the service doesn't answer or the time is up; then every further question is refused at once."""

    def __init__(
        self, doing: Doing, seconds: float = ASKING_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._doing = doing
        self._seconds = seconds
        self._clock = clock
        self._end = clock() + seconds
        self._gone: dict[Way, str] = {}

    def ask(self, way: Way, what: str, call: Callable[[], Answer]) -> Answer:
        """The call's answer.

        Args:
            what: what is being done, in words.

        Raises:
            NotAskedError: it wasn't called.
            DestinationError: as the call itself.
        """
        if way in self._gone:
            raise NotAskedError(self._gone[way])
        if self._clock() > self._end:
            raise NotAskedError(f"BigQuery took more than {self._seconds:g} s to answer the questions before")
        self._doing(what)
        try:
            return call()
        except DestinationError as error:
            if error.failure.error_class is ErrorClass.TRANSIENT:
                self.stop(way, f"{way} doesn't answer")
            raise

    def stop(self, way: Way, reason: str) -> None:
        """Ask nothing more on this way; the first reason stays."""
        self._gone.setdefault(way, reason)
