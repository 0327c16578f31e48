"""One look at the database for all who ask within a second."""

import asyncio
import time
from collections.abc import Callable
from typing import Generic, TypeVar

import anyio
from anyio.to_thread import run_sync

from database.status import Status

Read = TypeVar("Read")


class Fresh(Generic[Read]):
    """What `read` returns, or raises, called on a thread: once at a time, and at most once in `seconds`.

    However slow it is, one thread is all that it holds; who asks meanwhile gets the same answer. Nobody waits for a new
    one as long as the last isn't twice as old as that: so where many ask, nearly all are answered at once. An error is
    kept no longer than an answer.
    """

    def __init__(
        self, read: Callable[[], Read], seconds: float = 1.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._read = read
        self._seconds = seconds
        self._clock = clock
        self._threads = anyio.CapacityLimiter(1)  # of its own: others' slow calls don't hold it up
        self._last: Read | None = None
        self._error: Exception | None = None
        self._read_at: float | None = None
        self._renewing: asyncio.Task[None] | None = None

    async def get(self) -> Read:
        """The last answer where it is fresh, else a new one."""
        age = self._age()
        if age >= self._seconds:
            renewing = self._renew()
            if age >= 2 * self._seconds:
                await asyncio.shield(renewing)  # who gives up takes nothing from the others
        if self._error is not None:
            raise self._error.with_traceback(None)
        return self._last  # type: ignore[return-value]  # read without an error, so it is one

    def _renew(self) -> asyncio.Task[None]:
        """The read that is under way, else one that begins now."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(run_sync(self._read_now, limiter=self._threads))
        return self._renewing

    def _age(self) -> float:
        return float("inf") if self._read_at is None else self._clock() - self._read_at

    def _read_now(self) -> None:
        try:
            self._last, self._error = self._read(), None
        except Exception as error:  # noqa: BLE001  whatever it is, it is for those who asked
            self._error = error
        self._read_at = self._clock()


FreshStatus = Fresh[Status]
