"""What the figures were taken on: whoever compares two runs has to know whether it was the same."""

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from bench import peers, site
from sandbox.mariadb import find_program


def facts() -> Mapping[str, str | int | bool | None]:
    """The machine and the versions of what runs on it; nothing that tells who, where or when."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": processor(Path("/proc/cpuinfo").read_text()) or platform.machine(),
        "memory_mb": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e6),
        "python": platform.python_version(),
        "mariadb": _version_of([find_program("mariadbd"), "--version"]),
        "emulator": metadata.version("bqemulator"),
        "dlt": peers.version(),
        "as_on_a_site": site.PROGRAM == site.AS_ON_A_SITE,
    }


def processor(cpuinfo: str) -> str | None:
    """Its name, where the kernel tells it, as it does on x86."""
    found = re.search(r"^model name\s*:\s*(.+)$", cpuinfo, re.MULTILINE)
    return found[1] if found else None


def _version_of(command: list[str]) -> str:
    """What the program says of itself, without where its path is."""
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Ver (\S+)", printed)
    return found[1] if found else "unknown"
