"""Rows read by columns: the server puts the values of each end to end, so that nothing is made for a single one here.

GROUP_CONCAT takes the rows in the same order for each column. It is cut where it gets longer than the session allows
(`engine.CONCAT_BYTES`), and NULL where that is more than the server's max_allowed_packet; so the values' lengths are
read too, and have to add up.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from sqlalchemy import (
    CHAR,
    BinaryExpression,
    ColumnElement,
    LargeBinary,
    Select,
    cast,
    func,
    literal_column,
    select,
)

from database.converters import CONVERTERS
from delivery.rows import Key
from mapping.from_source import Family, family
from mapping.schema import SourceColumn

_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
_AS_THEY_ARE = _UTF8 | {"binary"}

# From which on it is worth what it costs by itself. It takes more of the server than to send the rows one by one, and
# beside others, when pages are smaller than this, that is what counts.
FEWEST_ROWS = 250

_NULL = -1  # the length of one

# Characters of a DOUBLE(255,30). Without it MariaDB believes that 22 are enough for a DOUBLE, and leaves out the rest.
_LONGEST_NUMBER = 300


def can_be_read(columns: Iterable[SourceColumn]) -> bool:
    """Whether all of them are of types whose values are the same texts within the server as on the wire."""
    return all(
        family(column) not in (None, Family.BIT, Family.GEOMETRY) and column.data_type != "vector" for column in columns
    )


class TooLong(Exception):
    """Of fewer rows all would come."""


class EndToEnd:
    """What is selected of rows to have these columns, and how it is taken apart."""

    def __init__(self, columns: Sequence[tuple[ColumnElement[Any], SourceColumn]]) -> None:
        texts = [_as_text(column, described) for column, described in columns]
        lengths = func.concat_ws(",", *(func.coalesce(func.length(value), _NULL) for value in texts))
        # Of those that aren't converted: they may have been given other ones since they were described.
        as_they_are = [value for value, (column, _) in zip(texts, columns, strict=True) if value is column]
        character_sets = func.min(func.concat_ws(",", "", *map(func.charset, as_they_are)))
        self._selected = select(
            *(joined(func.coalesce(value, ""), "''") for value in texts), joined(lengths, r"'\n'"), character_sets
        )
        self._types = [pa.binary() if family(described) is Family.BYTES else pa.utf8() for _, described in columns]
        self._csv = pa.csv.ConvertOptions(column_types={f"f{place}": pa.int64() for place in range(len(columns))})

    def select(self) -> Select[Any]:
        """For each column its values, then their lengths, a line of numbers for each row, and what they rest on."""
        return self._selected

    def split(self, selected: Sequence[Any]) -> list[Any] | None:
        """The columns as Arrow arrays, empty if no row was found.

        None: they have to be read row by row, since they are no UTF-8 (any more).

        Raises:
            TooLong: not all of it has come.
        """
        *columns, lengths, character_sets = selected
        if character_sets is None:
            return [pa.array([], type_) for type_ in self._types]
        if lengths is None:
            raise TooLong
        if not _AS_THEY_ARE.issuperset(character_sets.split(",")[1:]):
            return None
        try:
            table = pa.csv.read_csv(pa.BufferReader(lengths), _CSV_READ, convert_options=self._csv)
        except pa.ArrowInvalid:
            raise TooLong from None  # cut within a line
        arrays = []
        for data, of_column, type_ in zip(columns, table.columns, self._types, strict=True):
            array = _array(data or b"", of_column.combine_chunks(), type_)
            if array is None:
                return None
            arrays.append(array)
        return arrays


_CSV_READ = pa.csv.ReadOptions(use_threads=False, autogenerate_column_names=True)
_ZERO = pa.array([0], pa.int32())


def _array(data: bytes, lengths: Any, type_: Any) -> Any:
    there = pc.greater_equal(lengths, 0)
    ends = pc.cumulative_sum(pc.max_element_wise(lengths, 0))
    if ends[-1].as_py() != len(data):
        raise TooLong
    offsets = pa.concat_arrays([_ZERO, ends.cast(pa.int32())])
    buffers = [there.buffers()[1], offsets.buffers()[1], pa.py_buffer(data)]
    array = pa.Array.from_buffers(type_, len(lengths), buffers)
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        return None  # a lone surrogate, say, which MariaDB takes for UTF-8
    return array


def _as_text(column: ColumnElement[Any], described: SourceColumn) -> ColumnElement[Any]:
    """The column's values as the server sends them."""
    match family(described):
        case Family.BYTES:
            return column
        case Family.TEXT | Family.CHOICE | Family.CHOICES:
            if described.character_set in _UTF8:
                return column
            return func.convert(column.op("USING")(literal_column("utf8mb4")))
        case _:
            return cast(column, CHAR(_LONGEST_NUMBER))


def joined(values: ColumnElement[Any], separator: str) -> ColumnElement[Any]:
    """The values of all rows in one, as bytes, which neither the server nor the driver converts any more."""
    all_of_them: BinaryExpression[Any] = values.op("SEPARATOR")(literal_column(separator))
    return cast(func.group_concat(all_of_them), LargeBinary())


@dataclass(frozen=True, slots=True)
class Columns:
    """Implements `delivery.source.ReadByColumns`. `types`: the columns' types by the driver's numbers."""

    keys: Sequence[Key]
    since: Mapping[int, datetime]
    arrays: Sequence[Any] = field(repr=False)
    types: Sequence[int] = field(repr=False)

    @property
    def nbytes(self) -> int:
        return sum(array.nbytes for array in self.arrays)

    def texts(self, place: int) -> Any:
        return self.arrays[place]

    def values(self, place: int) -> Sequence[object]:
        return decoded(self.arrays[place], self.types[place])

    def rows(self) -> Iterable[Sequence[object]]:
        return zip(*map(self.values, range(len(self.arrays))), strict=True)


def decoded(array: Any, type_: int) -> Sequence[object]:
    """What PyMySQL makes of these texts."""
    texts: list[str | bytes | None] = array.to_pylist()
    convert: Callable[[Any], object] | None = CONVERTERS.get(type_)
    if convert is None or pa.types.is_binary(array.type):
        return texts
    return [None if text is None else convert(text) for text in texts]
