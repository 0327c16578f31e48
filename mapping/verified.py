"""What verification needs of a table's mapping: what puts rows of both sides side by side, and how they differ."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import orjson

from config.settings import ColumnOrigin, FromColumn, FromTemplate, TableSettings
from delivery.both_sides import Differing, Read, Reading
from delivery.rows import Key
from mapping.compile import MappingError, TableMapping
from mapping.key import KeyOf, key_of
from mapping.origins import SITE_ID
from mapping.row import BadRow
from mapping.schema import BigQueryColumn, BigQueryTable, SourceTable

_SORTED = orjson.OPT_SORT_KEYS

TIMES = frozenset({"TIMESTAMP", "DATETIME", "DATE"})


@dataclass(frozen=True, slots=True)
class KeyCarrier:
    """The BigQuery column that a row's key can be read back from: `prefix`, the key, `suffix`."""

    column: BigQueryColumn
    prefix: str
    suffix: str
    integer: bool
    unsigned: bool
    key_of: KeyOf = field(compare=False)


@dataclass(frozen=True, slots=True)
class SideBySide:
    """By which of BigQuery's columns rows are compared.

    `scope_columns`: those of the identity that the key alone doesn't decide; they tell which rows are this table's.
    """

    key: KeyCarrier
    time: BigQueryColumn
    identity_columns: tuple[str, ...]
    scope_columns: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """What has to be read besides the identity."""
        return self.time.name, self.key.column.name


def side_by_side(
    name: str, settings: TableSettings, source: SourceTable, destination: BigQueryTable, site_id: str
) -> SideBySide:
    """How the rows of the table can be compared.

    Raises:
        MappingError: they can't; with what the settings lack.
    """
    problems = []
    if (time := _time_column(settings, destination)) is None:
        problems.append(
            f"table {name}: its rows can't be compared by days: set age_column, and carry it to a TIMESTAMP, DATETIME"
            " or DATE column of BigQuery in `columns`"
        )
    if (key := _key_carrier(settings, source, destination, site_id)) is None:
        problems.append(
            f"table {name}: its rows can't be put in order: carry {settings.primary_key} to a STRING column (an"
            " integer: or an INT64 column) of BigQuery by itself, or in a template with no other source column, such"
            f' as "row_{{{settings.primary_key}}}"'
        )
    if time is None or key is None:
        raise MappingError(tuple(problems))
    scope = tuple(column for column in settings.identity_columns if column not in settings.key_columns)
    return SideBySide(key, time, settings.identity_columns, scope)


def _time_column(settings: TableSettings, destination: BigQueryTable) -> BigQueryColumn | None:
    """The one that the age column is carried to: the partitioning column if it is one, since that is cheapest."""
    carried = [
        column
        for name, origin in settings.columns.items()
        if isinstance(origin, FromColumn) and origin.column == settings.age_column
        if (column := destination.columns.get(name)) is not None and column.type in TIMES and column.mode != "REPEATED"
    ]
    return min(carried, key=lambda column: column.name != destination.partition_column, default=None)


def _key_carrier(
    settings: TableSettings, source: SourceTable, destination: BigQueryTable, site_id: str
) -> KeyCarrier | None:
    described = source.columns.get(settings.primary_key)
    if described is None:
        return None
    # One that rows are known by, if possible: it is read anyway.
    for name in sorted(settings.key_columns, key=lambda name: name not in settings.identity_columns):
        column = destination.columns.get(name)
        around = _around(settings.columns[name], settings.primary_key, site_id)
        types = {"STRING", "INT64"} if described.is_integer else {"STRING"}  # of texts an INT64 has another order
        if column is not None and column.type in types and around is not None:
            return KeyCarrier(
                column, *around, integer=described.is_integer, unsigned=described.is_unsigned, key_of=key_of(described)
            )
    return None


def _around(origin: ColumnOrigin, primary_key: str, site_id: str) -> tuple[str, str] | None:
    """The texts before and behind the key; None: other columns' values stand there too, or the key comes twice."""
    match origin:
        case FromColumn():
            return "", ""
        case FromTemplate() if origin.names.count(primary_key) == 1 and {*origin.names} <= {primary_key, SITE_ID}:
            texts = [text + (site_id if name == SITE_ID else "\0" if name else "") for text, name in origin.pieces]
            before, _, behind = "".join(texts).partition("\0")
            return before, behind
    return None


def reader(mapping: TableMapping, by: SideBySide) -> Read:
    """What reads source rows by this mapping, whole or of the identity alone, so that they can be compared."""
    places: list[tuple[int, tuple[int, ...]]] = []  # of time and scope; known once a row was read

    def read(values: Sequence[object]) -> Reading | None:
        try:
            row = mapping.row(values)
        except BadRow:
            return None
        if not places:
            place = row.shape.index
            places.append((place(by.time.name), tuple(place(name) for name in by.scope_columns)))
        time, scope = places[0]
        key: Key = values[0]  # type: ignore[assignment]  # the key stands first, and is an integer or a text
        return Reading(key, row.identity, tuple([row.values[place] for place in scope]), row.values[time], row.values)

    return read


def differing(columns: Sequence[BigQueryColumn]) -> Differing:
    """What names the columns in which rows differ, the values in the order of the columns.

    In JSON a number is equal to the same number, however it is written; true isn't 1, and 1 isn't "1".
    """
    sames = [(column.name, _same(column)) for column in columns]

    def names(here: Sequence[object], there: Sequence[object]) -> Sequence[str]:
        if here == there:
            return ()
        return [name for (name, same), ours, theirs in zip(sames, here, there, strict=True) if not same(ours, theirs)]

    return names


def _same(column: BigQueryColumn) -> Callable[[Any, Any], bool]:
    if column.mode == "REPEATED":
        one = _same_value(column.type)
        return lambda here, there: len(here or ()) == len(there or ()) and all(map(one, here or (), there or ()))
    return _same_value(column.type)


def _same_value(kind: str) -> Callable[[Any, Any], bool]:
    return _same_json if kind == "JSON" else _equal


def _equal(here: Any, there: Any) -> bool:
    return bool(here == there) or (here != here and there != there)  # NaN is NaN


def _same_json(here: str | None, there: Any) -> bool:
    """A JSON text of ours, and BigQuery's value as the client has parsed it; JSON's null is no NULL."""
    if here is None:
        return there is None
    try:
        ours = orjson.loads(here)
    except orjson.JSONDecodeError:
        return False
    try:
        if orjson.dumps(ours, option=_SORTED) == orjson.dumps(there, option=_SORTED):
            return True  # the ordinary case, quickly
    except orjson.JSONEncodeError:
        pass  # an integer of more than 64 bits
    # Of members of the same name BigQuery keeps the first.
    return _same_parsed(ours, there) or _same_parsed(json.loads(here, object_pairs_hook=_first_of_each), there)


def _first_of_each(members: list[tuple[str, object]]) -> dict[str, object]:
    return dict(reversed(members))


def _same_parsed(here: Any, there: Any) -> bool:
    if isinstance(here, bool) or isinstance(there, bool):
        return here is there
    if isinstance(here, dict) and isinstance(there, dict):
        return here.keys() == there.keys() and all(_same_parsed(here[name], there[name]) for name in here)
    if isinstance(here, list) and isinstance(there, list):
        return len(here) == len(there) and all(map(_same_parsed, here, there))
    if isinstance(here, float) or isinstance(there, float | Decimal):
        numbers = isinstance(here, int | float) and isinstance(there, int | float | Decimal)
        return numbers and float(here) == float(there)  # BigQuery rounds what is no integer of 64 bits
    return type(here) is type(there) and bool(here == there)
