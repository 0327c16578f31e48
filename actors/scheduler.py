"""Messages for later, from one thread for all actors of a process."""

import heapq
import itertools
import threading
import time

import pykka

from actors.parts import Recipient


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()


class ThreadScheduler:
    """Delivers each message once its delay is over; one for an actor that is gone by then is dropped."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Recipient, object]] = []
        self._order = itertools.count()  # equal times in the order they were asked for
        self._changed = threading.Condition()
        threading.Thread(target=self._run, name="scheduler", daemon=True).start()

    def after(self, seconds: float, recipient: Recipient, message: object) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), recipient, message))
            self._changed.notify()

    def _run(self) -> None:
        while True:
            recipient, message = self._next()
            try:
                recipient.tell(message)
            except pykka.ActorDeadError:
                continue  # its pipeline was dropped meanwhile

    def _next(self) -> tuple[Recipient, object]:
        with self._changed:
            while True:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    _, _, recipient, message = heapq.heappop(self._due)
                    return recipient, message
                self._changed.wait(wait)
