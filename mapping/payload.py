"""Payloads of queue items: a JSON object whose members are BigQuery columns, the row as it stood."""

from collections.abc import Collection, Mapping
from datetime import tzinfo
from functools import lru_cache

from delivery.rows import Key
from mapping import from_json, json_text
from mapping.encoding import Encoding
from mapping.from_json import Convert
from mapping.origins import Make
from mapping.row import BadRow, Layout, Row
from mapping.schema import BigQueryColumn, BigQueryTable
from mapping.values import TYPES, Unfit

_LONGEST_NAME = 300  # of a BigQuery column


class PayloadReader:
    """Makes rows of payloads.

    Args:
        mapped: the BigQuery columns that every row has, whether its payload names them or not, except those that
            BigQuery fills in by itself.
        from_key: the columns that are made from the primary key alone. Filled in where absent, and checked.
        constants: identity columns with the same value in every row. Filled in where absent: without them, rows of
            two sites could be taken for one.
        zone: what a TIMESTAMP without offset is in.
    """

    def __init__(
        self,
        table: BigQueryTable,
        mapped: Collection[str],
        from_key: Mapping[str, Make],
        constants: Mapping[str, object],
        identity_columns: tuple[str, ...],
        partition_column: str | None,
        zone: tzinfo,
        encoding: Encoding,
    ) -> None:
        self._table = table
        self._from_key = from_key
        self._constants = constants
        self._identity_columns = identity_columns
        self._partition_column = partition_column
        self._always = frozenset(name for name in mapped if not table.columns[name].has_default)
        self._looked_up = frozenset(mapped) & {*identity_columns, partition_column}
        self._encoding = encoding
        columns = table.columns.values()
        self._raw = frozenset(column.name for column in columns if column.type == "JSON" and column.mode != "REPEATED")
        self._converters = {column.name: _converter(column, zone) for column in columns if column.type in TYPES}
        self._layout = lru_cache(maxsize=64)(self._layout_with)

    def row(self, key: Key, text: str) -> Row:
        """The row that a payload holds, for the source key of its queue item.

        Raises:
            BadRow: it isn't a JSON object, names an unknown column, has another id, or a value doesn't fit its column.
        """
        try:
            given = json_text.members(text, self._raw)
        except Unfit as unfit:
            raise BadRow(None, f"the payload {unfit}") from None
        values = {name: self._convert(name, value) for name, value in given.items()}
        self._identify(values, key)
        layout = self._layout(frozenset(values.keys() - self._always))
        return layout.row([values[name] if name in values else self._absent(name) for name in layout.shape])

    def _convert(self, name: str, value: object) -> object:
        convert = self._converters.get(name)
        if convert is None:
            raise self._unknown(name)
        try:
            return convert(value)
        except Unfit as unfit:
            raise BadRow(name, str(unfit)) from None

    def _unknown(self, name: str) -> BadRow:
        if name in self._table.columns:
            return BadRow(name, f"has the type {self._table.columns[name].type}, which isn't supported")
        nameable = name.isprintable() and len(name) <= _LONGEST_NAME
        return BadRow(
            name if nameable else None,
            f"the payload names a column that BigQuery's table {self._table.name} doesn't have",
        )

    def _identify(self, values: dict[str, object], key: Key) -> None:
        for name, make in self._from_key.items():
            try:
                expected = make((key,))
            except Unfit as unfit:
                raise BadRow(name, str(unfit)) from None
            if values.get(name) is None:
                values[name] = expected
            elif values[name] != expected:
                raise BadRow(name, "isn't the id that belongs to the item's record_id")
        for name, constant in self._constants.items():
            if values.get(name) is None:
                values[name] = constant
        for name in self._looked_up - self._always - values.keys():
            raise BadRow(name, "is missing, and can't be left to BigQuery's default: the row is looked up by it")

    def _absent(self, name: str) -> object:
        return [] if self._table.columns[name].mode == "REPEATED" else None

    def _layout_with(self, more: frozenset[str]) -> Layout:
        present = self._always | more
        columns = [column for column in self._table.columns.values() if column.name in present]
        return Layout(columns, self._identity_columns, self._partition_column, self._encoding.row_bytes(columns))


def _converter(column: BigQueryColumn, zone: tzinfo) -> Convert:
    """What converts a member's value, null included: a JSON column's is its text, any other's is parsed."""
    if column.mode == "REPEATED":
        return from_json.array_of(from_json.scalar(column.type, zone))
    convert = _json if column.type == "JSON" else from_json.scalar(column.type, zone)
    return lambda value: None if value is None else convert(value)


def _json(value: object) -> str:
    return json_text.check(str(value))
