"""When a process ends: SIGTERM, SIGINT, or a reason of its own."""

import os
import signal
import sys
from typing import NoReturn

SIGNALS = (signal.SIGTERM, signal.SIGINT)
_OWN_REASON = b"\0"  # no signal has this number


class Ending:
    """Waits in the main thread for what ends the process; made there, and once in a process.

    What arrives is written to a pipe, a signal by the interpreter itself (`signal.set_wakeup_fd`). An Event wouldn't
    do: a handler that sets it needs the lock that the interrupted `wait` may hold, and one that comes just before the
    thread blocks isn't run until something else wakes it. Either way the process would ignore that it is to stop.
    """

    def __init__(self) -> None:
        self._reasons: list[str] = []
        self._arrivals, self._arrived = os.pipe()
        os.set_blocking(self._arrived, False)  # demanded by set_wakeup_fd; a full pipe wakes as well as one byte more
        signal.set_wakeup_fd(self._arrived, warn_on_full_buffer=False)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)

    def fail(self, reason: str) -> None:
        """End it for this reason; from any thread."""
        self._reasons.append(reason)
        os.write(self._arrived, _OWN_REASON)

    def wait(self) -> list[str]:
        """Until it is to end; the reasons of its own that there were by then: none after a signal."""
        endings = {_OWN_REASON, *(bytes([number]) for number in SIGNALS)}
        while os.read(self._arrivals, 1) not in endings:
            pass
        return list(self._reasons)


def end_at_once(code: int) -> NoReturn:
    """End the process here: exit handlers and threads of libraries may wait for a network that doesn't answer."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
