"""The port to a form in which rows go over the wire: `arrow` for the Storage Write API, `json_rows` for insertAll."""

from collections.abc import Sequence
from typing import Protocol

from delivery.rows import Encoded, Key
from mapping.row import Row, RowBytes
from mapping.schema import BigQueryColumn


class Encoding(Protocol):
    """How the rows of one table are encoded."""

    def row_bytes(self, columns: Sequence[BigQueryColumn]) -> RowBytes:
        """What tells of a row of these columns, by its values, how many bytes it takes on the wire."""
        ...

    def encode(self, keys: Sequence[Key], rows: Sequence[Row]) -> Encoded:
        """The rows, at least one and all of one shape, each with its source key."""
        ...
