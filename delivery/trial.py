"""Find the rows that BigQuery refuses without naming them: a batch is taken apart until each row stands alone."""

from collections import deque
from dataclasses import dataclass
from random import Random

from delivery.rows import Outgoing

WITNESSES = 3  # so many rows are asked whether it is the service that is in trouble


@dataclass(frozen=True, slots=True)
class _Accused:
    """A row that was refused alone, after so many pieces had got through."""

    row: Outgoing
    after: int


class Trial:
    """A batch that was refused again and again, for no reason that names a row.

    A row is guilty only if batch-mates got through without it, and if it is then refused once more: an error that all
    get is the service's. While row after row is refused, others are sent alone; if none of these gets through either,
    the trial ends. So while the service is in trouble it costs few appends, however large the batch. The rows are
    shuffled before, so that bad ones, which often follow one another, don't look like that.

    Args:
        random: of the shuffling.
        sure: BigQuery says that it is for rows, so that there is no need to ask.
    """

    def __init__(self, batch: Outgoing, reason: str, random: Random, *, sure: bool = False) -> None:
        self.reason = reason  # of the last refusal
        self.guilty: list[Outgoing] = []  # each a single row
        self._pieces = deque(_halves(batch) if sure else [_shuffled(batch, random)])  # the largest are last
        self._accused: deque[_Accused] = deque()
        self._is_hearing = False  # the last word of a row that is accused
        self._got_through = 0
        self._silence = 0 if sure else WITNESSES  # rows refused alone since something got through

    @property
    def accused(self) -> list[Outgoing]:
        """Once the trial is over: the rows that were refused alone while nothing, or not enough, got through."""
        return [accused.row for accused in self._accused]

    def next(self) -> Outgoing | None:
        """The piece to send next; None: the trial is over."""
        self._is_hearing = self._may_hear()
        if self._is_hearing:
            return self._accused.popleft().row
        if not self._pieces or self._silence >= 2 * WITNESSES:
            return None
        return self._witness() if self._silence >= WITNESSES else self._pieces.popleft()

    def got_through(self) -> None:
        """BigQuery has the piece."""
        self._got_through += 1
        self._silence = 0

    def named(self) -> None:
        """BigQuery named rows of the piece, so that it looks at them."""
        self._silence = 0

    def refused(self, piece: Outgoing, reason: str) -> None:
        """BigQuery wrote nothing of the piece: its halves are next, or its only row is accused, and at last guilty."""
        self.reason = reason
        if self._is_hearing:
            self.guilty.append(piece)
        elif len(piece) == 1:
            self._accused.append(_Accused(piece, self._got_through))
            self._silence += 1
        else:
            self._pieces.extendleft(reversed(_halves(piece)))

    def _may_hear(self) -> bool:
        if not self._accused or not self._got_through:
            return False
        at_last = not self._pieces and self._silence < WITNESSES
        return self._got_through > self._accused[0].after or at_last

    def _witness(self) -> Outgoing:
        piece = self._pieces.pop()
        if len(piece) > 1:
            self._pieces.append(piece.take(range(1, len(piece))))
        return piece.take([0])


def _shuffled(batch: Outgoing, random: Random) -> Outgoing:
    return batch.take(random.sample(range(len(batch)), len(batch)))


def _halves(piece: Outgoing) -> list[Outgoing]:
    half = len(piece) // 2
    return [piece.take(range(half)), piece.take(range(half, len(piece)))]
