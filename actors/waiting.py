"""Rows that wait for their batch, in pieces as they were found, and the batches that are cut from them."""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from delivery.rows import Outgoing


@dataclass(frozen=True, slots=True)
class Piece:
    """Some rows of one shape, encoded. `row_bytes`: what each takes on the wire; `suspect`: see `finding.Found`."""

    shape: tuple[str, ...]
    outgoing: Outgoing
    row_bytes: Sequence[int]
    suspect: bool = False

    def __len__(self) -> int:
        return len(self.row_bytes)

    @property
    def nbytes(self) -> int:
        return sum(self.row_bytes)

    def fitting(self, rows: int, nbytes: int) -> int:
        """How many of its first rows are within both."""
        return bisect_right(list(accumulate(self.row_bytes[:rows])), nbytes)

    def cut(self, places: range) -> "Piece":
        return Piece(self.shape, self.outgoing.take(places), self.row_bytes[places.start : places.stop], self.suspect)


class Waiting:
    """The pieces, in the order in which they were found."""

    def __init__(self) -> None:
        self._pieces: deque[Piece] = deque()
        self._rows = 0
        self.nbytes = 0  # of all that waits

    def __len__(self) -> int:
        return self._rows

    def add(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            self._pieces.append(piece)
            self._rows += len(piece)
            self.nbytes += piece.nbytes

    def take(self, rows: int, nbytes: int) -> tuple[Outgoing, bool]:
        """The next rows of one shape, within both, one at least; and whether any of them is suspect."""
        taken: list[Piece] = []
        shape = self._pieces[0].shape
        while self._pieces and self._pieces[0].shape == shape:
            piece = self._pieces[0]
            many = piece.fitting(rows, nbytes)
            if not taken:
                many = max(1, many)
            if many == 0:
                break
            self._pieces.popleft()
            if many < len(piece):
                self._pieces.appendleft(piece.cut(range(many, len(piece))))
                piece = piece.cut(range(many))
            taken.append(piece)
            rows, nbytes = rows - len(piece), nbytes - piece.nbytes
        self._rows -= sum(map(len, taken))
        self.nbytes -= sum(piece.nbytes for piece in taken)
        return Outgoing.join([piece.outgoing for piece in taken]), any(piece.suspect for piece in taken)
