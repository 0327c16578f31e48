"""Find the rows that BigQuery refuses without naming them: a batch is taken apart until each row stands alone."""

from collections import deque
from dataclasses import dataclass, field

from delivery.rows import Outgoing


@dataclass(slots=True)
class Trial:
    """A batch that was refused again and again, for no reason that names a row.

    A row is guilty only if batch-mates of it got through without it: an error that every piece gets is the service's.
    """

    pieces: deque[Outgoing] = field(default_factory=deque)  # to be sent next, each as a batch of its own
    accused: list[Outgoing] = field(default_factory=list)  # single rows that were refused
    mates_got_through: bool = False
    reason: str = ""  # of the last refusal

    def refused(self, piece: Outgoing, reason: str) -> None:
        """BigQuery wrote nothing of the piece: its halves are next, or its only row is accused."""
        self.reason = reason
        if len(piece) == 1:
            self.accused.append(piece)
            return
        half = len(piece) // 2
        self.pieces.extendleft((piece.take(range(half, len(piece))), piece.take(range(half))))

    def got_through(self) -> None:
        """BigQuery has a piece."""
        self.mates_got_through = True

    def next(self) -> Outgoing | None:
        """The piece to send next; None: the trial is over."""
        return self.pieces.popleft() if self.pieces else None
