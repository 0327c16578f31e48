"""Who comes first on the processors: bq-sync as its unit has it, the emulator as if it were far away.

Each child is a session of its own. Where the kernel groups processes by session (autogroup), it shares the processors
among the groups first, as it does among systemd's units: so a group's weight is set too, not a process's alone.
"""

import os
from contextlib import suppress
from pathlib import Path

SERVICE_NICE = 10  # deploy/systemd/bq-sync@.service: Nice=10
SERVICE_GROUP = 7  # and CPUWeight=20, of 100 that others have: a weight of 215 of 1024
FAR_AWAY = 19  # it has only what nobody else wants


def as_service(pid: int) -> None:
    """Give a process that was just started, before it has threads, the priority of bq-sync's unit."""
    _set(pid, SERVICE_NICE, SERVICE_GROUP)


def as_far_away(pid: int) -> None:
    """Let the process, with all its threads, stand back for everybody else."""
    _set(pid, FAR_AWAY, FAR_AWAY)


def as_others(pid: int) -> None:
    """The priority that everything has by itself again; only root may do that."""
    _set(pid, 0, 0)


def pin(pid: int, processors: set[int]) -> None:
    """Let the process, with all its threads, run on these alone."""
    for thread in _threads(pid):
        os.sched_setaffinity(thread, processors)


def _set(pid: int, nice: int, group: int) -> None:
    for thread in _threads(pid):
        os.setpriority(os.PRIO_PROCESS, thread, nice)
    with suppress(FileNotFoundError):  # a kernel without groups
        Path(f"/proc/{pid}/autogroup").write_text(str(group))


def _threads(pid: int) -> list[int]:
    return [int(entry.name) for entry in Path(f"/proc/{pid}/task").iterdir()]
