"""How many bytes a row takes in an Arrow record batch, about, told from its values or from the batch."""

from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

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


def batch_bytes(columns: Sequence[BigQueryColumn]) -> Callable[[Any], list[int]]:
    """What tells the same of each row of an Arrow record batch of these columns."""
    fixed_bytes = sum(_least_bytes(column) for column in columns)

    def row_bytes(batch: Any) -> list[int]:
        nbytes = pa.repeat(pa.scalar(fixed_bytes, pa.int64()), len(batch))
        for column, array in zip(columns, batch.columns, strict=True):
            if column.mode == "REPEATED":
                nbytes = pc.add(nbytes, _bytes_of_arrays(array, None if _is_text(column) else _WIDTHS[column.type]))
            elif _is_text(column):
                nbytes = pc.add(nbytes, pc.coalesce(pc.binary_length(array), 0))
        sizes: list[int] = nbytes.to_pylist()
        return sizes

    return row_bytes


def _bytes_of_arrays(arrays: Any, width: int | None) -> Any:
    """The elements of each array; they are of one `width`, or else texts."""
    if width is not None:
        return pc.multiply(pc.list_value_length(arrays), width + _VALIDITY)
    of_elements = pc.add(pc.binary_length(arrays.values).cast(pa.int64()), _VALIDITY + _OFFSET)
    ends = pa.concat_arrays([pa.array([0], pa.int64()), pc.cumulative_sum(of_elements)])
    return pc.subtract(ends.take(arrays.offsets[1:]), ends.take(arrays.offsets[:-1]))


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
