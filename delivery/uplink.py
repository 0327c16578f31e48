"""How much of the line uploads may take, all tables together."""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from delivery.rows import Encoded


def uncompressed(rows: Encoded) -> int:
    return rows.nbytes


@dataclass(frozen=True, slots=True)
class Turn:
    """When an attempt may be made, and how long the line is then left to it: seconds of the monotonic clock."""

    begins: float
    seconds: float


class Uplink:
    """Lets one attempt after another have the line, so that on average they stay below a rate. Threads may share it.

    Args:
        bytes_per_second: None: the line is all ours, and everybody's turn is at once.
        size: how many bytes rows are on the line.
    """

    def __init__(self, bytes_per_second: float | None = None, size: Callable[[Encoded], int] = uncompressed) -> None:
        self._bytes_per_second = bytes_per_second
        self._size = size
        self._lock = threading.Lock()
        self._free_at = float("-inf")

    def turn(self, rows: Encoded, now: float) -> Turn:
        """Queue up behind all who asked before. A turn that isn't used is lost, not given back."""
        if self._bytes_per_second is None:
            return Turn(now, 0.0)
        seconds = self._size(rows) / self._bytes_per_second
        with self._lock:
            begins = max(now, self._free_at)
            self._free_at = begins + seconds
        return Turn(begins, seconds)
