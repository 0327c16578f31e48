"""One table's mapping, compiled: what the actors use."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from delivery.rows import Converted, Encoded, Key
from delivery.source import ReadByColumns
from mapping.encoding import Encoding
from mapping.key import KeyOf
from mapping.origins import Make
from mapping.row import BadRow, Layout, Row
from mapping.schema import BigQueryTable
from mapping.values import Unfit


class RowReader:
    """Makes rows of source rows.

    Args:
        makers: what makes each BigQuery column, in the order of the layout.
    """

    def __init__(self, layout: Layout, makers: Sequence[Make]) -> None:
        self._layout = layout
        self._makers = tuple(makers)

    def row(self, values: Sequence[object]) -> Row:
        try:
            made = [make(values) for make in self._makers]
        except Unfit as unfit:
            raise BadRow(self._unfit_column(values), str(unfit)) from None
        return self._layout.row(made)

    def _unfit_column(self, values: Sequence[object]) -> str:
        """The first column that can't be made: found by making them again, since hardly any row has one."""
        for name, make in zip(self._layout.shape, self._makers, strict=True):
            try:
                make(values)
            except Unfit:
                return name
        raise AssertionError("every column can be made")


@dataclass(frozen=True)
class TableMapping:
    """How one table's rows become BigQuery rows; made by `compile_mapping`.

    `source_columns` is what a reader selects of a row, in this order: the primary key first, each once.
    `partition_column` is None where BigQuery alone decides the partition: then nothing can be looked up by it.
    `unmapped_source_columns` and `unmapped_destination_columns` are carried by nothing; BigQuery columns with a
    default don't count. `warnings` are for `check`: what may surprise, each in a sentence.
    """

    name: str
    key_column: str
    source_columns: tuple[str, ...]
    identity_columns: tuple[str, ...]
    partition_column: str | None
    unmapped_source_columns: tuple[str, ...]
    unmapped_destination_columns: tuple[str, ...]
    warnings: tuple[str, ...]
    destination: BigQueryTable
    read_key: KeyOf = field(repr=False)
    read_row: Callable[[Sequence[object]], Row] = field(repr=False)
    read_payload: Callable[[Key, str], Row] = field(repr=False)
    encoding: Encoding = field(repr=False)
    read_columns: Callable[[ReadByColumns], Converted] | None = field(repr=False)  # None: only rows can be converted

    def key_of(self, record_id: str) -> Key | None:
        """The key that a queue item's record id means ('007' is 7); None: no row of this table can have it."""
        return self.read_key(record_id)

    def row(self, values: Sequence[object]) -> Row:
        """The BigQuery row of a source row, given the values of `source_columns`.

        Raises:
            BadRow: BigQuery can't take it.
        """
        return self.read_row(values)

    def payload(self, key: Key, text: str) -> Row:
        """The BigQuery row of a queue item's payload.

        Raises:
            BadRow: BigQuery can't take it.
        """
        return self.read_payload(key, text)

    def encode(self, keys: Sequence[Key], rows: Sequence[Row]) -> Encoded:
        """The rows, at least one and all of one shape, each with its source key, as they go over the wire."""
        return self.encoding.encode(keys, rows)

    def of_columns(self, read: ReadByColumns) -> Converted:
        """The BigQuery rows of source rows, one at least, that were read by columns.

        Raises:
            Unfit: BigQuery can't take one of them.
        """
        assert self.read_columns is not None  # else nobody reads so
        return self.read_columns(read)
