"""Rows as JSON, the form in which insertAll takes them, each with its insertId.

What stands in which column is said in the reference of tabledata.insertAll and in "Encoding" of GoogleSQL's JSON
functions: https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/insertAll
"""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from decimal import Decimal
from itertools import chain
from typing import Any

import orjson

from delivery.rows import Key
from mapping.insert_ids import InsertIds
from mapping.row import Row, RowBytes
from mapping.schema import BigQueryColumn, BigQueryTable
from mapping.values import plain_decimal

_START, _SEPARATOR, _END = b'{"rows":[', b",", b"]}"
_ROW = b'{"insertId":"%b","json":%b}'
_FRAME_BYTES = len(_ROW % (b" " * InsertIds.LENGTH, b"")) + len(_SEPARATOR)


@dataclass(frozen=True, slots=True)
class JsonRows:
    """Rows, each encoded already; see `delivery.rows.Encoded`."""

    rows: tuple[bytes, ...]

    @property
    def nbytes(self) -> int:
        """The size of the request's body, exactly."""
        separators = max(0, len(self.rows) - 1) * len(_SEPARATOR)
        return len(_START) + sum(map(len, self.rows)) + separators + len(_END)

    def take(self, places: Sequence[int]) -> "JsonRows":
        return JsonRows(tuple(self.rows[place] for place in places))

    def join(self, others: Sequence["JsonRows"]) -> "JsonRows":
        return JsonRows((*self.rows, *chain.from_iterable(other.rows for other in others)))

    def body(self) -> bytes:
        """The request's body."""
        return b"".join((_START, _SEPARATOR.join(self.rows), _END))


@dataclass(frozen=True, slots=True)
class JsonEncoding:
    """Implements `mapping.encoding.Encoding`. A row's size is exact: what has to be escaped may make it twice as long.

    That a row is written out for its size and once more when it is sent costs less than to keep both of what waits.
    """

    table: BigQueryTable
    insert_ids: InsertIds

    def row_bytes(self, columns: Sequence[BigQueryColumn]) -> RowBytes:
        write = _writer(columns)
        return lambda values: _FRAME_BYTES + len(write(values))

    def encode(self, keys: Sequence[Key], rows: Sequence[Row]) -> JsonRows:
        write = _writer([self.table.columns[name] for name in rows[0].shape])
        return JsonRows(
            tuple(
                _ROW % (self.insert_ids.of(key).encode(), write(row.values))
                for key, row in zip(keys, rows, strict=True)
            )
        )


def _writer(columns: Sequence[BigQueryColumn]) -> Callable[[Sequence[object]], bytes]:
    """What writes rows of these columns.

    A column that is left out is NULL (an array is empty), or gets its default. So NULL is said where it is meant in
    a column that has a default.
    """
    cells = [(column.name, _of_column(column), column.has_default) for column in columns]

    def write(values: Sequence[object]) -> bytes:
        members = {
            name: value if convert is None or value is None else convert(value)
            for (name, convert, has_default), value in zip(cells, values, strict=True)
            if has_default or (value is not None and value != [])
        }
        return orjson.dumps(members, option=orjson.OPT_UTC_Z)

    return write


Convert = Callable[[Any], object]


def _of_column(column: BigQueryColumn) -> Convert | None:
    convert = _CONVERT.get(column.type)
    if convert is None or column.mode != "REPEATED":
        return convert
    return lambda elements: [convert(element) for element in elements]


def _decimal(value: Decimal) -> str:
    digits = plain_decimal(value)
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


# Of the other types orjson writes what BigQuery reads: ISO 8601 for dates and times, Z behind those in UTC. A JSON
# column takes the text of its JSON.
_CONVERT: Mapping[str, Convert] = {
    "INT64": str,  # beyond 53 bits a JSON number is no longer exact to everybody who reads it
    "NUMERIC": _decimal,
    "BIGNUMERIC": _decimal,
    "FLOAT64": _float,
    "BYTES": lambda value: base64.b64encode(value).decode(),
    "TIME": time.isoformat,  # orjson 3.13 writes 10 ms as .10000
}
