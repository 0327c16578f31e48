"""Where a pipeline's next batch goes."""

from dataclasses import dataclass

from delivery.begin import Begun, KnownStream, NewStream


@dataclass(slots=True)
class Position:
    """Behind all that was appended to the pipeline's own stream; nowhere in particular where there are no streams.

    Args:
        stream: None: this way of writing has none.
        known: the same once the ledger holds it, with the batch that was begun on it last.
    """

    stream: NewStream | None
    known: KnownStream | None = None
    _appended: int = 0

    @property
    def name(self) -> str | None:
        """Of the stream, as the service knows it."""
        return None if self.stream is None else self.stream.name

    @property
    def offset(self) -> int | None:
        return None if self.stream is None else self._appended

    @property
    def is_fenced(self) -> bool:
        """Whether a request that is still on its way can be shut out, and tells by its offset that it was repeated."""
        return self.stream is not None

    @property
    def must_reach_disk(self) -> bool:
        """Whether a batch begun here is the first that the ledger knows of what is in BigQuery: fact 7.

        A stream's count tells what else is in it. Without a stream nothing does: each batch has to be known itself.
        """
        return self.known is None

    def begun(self, batch: Begun) -> None:
        self.known = batch.stream

    def appended(self, rows: int) -> None:
        self._appended += rows
