"""What processes took of the machine: CPU and memory, by what the kernel counts of them."""

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.child import Child

TICKS = os.sysconf("SC_CLK_TCK")
LOOK_SECONDS = 0.02


class CommandFailed(Exception):
    """A command that was measured ended with an error, or not in time; says how its output ends."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended, from its start to its end: wall time, CPU, and the most memory that it held."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_mb: float
    printed: str


def cpu_seconds(pid: int) -> float:
    """Of the process, and of those of its children that ended and were waited for."""
    return _cpu_of(Path(f"/proc/{pid}/stat").read_text())


def tree_cpu_seconds(pid: int) -> float:
    """Of the process and of all that it started."""
    return sum(_cpu_of(stat) for each in tree(pid) if (stat := _read(each, "stat")))


def rss_mb(pid: int) -> float:
    """What the process holds in memory now, in MB of 1,000,000 bytes."""
    return _megabytes(Path(f"/proc/{pid}/status").read_text(), "VmRSS")


def peak_mb(pid: int) -> float:
    """The most that the process has held in memory so far, in MB of 1,000,000 bytes."""
    return _megabytes(Path(f"/proc/{pid}/status").read_text(), "VmHWM")


def tree_peak_mb(pid: int) -> float:
    """The peaks of the process and of all that it started and that live, added up; pages they share count twice."""
    return round(sum(_megabytes(status, "VmHWM") for each in tree(pid) if (status := _read(each, "status"))), 1)


def tree(pid: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (stat := _read(int(entry.name), "stat")):
            children.setdefault(int(_fields(stat)[1]), []).append(int(entry.name))
    return list(_descent(pid, children))


def run(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None, *, longest: float = 3600.0
) -> Ran:
    """Run a command to its end, and measure it. `environment` is added to our own; what it prints goes to `log`.

    Raises:
        CommandFailed: it took longer than `longest` seconds, and was ended.
    """
    log.unlink(missing_ok=True)
    child = Child(str(command[0]), command, log, environment=environment)
    began, peak = time.monotonic(), 0.0
    child.start()
    try:
        while not _ended(child.pid):
            peak = max(peak, tree_peak_mb(child.pid))
            if time.monotonic() > began + longest:
                raise CommandFailed(str(child.failure(f"was ended after {longest:.0f} s")))
            time.sleep(LOOK_SECONDS)
        took, cpu = time.monotonic() - began, cpu_seconds(child.pid)
    finally:
        code = child.terminate()
    assert code is not None
    return Ran(code, took, cpu, peak, child.log_text())


def run_well(
    command: Sequence[str | Path], log: Path, environment: Mapping[str, str] | None = None, *, longest: float = 3600.0
) -> Ran:
    """The same for a command that has to end well.

    Raises:
        CommandFailed: it didn't.
    """
    ran = run(command, log, environment, longest=longest)
    if ran.code:
        raise CommandFailed(f"{command[0]} ended with {ran.code}:\n{ran.printed[-2000:]}")
    return ran


def _ended(pid: int) -> bool:
    """Whether our child has ended; it is left to be waited for, since until then the kernel tells its CPU."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _descent(pid: int, children: Mapping[int, Sequence[int]]) -> Iterator[int]:
    yield pid
    for child in children.get(pid, ()):
        yield from _descent(child, children)


def _read(pid: int, name: str) -> str:
    """A file of the process; nothing where it ended meanwhile."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _fields(stat: str) -> list[str]:
    """Of /proc/PID/stat those behind the command, which may hold anything: state, parent, ..."""
    return stat.rpartition(")")[2].split()


def _cpu_of(stat: str) -> float:
    return sum(map(int, _fields(stat)[11:15])) / TICKS


def _megabytes(status: str, name: str) -> float:
    found = re.search(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6, 1) if found else 0.0  # of a zombie there is none
