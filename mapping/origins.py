"""What a BigQuery column is made from, compiled: a function from a source row's values to the column's value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from config.settings import ColumnOrigin, FromColumn, FromObject, FromTemplate, FromValue, JsonMember
from mapping import json_text
from mapping.from_source import Convert, Family, SourceValues, family
from mapping.schema import BigQueryColumn, SourceColumn
from mapping.values import Unfit

Make = Callable[[Sequence[object]], object]  # raises Unfit

SITE_ID = "site_id"  # in templates and constants: {site_id}


class Impossible(Exception):
    """A BigQuery column can't be made from what the settings name; the text says why, and what to do."""


def reads(origin: ColumnOrigin) -> tuple[str, ...]:
    """The source columns that an origin names, in its order."""
    match origin:
        case FromColumn(column=column):
            return (column,)
        case FromTemplate():
            return tuple(name for name in origin.names if name != SITE_ID)
        case FromValue():
            return ()
        case FromObject(object=members):
            return tuple(member_column(member) for member in members.values())
        case _:
            assert_never(origin)


@dataclass(frozen=True, slots=True)
class Maker:
    """Compiles origins of one table.

    `columns`: of the source table; `places`: where a row's values hold those that are read.
    """

    columns: Mapping[str, SourceColumn]
    places: Mapping[str, int]
    values: SourceValues
    site_id: str

    def make(self, origin: ColumnOrigin, column: BigQueryColumn) -> Make:
        """What makes the values of a BigQuery column of a supported type; all source columns it reads exist.

        Raises:
            Impossible: the types don't go together, or a constant doesn't fit.
        """
        match origin:
            case FromColumn(column=name):
                return self._column(name, column)
            case FromTemplate():
                return self._template(origin, column)
            case FromValue(value=value):
                return self._constant(value, column)
            case FromObject(object=members):
                return self._object(members, column)
            case _:
                assert_never(origin)

    def _column(self, name: str, column: BigQueryColumn) -> Make:
        place = self.places[name]
        convert = self._converter(self._family(name), column)
        if convert is None:
            raise Impossible(
                f"source column {name} of type {self.columns[name].column_type} can't become {_type(column)}:"
                " map another column, or change one of the types"
            )
        if column.mode == "REPEATED":
            return _array_at(place, convert)
        return _value_at(place, convert)

    def _template(self, template: FromTemplate, column: BigQueryColumn) -> Make:
        if column.type != "STRING" or column.mode == "REPEATED":
            raise Impossible(f"a template makes a text, not {_type(column)}: map a source column by its name")
        literal = ""
        pieces: list[tuple[str, int, Convert]] = []
        for text, name in template.pieces:
            literal += text
            if name == SITE_ID:
                literal += self.site_id
            elif name is not None:
                to_text = self.values.text(self._family(name))
                if to_text is None:
                    column_type = self.columns[name].column_type
                    raise Impossible(f"source column {name} of type {column_type} can't be a part of a template")
                pieces.append((literal, self.places[name], to_text))
                literal = ""
        return _filled(pieces, literal)

    def _constant(self, value: str | float | bool, column: BigQueryColumn) -> Make:
        if isinstance(value, str):
            value = value.replace(f"{{{SITE_ID}}}", self.site_id)
        try:
            constant = self._convert_constant(value, column)
        except Unfit as unfit:
            raise Impossible(f"the constant doesn't fit {_type(column)}: it {unfit}") from None
        return lambda _: constant

    def _convert_constant(self, value: str | float | bool, column: BigQueryColumn) -> object:
        convert: Convert | None
        match value:
            case bool():
                convert = bool if column.type == "BOOL" and column.mode != "REPEATED" else None
            case int():
                convert = self._converter(Family.INTEGER, column)
            case float():
                convert = self._converter(Family.DOUBLE, column)
            case str():
                convert = self._converter(Family.TEXT, column)
        if convert is None:
            raise Impossible(
                f"a constant of YAML's type {type(value).__name__} can't be {_type(column)}: write it anew"
            )
        return convert(value)

    def _object(self, members: Mapping[str, str | JsonMember], column: BigQueryColumn) -> Make:
        if column.type != "JSON" or column.mode == "REPEATED":
            raise Impossible(f"an object can't be {_type(column)}, only JSON")
        parts: list[tuple[str, int, Convert]] = []
        for member, named in members.items():
            name = member_column(named)
            holds_json = isinstance(named, JsonMember) or self.columns[name].holds_json
            convert = self.values.member(self._family(name), holds_json=holds_json)
            if convert is None:
                column_type = self.columns[name].column_type
                raise Impossible(f"source column {name} of type {column_type} can't be a member of an object")
            parts.append((member, self.places[name], convert))
        return _object_of(parts)

    def _family(self, name: str) -> Family:
        found = family(self.columns[name])
        if found is None:
            raise Impossible(
                f"source column {name} has the type {self.columns[name].column_type}, which isn't supported"
            )
        return found

    def _converter(self, source: Family, column: BigQueryColumn) -> Convert | None:
        if column.mode == "REPEATED":
            return self.values.array(source, column.type)
        return self.values.scalar(source, column.type)


def member_column(member: str | JsonMember) -> str:
    """The source column that a member of an object is made of."""
    return member.json_column if isinstance(member, JsonMember) else member


def _type(column: BigQueryColumn) -> str:
    return f"ARRAY<{column.type}>" if column.mode == "REPEATED" else column.type


def _value_at(place: int, convert: Convert) -> Make:
    def make(row: Sequence[object]) -> object:
        value = row[place]
        return None if value is None else convert(value)

    return make


def _array_at(place: int, convert: Convert) -> Make:
    def make(row: Sequence[object]) -> object:
        value = row[place]
        return [] if value is None else convert(value)  # BigQuery's arrays are never NULL

    return make


def _filled(pieces: Sequence[tuple[str, int, Callable[[Any], Any]]], end: str) -> Make:
    def make(row: Sequence[object]) -> str | None:
        text = ""
        for literal, place, to_text in pieces:
            value = row[place]
            if value is None:
                return None
            text += literal + to_text(value)
        return text + end

    return make


def _object_of(parts: Sequence[tuple[str, int, Convert]]) -> Make:
    def make(row: Sequence[object]) -> str:
        return json_text.write(
            {member: None if row[place] is None else convert(row[place]) for member, place, convert in parts}
        )

    return make
