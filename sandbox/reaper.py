"""Ends what a process left running when it died, however it died.

A program on its own, started by `sandbox.child`: it reads process ids from its standard input, `12` to watch the
session that 12 leads, `-12` to forget it. When the input ends, its writer is gone, and it ends what is still watched.
"""

import os
import signal
import sys
import time
from contextlib import suppress

PATIENCE_SECONDS = 6  # honcho gives its own children 5 before it kills them


def main() -> None:
    watched: set[int] = set()
    for line in sys.stdin:
        pid = int(line)
        if pid > 0:
            watched.add(pid)
        else:
            watched.discard(-pid)
    if watched:
        _signal_all(watched, signal.SIGCONT)  # one that was frozen couldn't end
        _signal_all(watched, signal.SIGTERM)
        time.sleep(PATIENCE_SECONDS)
        _signal_all(watched, signal.SIGKILL)


def _signal_all(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with suppress(ProcessLookupError):
            os.killpg(group, number)


if __name__ == "__main__":
    main()
