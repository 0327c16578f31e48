"""What is in flight in a pipeline, and how much more may be."""

from collections.abc import Iterable
from typing import NamedTuple

from delivery.finding import Found
from delivery.rows import Key
from delivery.settle import RowRef
from delivery.source import ReadByColumns

PAGES = 3  # at least, that fit into a room: one is read, one is sent, one is marked
PAGE_ROWS = 4000
GENTLE_PAGE_ROWS = 200  # while others use the database too
FIRST_GUESS = 400_000  # bytes of a row, until rows were seen: if they are small, the pages soon grow
ROW_BYTES = 200  # what a row costs in memory beyond its values


class _Held(NamedTuple):
    """Why a key is in flight: the item it was found by, if any. Another item of the key can't let go of it."""

    item: int | None
    nbytes: int


class Room:
    """Keys and items from RowsFound or RowsDecided to RowsSettled; room is counted in rows and in bytes.

    Args:
        most_rows, most_bytes: in flight at once; a single row that is larger still fits.
        keys: of batches that are appended, but not completed.
        aside: not to be found until they are settled, although they are nowhere in the pipeline; they take no room.
    """

    def __init__(self, most_rows: int, most_bytes: int, keys: Iterable[Key] = (), aside: Iterable[Key] = ()) -> None:
        self._most_rows = most_rows
        self._most_bytes = most_bytes
        self._keys = dict.fromkeys(keys, _Held(None, ROW_BYTES))
        self._aside = set(aside)
        self._items: set[int] = set()
        self._nbytes = ROW_BYTES * len(self._keys)
        self._row_bytes = float(FIRST_GUESS)

    @property
    def is_empty(self) -> bool:
        """Nothing is in the pipeline."""
        return not self._keys and not self._items

    @property
    def leaves_aside(self) -> bool:
        return bool(self._aside)

    def has_key(self, key: Key) -> bool:
        return key in self._keys or key in self._aside

    def has_item(self, item: int) -> bool:
        return item in self._items

    def page(self, *, gentle: bool = False) -> int:
        """How many rows may be read next; 0: none until there is room for a page that is worth its cost."""
        rows = self._most_rows - max(len(self._keys), len(self._items))
        nbytes = self._most_bytes - self._nbytes
        if rows <= 0 or nbytes <= 0:
            return 0
        most = GENTLE_PAGE_ROWS if gentle else PAGE_ROWS
        share = self._most_bytes / PAGES
        page = max(1, min(rows, most, int(min(nbytes, share) / self._row_bytes)))
        fewest = min(most, self._most_rows // PAGES, int(share / self._row_bytes))
        return page if self.is_empty or page >= fewest else 0

    def expect_large_rows(self) -> None:
        """Begin with small pages again: the last one could not be read, and may have been too large for it."""
        self._row_bytes = FIRST_GUESS

    def expect_larger_rows(self, page: int) -> None:
        """A page of so many rows was too long: an eighth at most from here on."""
        self._row_bytes = max(self._row_bytes, 8 * self._most_bytes / PAGES / page)

    def add(self, found: Iterable[Found]) -> None:
        """Take in rows that are to be sent."""
        for row in found:
            nbytes = row.nbytes + ROW_BYTES
            self._row_bytes = max(nbytes, self._row_bytes + (nbytes - self._row_bytes) / 20)  # up at once, down slowly
            self._keys[row.key] = _Held(row.item, nbytes)
            self._nbytes += nbytes
            if row.item is not None:
                self._items.add(row.item)

    def add_columns(self, read: ReadByColumns) -> None:
        """Take in rows that are to be sent, each with its share of what they take together."""
        nbytes = read.nbytes // len(read.keys) + ROW_BYTES
        self._row_bytes = nbytes
        self._keys.update(dict.fromkeys(read.keys, _Held(None, nbytes)))
        self._nbytes += nbytes * len(read.keys)

    def add_decided(self, row: RowRef) -> None:
        """Take in a row that isn't sent: its item, else its key, isn't decided again until it is settled."""
        if row.item is not None:
            self._items.add(row.item)
        elif row.key is not None:
            self._keys[row.key] = _Held(None, 0)

    def free(self, rows: Iterable[RowRef]) -> None:
        """Let go of settled rows."""
        for row in rows:
            if row.item is not None:
                self._items.discard(row.item)
            if row.key is not None and row.item is None:
                self._aside.discard(row.key)
            if row.key is not None and (held := self._keys.get(row.key)) is not None and held.item == row.item:
                self._nbytes -= held.nbytes
                del self._keys[row.key]
