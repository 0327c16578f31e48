"""A converted row, or why there is none, and the layout that rows of one shape have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mapping.schema import BigQueryColumn

# One append request may hold 10 MB: a larger row can never be sent. The rest is for the schema and what frames the row.
MAX_ROW_BYTES = 9_900_000

Shape = tuple[str, ...]  # the BigQuery columns that a row has, in the order of the table's schema


class BadRow(Exception):
    """A row or payload that BigQuery can't take. Its reason never shows a value of the row.

    `column` is the BigQuery column, or None where the row as a whole is bad.
    """

    def __init__(self, column: str | None, reason: str) -> None:
        super().__init__(f"{column}: {reason}" if column else reason)
        self.column = column
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One row as BigQuery will have it.

    `values` stand in the order of `shape`; `identity` and `partition` are those of the mapping's columns. `nbytes` is
    about what the row takes on the wire.
    """

    shape: Shape
    values: tuple[object, ...]
    identity: tuple[object, ...]
    partition: object
    nbytes: int


class Layout:
    """Where rows of one shape have what: built once for each shape, used for every row."""

    def __init__(
        self, columns: Sequence[BigQueryColumn], identity_columns: Sequence[str], partition_column: str | None
    ) -> None:
        self.shape: Shape = tuple(column.name for column in columns)
        self._required = [place for place, column in enumerate(columns) if column.mode == "REQUIRED"]
        self._identity = [self.shape.index(name) for name in identity_columns]
        self._partition = next((place for place, name in enumerate(self.shape) if name == partition_column), None)
        self._fixed_bytes = sum(_least_bytes(column) for column in columns)
        self._texts = [place for place, column in enumerate(columns) if _is_text(column) and column.mode != "REPEATED"]
        self._arrays = [
            (place, None if _is_text(column) else _WIDTHS[column.type] + _VALIDITY)
            for place, column in enumerate(columns)
            if column.mode == "REPEATED"
        ]

    def row(self, values: Sequence[object]) -> Row:
        """A row of these values, which stand in the order of the shape.

        Raises:
            BadRow: a REQUIRED column is NULL, or the row is too large.
        """
        for place in self._required:
            if values[place] is None:
                raise BadRow(self.shape[place], "is NULL, but the column is REQUIRED")
        nbytes = self._fixed_bytes
        for place in self._texts:
            text: Any = values[place]
            if text is not None:
                nbytes += len(text) if text.isascii() else _bytes_beyond_ascii(text)
        for place, width in self._arrays:
            elements: Any = values[place]
            nbytes += sum(map(_text_bytes, elements)) if width is None else width * len(elements)
        if nbytes > MAX_ROW_BYTES:
            raise BadRow(None, f"too large: {nbytes} bytes, and BigQuery takes rows of up to {MAX_ROW_BYTES}")
        identity = tuple([values[place] for place in self._identity])
        partition = None if self._partition is None else values[self._partition]
        return Row(self.shape, tuple(values), identity, partition, nbytes)


# What Arrow takes: a value's own bytes, an offset for one without a fixed width, and a bit (counted as a byte) that
# says whether it is NULL.
_WIDTHS = {
    "BOOL": 1,
    "DATE": 4,
    "INT64": 8,
    "FLOAT64": 8,
    "TIME": 8,
    "DATETIME": 8,
    "TIMESTAMP": 8,
    "NUMERIC": 16,
    "BIGNUMERIC": 32,
}
_OFFSET = 4
_VALIDITY = 1


def _is_text(column: BigQueryColumn) -> bool:
    """Whether its values (STRING, JSON, BYTES) have no fixed width."""
    return column.type not in _WIDTHS


def _least_bytes(column: BigQueryColumn) -> int:
    """What the column takes in every row, whatever its value."""
    fixed = column.mode != "REPEATED" and not _is_text(column)
    return _VALIDITY + (_WIDTHS[column.type] if fixed else _OFFSET)


def _text_bytes(text: str | bytes) -> int:
    return _VALIDITY + _OFFSET + (len(text) if text.isascii() else _bytes_beyond_ascii(text))


def _bytes_beyond_ascii(text: str | bytes) -> int:
    return len(text if isinstance(text, bytes) else text.encode())
