"""Less memory for many threads: on a small box it is scarcer than the time that they wait for one another."""

import ctypes
import os
import threading
import time

# glibc's mallopt(3)
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

ARENAS = 1
MAP_BYTES = 4_000_000
TRIM_BYTES = 1_000_000
TRIM_SECONDS = 60.0


def save_memory() -> None:
    """Let all threads, and Arrow, share one heap, and give back what a backlog has taken once it is sent.

    Pages of rows come from that heap too. Each mapped for itself, as the C library does with whatever is large, they
    take some megabytes less, but a fifth more of the processor, which has to fill them with zeros first.

    To be called before other threads are started, and before Arrow is imported, which chooses its allocator then.
    Without effect where the C library isn't glibc.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "mallopt"):
        return
    libc.mallopt(_M_ARENA_MAX, ARENAS)
    libc.mallopt(_M_MMAP_THRESHOLD, MAP_BYTES)
    libc.mallopt(_M_TRIM_THRESHOLD, TRIM_BYTES)  # said once, it doesn't grow with what is freed
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    threading.Thread(target=_trim, args=(libc,), name="memory", daemon=True).start()


def _trim(libc: ctypes.CDLL) -> None:
    """Of each heap only the end is given back by itself."""
    while True:
        time.sleep(TRIM_SECONDS)
        libc.malloc_trim(0)
