"""A child process: in a session of its own, its output in a file, and gone when we are gone."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

# Below the ports that Linux gives to outgoing connections (32768 and up): a server that was killed finds its port
# free again, and a client that keeps trying it can't be connected to itself meanwhile.
PORTS = range(15_000, 32_000)

REAPER = Path(__file__).with_name("reaper.py")


class ChildError(Exception):
    """A child process didn't start, or ended by itself; says where its log is, and how that ends."""


class Process(Protocol):
    """What a Child needs of its process, as `subprocess.Popen` has it."""

    pid: int
    returncode: int | None

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...


class Child:
    """A command that can be started, ended, killed, frozen and started again.

    Ctrl-C in our terminal doesn't reach it, since it isn't in our session: whoever started it ends it. Should we die
    without doing so, a reaper does (see `reaper.py`).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        """`environment` is added to our own; what the command prints is appended to `log`."""
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._environment = dict(environment or {})
        self._directory = directory
        self._process: Process | None = None

    @property
    def pid(self) -> int:
        if self._process is None:
            raise ChildError(f"{self.name} isn't running")
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        if self.running:
            raise ChildError(f"{self.name} is running already")
        self._process = self._launch()
        _reaper.watch(self._process.pid)

    def wait(self, timeout: float | None = None) -> int | None:
        """Its exit code once it has ended; None if it hasn't within `timeout` seconds."""
        if self._process is None:
            return None
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        _reaper.forget(self._process.pid)
        return code

    def terminate(self, patience: float = 10) -> int | None:
        """Ask it to end (SIGTERM), and kill its group where it hasn't after `patience` seconds; its exit code."""
        if self._process is None:
            return None
        self.thaw()
        with suppress(ProcessLookupError):
            self._process.terminate()
        if self.wait(patience) is None:
            self.kill()
        return self._process.returncode

    def kill(self) -> None:
        """SIGKILL to it and its group."""
        self._signal_group(signal.SIGKILL)
        self.wait()

    def freeze(self) -> None:
        """SIGSTOP: it stays, with its connections, and does nothing."""
        self._signal_group(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal_group(signal.SIGCONT)

    def log_text(self) -> str:
        """All that it has said; nothing, before it opened its log."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def log_tail(self, lines: int = 15) -> str:
        return "\n".join(self.log_text().splitlines()[-lines:])

    def failure(self, problem: str) -> ChildError:
        """An error about this child, with the end of its log."""
        return ChildError(f"{self.name} {problem}; the end of {self.log}:\n{self.log_tail()}")

    def _launch(self) -> Process:
        with self.log.open("ab") as output:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | self._environment,
                cwd=self._directory,
                start_new_session=True,
            )

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)


class _Reaper:
    """Our reaper process, started with the first child."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._lock = threading.Lock()

    def watch(self, pid: int) -> None:
        self._write(pid)

    def forget(self, pid: int) -> None:
        self._write(-pid)

    def _write(self, number: int) -> None:
        with self._lock:
            if self._process is None:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(REAPER)],
                    stdin=subprocess.PIPE,
                    text=True,
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            self._process.stdin.write(f"{number}\n")
            self._process.stdin.flush()


_reaper = _Reaper()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at this moment; another program may still be faster than ours."""
    for port in random.sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ChildError(f"no free port between {PORTS.start} and {PORTS.stop}: is something listening on all of them?")
