"""A process's place in the metrics directory: whoever comes after it goes on with its counters.

A slot is a lock file, `worker-0.lock`, whose lock lives as long as the process, however that ends. A new process takes
the first slot of its kind that is free, so counters outlive a crash, and files don't pile up with restarts.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

MOST = 64  # of one kind on one box: more is a mistake, and each costs every scrape some time


class NoSlotError(Exception):
    """Every slot of that kind is taken."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One place.

    Attributes:
        pid: of the process that has it, or had it last; 0 where it can't be told, as of one in another container.
        written_by: the definitions (see `metrics.instruments.SIGNATURE`) that its files follow; "" if unknown.
    """

    name: str
    pid: int = 0
    written_by: str = ""


def take_slot(directory: Path, kind: str) -> tuple[Slot, int]:
    """The first free slot of that kind as it was left, and the descriptor whose lock holds it.

    A scrape that looks at a free slot in this very moment makes it look taken; the next one does as well.

    Raises:
        NoSlotError, OSError
    """
    for number in range(MOST):
        name = f"{kind}-{number}"
        opened = os.open(directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        if _lock(opened):
            return _read(name, opened), opened
        os.close(opened)
    raise NoSlotError(f"all {MOST} places for a {kind} in {directory} are taken")


def sign_slot(opened: int, written_by: str) -> None:
    """Say who has the slot now, and what its files follow."""
    os.pwrite(opened, f"{os.getpid():<10} {_pid_namespace():<12} {written_by}\n".encode(), 0)


def slots_in(directory: Path) -> Iterator[tuple[Slot, bool]]:
    """Every slot, and whether a process has it. A free one can't be taken until the caller asks for the next."""
    for path in sorted(directory.glob("*.lock")):
        with _opened(path) as opened:
            taken = not _lock(opened)
            yield _read(path.stem, opened), taken


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    opened = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield opened
    finally:
        os.close(opened)


def _lock(opened: int) -> bool:
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(name: str, opened: int) -> Slot:
    match os.pread(opened, 200, 0).decode(errors="replace").split():
        case [pid, namespace, written_by]:
            ours = namespace == _pid_namespace() and pid.isascii() and pid.isdigit()
            return Slot(name, int(pid) if ours else 0, written_by)
        case _:
            return Slot(name)  # its process hasn't got so far, or died before it did


def _pid_namespace() -> str:
    """What this process's ids mean something in."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return "none"
