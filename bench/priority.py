"""Who comes first on the processors: bq-sync as its unit has it, the emulator as if it were far away.

Both run in a group that is idle, as the unit makes bq-sync's (`CPUWeight=idle`): it makes room in the moment in which
anybody else has something to do. Only root may make one. Anybody else gets a low weight instead, by which others wait
for up to a tick of the kernel's clock: the weight of a session, where the kernel groups processes by it (autogroup),
since each child is one of its own.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NICE = 19  # whose weight is next to that of an idle group

_GROUPS = Path("/sys/fs/cgroup")
_CONTROLLERS = (_GROUPS / "cpu", _GROUPS)  # of the first version of control groups, and of the second


class Background:
    """Processes that run when nobody else wants to.

    Args:
        group: a control group that is idle; None: they get a low weight.
    """

    def __init__(self, group: Path | None) -> None:
        self._group = group

    @property
    def is_idle(self) -> bool:
        """They really make room at once."""
        return self._group is not None

    def take(self, pid: int) -> None:
        """Put the process there, with all its threads."""
        if self._group is None:
            _set(pid, NICE)
        else:
            (self._group / "cgroup.procs").write_text(str(pid))

    def release(self, pid: int) -> None:
        """Let it be as all others again; only root may do that."""
        if self._group is None:
            _set(pid, 0)
        else:
            (self._group.parent / "cgroup.procs").write_text(str(pid))


@contextmanager
def background() -> Iterator[Background]:
    """Such a place, for processes that end within it."""
    group = next(filter(None, map(_idle_group, _CONTROLLERS)), None)
    try:
        yield Background(group)
    finally:
        if group is not None:
            with suppress(OSError):  # somebody in it is still ending
                group.rmdir()


def pin(pid: int, processors: set[int]) -> None:
    """Let the process, with all its threads, run on these alone."""
    for thread in _threads(pid):
        os.sched_setaffinity(thread, processors)


def _idle_group(controller: Path) -> Path | None:
    group = controller / f"bq-sync-bench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return None
    try:
        (group / "cpu.idle").write_text("1")
    except OSError:
        group.rmdir()
        return None
    return group


def _set(pid: int, nice: int) -> None:
    for thread in _threads(pid):
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    with suppress(FileNotFoundError):  # a kernel without groups
        Path(f"/proc/{pid}/autogroup").write_text(str(nice))


def _threads(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
