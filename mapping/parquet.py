"""Rows in a Parquet file, written in bounded memory: the form in which a load job takes them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow.parquet as pq

from delivery.rows import Key, SentRow, SentRows
from mapping.arrow import arrow_schema, encode
from mapping.row import BadRow, Row, Shape
from mapping.table import TableMapping

GROUP_ROWS = 5_000  # of a row group, which is kept in memory until it is full
GROUP_BYTES = 8_000_000


@dataclass
class ParquetChunk:
    """A file of one table's rows, as long as the `with` block; implements `delivery.bulk_backfill.Chunk`.

    JSON columns are texts in it, since BigQuery's load jobs take no JSON from Parquet.

    Attributes:
        nbytes: of the rows as they are before compression.
    """

    path: Path
    mapping: TableMapping
    nbytes: int = 0
    shape: Shape = ()
    _sent: list[SentRow] = field(default_factory=list, init=False)
    _group: list[Row] = field(default_factory=list, init=False)
    _group_bytes: int = field(default=0, init=False)
    _writer: pq.ParquetWriter | None = field(default=None, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    @property
    def rows(self) -> SentRows:
        return SentRows(self.mapping.identity_columns, self.mapping.partition_column, tuple(self._sent))

    def __len__(self) -> int:
        return len(self._sent)

    def add(self, rows: Iterable[tuple[Key, Sequence[object]]]) -> Mapping[Key, str]:
        """Write rows, each with its source values; those that BigQuery can't take, and why."""
        bad: dict[Key, str] = {}
        for key, values in rows:
            try:
                row = self.mapping.row(values)
            except BadRow as error:
                bad[key] = str(error)
                continue
            self._sent.append(SentRow(key, row.identity, row.partition))
            self._group.append(row)
            self._group_bytes += row.nbytes
            self.nbytes += row.nbytes
            if len(self._group) >= GROUP_ROWS or self._group_bytes >= GROUP_BYTES:
                self._write_group()
        return bad

    def finish(self) -> None:
        """Write what is left; the file is whole then. It has a row at least."""
        self._write_group()
        assert self._writer is not None
        self._writer.close()

    def _write_group(self) -> None:
        if not self._group:
            return
        if self._writer is None:
            self.shape = self._group[0].shape  # which all source rows of a table have
            schema = arrow_schema(self.mapping.destination, self.shape)
            self._writer = pq.ParquetWriter(self.path, schema, compression="zstd")
        self._writer.write_batch(encode(self._writer.schema, self._group).record_batch)
        self._group, self._group_bytes = [], 0
