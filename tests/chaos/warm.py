"""Worker processes that start at once: forked from one that has imported everything, which takes others two seconds.

All that follows the imports is the new process's own: its session, environment, settings, connections, threads and
metrics. The one that they are forked from has none of these.
"""

import atexit
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from config.files import CHECKOUT_FILE
from sandbox.child import Child, Process

_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["tests.chaos.doomed_worker"])


@atexit.register
def _kill_all() -> None:
    """Else Python waits at its end for those that an aborted test has left, maybe frozen."""
    for process in multiprocessing.active_children():
        if process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)


class WarmWorker(Child):
    """`python -m tests.chaos.doomed_worker` with these arguments."""

    def __init__(self, log: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        super().__init__("the worker", arguments, log)
        self._added = environment

    def _launch(self) -> Process:
        return _Forked(self._command, self.log, {**os.environ, **self._added})


class _Forked:
    """As `subprocess.Popen`, of a process that is the fork server's child."""

    def __init__(self, arguments: Sequence[str], log: Path, environment: Mapping[str, str]) -> None:
        here, there = _server.Pipe(duplex=False)
        self._process = _server.Process(target=_work, args=(there, arguments, log, environment))
        self._process.start()
        there.close()
        here.recv()  # it leads its session: from now on a signal to its group reaches it
        here.close()
        assert self._process.pid is not None
        self.pid = self._process.pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        self.returncode = self._process.exitcode
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired("the worker", timeout or 0)
        return code

    def terminate(self) -> None:
        self._process.terminate()


def _work(started: Connection, arguments: Sequence[str], log: Path, environment: dict[str, str]) -> None:
    """What the new process does."""
    os.setsid()
    started.send(None)
    started.close()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(output, stream)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # a TextIOWrapper
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(CHECKOUT_FILE.parents[1])
    sys.argv[1:] = arguments
    # The fork server has them; the tests don't need them.
    from operations.ending import end_at_once
    from tests.chaos.doomed_worker import main

    end_at_once(main())
