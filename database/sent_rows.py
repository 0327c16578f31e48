"""What the ledger keeps of a batch's rows: compressed Arrow, a column for the key and one for each identity column."""

from collections.abc import Collection, Sequence
from typing import cast

import pyarrow as pa
import pyarrow.ipc

from delivery.rows import Key, SentRow, SentRows

_PARTITION = b"partition_column"
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def pack(rows: SentRows) -> bytes:
    """The bytes of bq_sync_batch.sent_rows."""
    columns = [_array([row.key for row in rows.rows])]
    columns += [_array([row.identity[place] for row in rows.rows]) for place in range(len(rows.identity_columns))]
    columns.append(_array([row.partition for row in rows.rows]))
    # By place, since an identity column may be the partitioning column too.
    names = ["key", *rows.identity_columns, "partition"]
    schema = pa.schema(
        [pa.field(name, column.type) for name, column in zip(names, columns, strict=True)],
        metadata={_PARTITION: rows.partition_column.encode()} if rows.partition_column else None,
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema, options=_OPTIONS) as writer:
        writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))
    return cast(bytes, sink.getvalue().to_pybytes())


def _array(values: Sequence[object]) -> pa.Array:
    try:
        return pa.array(values)
    except OverflowError:
        return pa.array(values, type=pa.uint64())  # BIGINT UNSIGNED, which pyarrow doesn't guess


def unpack(packed: bytes, only: Collection[Key] | None = None) -> SentRows:
    """The rows as they were packed, or only those of some keys.

    A batch that stands for rows which another program sent has none, and no bytes.
    """
    if not packed:
        return SentRows((), None, ())
    with pa.ipc.open_stream(packed) as reader:
        table, metadata = reader.read_all(), reader.schema.metadata or {}
    if only is not None:
        places = [place for place, key in enumerate(table.column(0).to_pylist()) if key in only]
        table = table.take(pa.array(places, type=pa.int64()))
    names = tuple(table.schema.names)
    key, *identity, partition = (column.to_pylist() for column in table.columns)
    identities = zip(*identity, strict=True)
    rows = tuple(SentRow(cast(Key, k), values, p) for k, values, p in zip(key, identities, partition, strict=True))
    partition_column = metadata[_PARTITION].decode() if _PARTITION in metadata else None
    return SentRows(names[1:-1], partition_column, rows)


def unpack_keys(packed: bytes) -> list[Key]:
    """The keys alone."""
    if not packed:
        return []
    with pa.ipc.open_stream(packed) as reader:
        return cast(list[Key], reader.read_all().column(0).to_pylist())
