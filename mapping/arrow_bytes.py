"""How many bytes a row takes in an Arrow record batch, about, told from its values before it is encoded."""

from collections.abc import Sequence
from typing import Any

from mapping.row import RowBytes
from mapping.schema import BigQueryColumn

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


def arrow_bytes(columns: Sequence[BigQueryColumn]) -> RowBytes:
    """What tells it of rows of these columns."""
    fixed_bytes = sum(_least_bytes(column) for column in columns)
    texts = [place for place, column in enumerate(columns) if _is_text(column) and column.mode != "REPEATED"]
    arrays = [
        (place, None if _is_text(column) else _WIDTHS[column.type] + _VALIDITY)
        for place, column in enumerate(columns)
        if column.mode == "REPEATED"
    ]

    def row_bytes(values: Sequence[object]) -> int:
        nbytes = fixed_bytes
        for place in texts:
            text: Any = values[place]
            if text is not None:
                nbytes += len(text) if text.isascii() else _bytes_beyond_ascii(text)
        for place, width in arrays:
            elements: Any = values[place]
            nbytes += sum(map(_text_bytes, elements)) if width is None else width * len(elements)
        return nbytes

    return row_bytes


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
