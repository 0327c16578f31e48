"""The files of a slot, `counter_worker-0.db` and so on, as prometheus_client's multiprocess mode writes them."""

import json
import math
import os
import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import structlog
from prometheus_client.mmap_dict import MmapedDict

UNIT = 1 << 16  # prometheus_client makes its files this large, and doubles them

log = structlog.get_logger(__name__)


def files_of(directory: Path, slot: str) -> Iterator[Path]:
    return directory.glob(f"*_{slot}.db")


def allocate(directory: Path, slot: str, sizes: Mapping[str, int]) -> None:
    """Give each file the room on the disk that it will need.

    A file with holes would do, until the disk is full: then touching one ends the process (SIGBUS).

    Raises:
        OSError: the disk is full.
    """
    for kind, size in sizes.items():
        room = UNIT
        while room < size:
            room *= 2
        with (directory / f"{kind}_{slot}.db").open("ab") as file:
            os.posix_fallocate(file.fileno(), 0, room)


def set_aside_if_broken(path: Path) -> bool:
    """Rename a file that can't be read, such as a power cut leaves. Only for slots that nobody writes to.

    Its counters begin anew; of each file the broken one is kept, for whoever wants to look.
    """
    if not _is_broken(path):
        return False
    log.warning("a file of metrics is broken: its counters begin anew", path=str(path))
    path.replace(path.with_suffix(".broken"))
    return True


def remove(directory: Path, slot: str, pattern: str = "*") -> None:
    """Remove files of a slot that nobody writes to."""
    for path in directory.glob(f"{pattern}_{slot}.db"):
        with suppress(FileNotFoundError):
            path.unlink()


def readable(paths: Iterable[Path]) -> list[str]:
    """Those that can be read, whoever writes to them meanwhile."""
    return [str(path) for path in paths if not _is_broken(path)]


def _is_broken(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            (used,) = struct.unpack("i", file.read(4))
            if used and not 8 <= used <= os.fstat(file.fileno()).st_size:
                return True
        entries = MmapedDict.read_all_values_from_file(path)  # type: ignore[no-untyped-call]  # untyped there
        return not all(math.isfinite(value) and len(json.loads(key)) == 4 for key, value, _, _ in entries)
    except (struct.error, RuntimeError, ValueError, TypeError, OSError):
        return True
