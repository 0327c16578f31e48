"""Since when this process has known what it can't believe at once: by a clock that nobody can set."""

from collections.abc import Callable, Collection, Hashable
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)


class KnownSince(Generic[T]):
    """Things, each with the time at which this process first knew of it.

    Args:
        monotonic: seconds since some fixed point; it only goes forward.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[T, float] = {}

    def add(self, thing: T) -> None:
        """There is this one, too; no longer than until now, where it is a new one."""
        self._since.setdefault(thing, self._monotonic())

    def are(self, things: Collection[T]) -> None:
        """There are these now, and no others."""
        now = self._monotonic()
        self._since = {thing: self._since.get(thing, now) for thing in things}

    def age(self, thing: T) -> float:
        """For how many seconds it has been known: it is that old at least."""
        return self._monotonic() - self._since[thing]

    def forget(self) -> None:
        self._since.clear()


class Doubts:
    """Of one table and process: outlives pipelines, leases and a table that is opened anew, and ends with the process.

    Once a process holds the table's lease nobody else begins to send, so that from its first doubt on the last request
    for a batch only grows older: recovery that fails and is repeated doesn't start the wait anew. Neither the lease's
    age nor a clock that somebody may set can tell that.

    Attributes:
        batches: whose outcome is unknown, and which nothing fences off: a request for one may still be on its way.
        streams: by name, each at least as old as it is known here; BigQuery may not know a young one everywhere.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.batches = KnownSince[int](monotonic)
        self.streams = KnownSince[str](monotonic)

    def end(self) -> None:
        """Another process owns the table: what it leaves behind is doubted anew."""
        self.batches.forget()
        self.streams.forget()
