"""A converted row, or why there is none, and the layout that rows of one shape have in common."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from mapping.schema import BigQueryColumn

# One request may hold 10 MB: a larger row can never be sent. The rest is for the schema and what frames the row.
MAX_ROW_BYTES = 9_900_000

Shape = tuple[str, ...]  # the BigQuery columns that a row has, in the order of the table's schema
RowBytes = Callable[[Sequence[object]], int]  # how many bytes a row of these values takes on the wire


class BadRow(Exception):
    """A row or payload that BigQuery can't take. Its reason never shows a value of the row.

    `column` is the BigQuery column, or None where the row as a whole is bad.
    """

    def __init__(self, column: str | None, reason: str) -> None:
        super().__init__(f"{column}: {reason}" if column else reason)
        self.column = column
        self.reason = reason


class Row(NamedTuple):
    """One row as BigQuery will have it.

    `values` stand in the order of `shape`; `identity` and `partition` are those of the mapping's columns. `nbytes` is
    what the row takes on the wire, as its encoding counts it.
    """

    shape: Shape
    values: tuple[object, ...]
    identity: tuple[object, ...]
    partition: object
    nbytes: int


class Layout:
    """Where rows of one shape have what: built once for each shape, used for every row."""

    def __init__(
        self,
        columns: Sequence[BigQueryColumn],
        identity_columns: Sequence[str],
        partition_column: str | None,
        row_bytes: RowBytes,
    ) -> None:
        self.shape: Shape = tuple(column.name for column in columns)
        self._required = [place for place, column in enumerate(columns) if column.mode == "REQUIRED"]
        self._identity = [self.shape.index(name) for name in identity_columns]
        self._partition = next((place for place, name in enumerate(self.shape) if name == partition_column), None)
        self._row_bytes = row_bytes

    def row(self, values: Sequence[object]) -> Row:
        """A row of these values, which stand in the order of the shape.

        Raises:
            BadRow: a REQUIRED column is NULL, or the row is too large.
        """
        for place in self._required:
            if values[place] is None:
                raise BadRow(self.shape[place], "is NULL, but the column is REQUIRED")
        nbytes = self._row_bytes(values)
        if nbytes > MAX_ROW_BYTES:
            raise BadRow(None, f"too large: {nbytes} bytes, and BigQuery takes rows of up to {MAX_ROW_BYTES}")
        identity = tuple([values[place] for place in self._identity])
        partition = None if self._partition is None else values[self._partition]
        return Row(self.shape, tuple(values), identity, partition, nbytes)
