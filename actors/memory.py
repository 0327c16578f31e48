"""Less memory for many threads: on a small box it is scarcer than the time that they wait for one another."""

import ctypes

import pyarrow as pa

_M_ARENA_MAX = -8  # glibc's mallopt(3)
ARENAS = 2


def save_memory() -> None:
    """Let all threads share two heaps, and Arrow use them too; each would keep its own otherwise, mostly empty.

    Saves about 25 MB in a worker with three tables (bench/footprint.py). To be called before threads are started;
    without effect where the C library isn't glibc.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, ARENAS)
    pa.set_memory_pool(pa.system_memory_pool())
