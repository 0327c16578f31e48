"""Since when this process has doubted batches that nothing fences off: a request for one may still be on its way."""

from collections.abc import Callable, Collection


class Doubts:
    """Of one table and process: outlives pipelines, leases and a table that is opened anew, and ends with the process.

    Once a process holds the table's lease nobody else begins to send, so that from its first doubt on the last request
    for a batch only grows older: recovery that fails and is repeated doesn't start the wait anew. Neither the lease's
    age nor a clock that somebody may set can tell that.

    Args:
        monotonic: seconds since some fixed point; it only goes forward.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._since: dict[int, float] = {}

    def are(self, batches: Collection[int]) -> None:
        """These batches are in doubt now, and no others."""
        now = self._monotonic()
        self._since = {batch: self._since.get(batch, now) for batch in batches}

    def age(self, batch: int) -> float:
        """For how many seconds the batch has been doubted."""
        return self._monotonic() - self._since[batch]

    def end(self) -> None:
        """Another process owns the table: what it leaves behind is doubted anew."""
        self._since.clear()
