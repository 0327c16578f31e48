"""Source rows that were read by columns, converted by columns: most values never become Python's.

What Arrow does to a whole column is done so: texts, integers, JSON as it is, templates and objects of these. Everything
else is done value by value by what converts a row. Where a value can't be taken, all the rows are refused: converted
one by one, they say which it is.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from config.settings import ColumnOrigin, FromColumn, FromObject, FromTemplate, JsonMember
from delivery.rows import Converted, Key, SentRow, SentRows
from delivery.source import ReadByColumns
from mapping import json_text
from mapping.arrow import ArrowRows, arrow_type
from mapping.arrow_bytes import batch_bytes
from mapping.from_source import Family, family
from mapping.origins import SITE_ID, Maker, member_column, reads
from mapping.row import MAX_ROW_BYTES
from mapping.schema import BigQueryColumn
from mapping.values import Unfit

MakeColumn = Callable[[ReadByColumns], Any]  # an Arrow array, or a list of Python's values; raises Unfit

_TEXTS = frozenset({Family.TEXT, Family.CHOICE, Family.CHOICES, Family.CANONICAL})
_IN_TEMPLATES = _TEXTS | {Family.INTEGER}


class ColumnMaker:
    """Compiles the same origins as a `Maker`, which has accepted them before; `places` are those of what is read."""

    def __init__(self, maker: Maker) -> None:
        self._maker = maker
        self._columns = maker.columns
        self._places = maker.places

    def make(self, origin: ColumnOrigin, column: BigQueryColumn) -> MakeColumn:
        """What makes a BigQuery column."""
        return self._at_once(origin, column) or self._each(origin, column)

    def _each(self, origin: ColumnOrigin, column: BigQueryColumn) -> MakeColumn:
        """Value by value, as it is done by rows."""
        names = reads(origin)
        make = replace(self._maker, places={name: place for place, name in enumerate(names)}).make(origin, column)
        places = [self._places[name] for name in names]
        if not places:
            constant = make(())
            return lambda read: [constant] * len(read.keys)
        return lambda read: [make(values) for values in zip(*map(read.values, places), strict=True)]

    def _at_once(self, origin: ColumnOrigin, column: BigQueryColumn) -> MakeColumn | None:
        match origin:
            case FromColumn(column=name) if column.mode != "REPEATED":
                return self._column(name, column.type)
            case FromTemplate() if all(family(self._columns[name]) in _IN_TEMPLATES for name in reads(origin)):
                return self._template(origin)
            case FromObject(object=members) if all(map(self._is_json, members.values())):
                return self._object({member: self._places[member_column(named)] for member, named in members.items()})
            case _:
                return None

    def _column(self, name: str, type_: str) -> MakeColumn | None:
        place = self._places[name]
        match family(self._columns[name]), type_:
            case found, "STRING" if found in _TEXTS:
                return lambda read: read.texts(place)
            case Family.TEXT, "JSON":
                return lambda read: _checked(read.texts(place), json_text.MAX_NESTING)
            case Family.INTEGER, "INT64":
                return lambda read: _integers(read.texts(place))
            case _:
                return None

    def _is_json(self, named: str | JsonMember) -> bool:
        described = self._columns[member_column(named)]
        return family(described) is Family.TEXT and (described.holds_json or isinstance(named, JsonMember))

    def _template(self, template: FromTemplate) -> MakeColumn:
        pieces: list[str | int] = []  # a text, or where the column is that stands here
        for text, name in template.pieces:
            pieces.append(text)
            if name is not None:
                pieces.append(self._maker.site_id if name == SITE_ID else self._places[name])
        numbers = {self._places[name] for name in reads(template) if family(self._columns[name]) is Family.INTEGER}

        def part(read: ReadByColumns, place: int) -> Any:
            # Anew, since what the server writes may be filled up with zeros.
            return _integers(read.texts(place)).cast(pa.utf8()) if place in numbers else read.texts(place)

        return lambda read: _joined(pieces, lambda place: part(read, place), len(read.keys))

    def _object(self, places: Mapping[str, int]) -> MakeColumn:
        pieces: list[str | int] = []
        for member, place in places.items():
            pieces += [f"{',' if pieces else '{'}{json_text.write(member)}:", place]
        pieces.append("}")

        def nested(read: ReadByColumns, place: int) -> Any:
            return pc.coalesce(_checked(read.texts(place), json_text.MAX_NESTING - 1), "null")

        return lambda read: _joined(pieces, lambda place: nested(read, place), len(read.keys))


def _joined(pieces: Sequence[str | int], column: Callable[[int], Any], rows: int) -> Any:
    """A text of each row; NULL where one of its columns is."""
    parts = [pa.repeat(piece, rows) if isinstance(piece, str) else column(piece) for piece in pieces]
    return pc.binary_join_element_wise(*parts, "")


def _checked(texts: Any, deepest: int) -> Any:
    json_text.check_all(texts.cast(pa.binary()).to_pylist(), deepest)
    return texts


def _integers(texts: Any) -> Any:
    try:
        return texts.cast(pa.int64())
    except pa.ArrowInvalid:
        raise Unfit("out of range for INT64") from None


class ColumnConverter:
    """Makes rows of one table of what was read by columns.

    Args:
        columns: those of the BigQuery table that are filled, each with what makes it.
    """

    def __init__(
        self,
        columns: Sequence[tuple[BigQueryColumn, MakeColumn]],
        identity_columns: tuple[str, ...],
        partition_column: str | None,
    ) -> None:
        self._columns = tuple(columns)
        self._shape = tuple(column.name for column, _ in columns)
        self._schema = pa.schema([pa.field(column.name, arrow_type(column)) for column, _ in columns])
        self._row_bytes = batch_bytes([column for column, _ in columns])
        self._identity_columns = identity_columns
        self._partition_column = partition_column

    def convert(self, read: ReadByColumns) -> Converted:
        """The rows, one at least.

        Raises:
            Unfit: BigQuery can't take one of them; which column it is about, but not which row.
        """
        made = {column.name: _made(column, make, read) for column, make in self._columns}
        arrays = [
            value if isinstance(value, pa.Array) else pa.array(value, field.type)
            for value, field in zip(made.values(), self._schema, strict=True)
        ]
        for (column, _), array in zip(self._columns, arrays, strict=True):
            if column.mode == "REQUIRED" and array.null_count:
                raise Unfit(f"{column.name}: is NULL, but the column is REQUIRED")
        batch = pa.RecordBatch.from_arrays(arrays, schema=self._schema)
        row_bytes = self._row_bytes(batch)
        if max(row_bytes) > MAX_ROW_BYTES:
            raise Unfit("too large")
        return Converted(self._shape, self._sent(read.keys, made), ArrowRows(batch), row_bytes)

    def _sent(self, keys: Sequence[Key], made: Mapping[str, Any]) -> SentRows:
        identities = zip(*(_values(made[name]) for name in self._identity_columns), strict=True)
        name = self._partition_column
        partitions: Iterable[object] = [None] * len(keys) if name is None else _values(made[name])
        rows = tuple(map(SentRow, keys, identities, partitions))
        return SentRows(self._identity_columns, name, rows)


def _made(column: BigQueryColumn, make: MakeColumn, read: ReadByColumns) -> Any:
    try:
        return make(read)
    except Unfit as unfit:
        raise Unfit(f"{column.name}: {unfit}") from None


def _values(made: Any) -> Sequence[object]:
    return made if isinstance(made, list) else made.to_pylist()
