"""Rows as Arrow record batches, the form in which the Storage Write API takes them.

The types are those of https://cloud.google.com/bigquery/docs/write-api#data_type_conversions
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.ipc

from delivery.rows import Key
from mapping.arrow_bytes import arrow_bytes
from mapping.row import Row, RowBytes, Shape
from mapping.schema import BigQueryColumn, BigQueryTable

_TYPES = {
    "STRING": pa.utf8(),
    "JSON": pa.utf8(),
    "BYTES": pa.binary(),
    "BOOL": pa.bool_(),
    "INT64": pa.int64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True)
class ArrowRows:
    """Rows of one shape, encoded; see `delivery.rows.Encoded`."""

    record_batch: pa.RecordBatch

    @property
    def nbytes(self) -> int:
        """The size of the serialized record batch, without its schema."""
        return int(pa.ipc.get_record_batch_size(self.record_batch))

    def take(self, places: Sequence[int]) -> "ArrowRows":
        if isinstance(places, range) and places.step == 1:
            return ArrowRows(self.record_batch.slice(places.start, len(places)))  # without a copy
        return ArrowRows(self.record_batch.take(pa.array(places, type=pa.int64())))

    def join(self, others: Sequence["ArrowRows"]) -> "ArrowRows":
        return ArrowRows(pa.concat_batches([self.record_batch, *(other.record_batch for other in others)]))


def arrow_type(column: BigQueryColumn) -> pa.DataType:
    element = _TYPES[column.type]
    return pa.list_(element) if column.mode == "REPEATED" else element


def arrow_schema(table: BigQueryTable, shape: Shape) -> pa.Schema:
    return pa.schema([pa.field(name, arrow_type(table.columns[name])) for name in shape])


def encode(schema: pa.Schema, rows: Sequence[Row]) -> ArrowRows:
    """The rows, at least one, which all have the columns of this schema."""
    columns = zip(*(row.values for row in rows), strict=True)
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    return ArrowRows(pa.RecordBatch.from_arrays(arrays, schema=schema))


@dataclass(frozen=True, slots=True)
class ArrowEncoding:
    """Implements `mapping.encoding.Encoding`."""

    table: BigQueryTable

    def row_bytes(self, columns: Sequence[BigQueryColumn]) -> RowBytes:
        return arrow_bytes(columns)

    def encode(self, _keys: Sequence[Key], rows: Sequence[Row]) -> ArrowRows:
        return encode(arrow_schema(self.table, rows[0].shape), rows)
