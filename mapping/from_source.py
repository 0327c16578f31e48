"""Values of source columns, as PyMySQL hands them over, as BigQuery values, texts and members of JSON objects.

Three tables by the source column's family; what isn't in them can't be converted, and is refused when a mapping is
compiled. No converter ever sees NULL.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from decimal import Decimal
from enum import StrEnum
from typing import Any

from mapping import from_json, json_text, values
from mapping.schema import SourceColumn

Convert = Callable[[Any], object]


class Family(StrEnum):
    """Source types whose values are converted alike; its value is how messages call it."""

    INTEGER = "integer"
    YEAR = "YEAR"
    DECIMAL = "DECIMAL"
    SINGLE = "FLOAT"
    DOUBLE = "DOUBLE"
    BIT = "BIT"
    TEXT = "text"
    CHOICE = "ENUM"
    CHOICES = "SET"
    CANONICAL = "UUID or INET"  # text of a fixed form
    BYTES = "binary"
    DATE = "DATE"
    TIME = "TIME"
    DATETIME = "DATETIME"
    TIMESTAMP = "TIMESTAMP"
    GEOMETRY = "GEOMETRY"


_FAMILIES: Mapping[Family, tuple[str, ...]] = {
    Family.INTEGER: ("tinyint", "smallint", "mediumint", "int", "bigint"),
    Family.YEAR: ("year",),
    Family.DECIMAL: ("decimal",),
    Family.SINGLE: ("float",),
    Family.DOUBLE: ("double",),
    Family.BIT: ("bit",),
    Family.TEXT: ("char", "varchar", "tinytext", "text", "mediumtext", "longtext", "json"),
    Family.CHOICE: ("enum",),
    Family.CHOICES: ("set",),
    Family.CANONICAL: ("uuid", "inet4", "inet6"),
    Family.BYTES: ("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
    Family.DATE: ("date",),
    Family.TIME: ("time",),
    Family.DATETIME: ("datetime",),
    Family.TIMESTAMP: ("timestamp",),
    Family.GEOMETRY: (
        *("geometry", "point", "linestring", "polygon"),
        *("multipoint", "multilinestring", "multipolygon", "geometrycollection", "geomcollection"),
    ),
}
_FAMILY_OF = {data_type: family for family, data_types in _FAMILIES.items() for data_type in data_types}


def family(column: SourceColumn) -> Family | None:
    """None: a type that nothing is known of."""
    if column.character_set == "binary":  # an ENUM or SET: the driver hands over its bytes
        return Family.BYTES
    return _FAMILY_OF.get(column.data_type)


class SourceValues:
    """How the values of source columns are converted; None everywhere: they can't be.

    Args:
        zone: what DATETIME columns are in. TIMESTAMP columns are UTC: our sessions are.
    """

    def __init__(self, zone: tzinfo) -> None:
        self._zone = zone
        self._texts = _texts(zone)
        self._members = _members(self._texts)
        self._scalars = _scalars(zone, self._texts)

    def scalar(self, family: Family, type_: str) -> Convert | None:
        """What makes a value one of a BigQuery type."""
        return self._scalars[family].get(type_)

    def array(self, family: Family, type_: str) -> Convert | None:
        """What makes a value an array of a BigQuery type: a JSON array becomes one, and so does a set."""
        if family is Family.TEXT:
            to_array = from_json.array_of(from_json.scalar(type_, self._zone))
            parse = json_text.parse_texts if type_ == "STRING" else json_text.parse
            return lambda text: to_array(parse(text))
        if family is Family.CHOICES and type_ == "STRING":
            return lambda chosen: chosen.split(",") if chosen else []
        return None

    def text(self, family: Family) -> Convert | None:
        """What makes a value a part of a text."""
        return self._texts.get(family)

    def member(self, family: Family, *, holds_json: bool) -> Convert | None:
        """What makes a value a member of an object for `json_text.write`."""
        return json_text.nested if holds_json and family is Family.TEXT else self._members.get(family)


def _scalars(zone: tzinfo, texts: Mapping[Family, Convert]) -> dict[Family, dict[str, Convert]]:
    to_instant = values.to_instant(zone)
    integer: dict[str, Convert] = {
        "STRING": str,
        "INT64": values.int64,
        "FLOAT64": float,
        "NUMERIC": lambda value: values.numeric(Decimal(value)),
        "BIGNUMERIC": lambda value: values.bignumeric(Decimal(value)),
        "JSON": str,
    }
    floating: dict[str, Convert] = {
        "STRING": values.plain_float,
        "FLOAT64": float,
        "NUMERIC": values.numeric_of_float,
        "BIGNUMERIC": values.bignumeric_of_float,
        "JSON": json_text.write,
    }
    return {
        Family.INTEGER: {**integer, "BOOL": values.boolean},
        Family.YEAR: integer,
        Family.DECIMAL: {
            "STRING": values.plain_decimal,
            "INT64": values.int64_of_decimal,
            "FLOAT64": values.float64,
            "NUMERIC": values.numeric,
            "BIGNUMERIC": values.bignumeric,
            "JSON": values.plain_decimal,
        },
        Family.SINGLE: {type_: _of_single(convert) for type_, convert in floating.items()},
        Family.DOUBLE: floating,
        Family.BIT: {
            "INT64": lambda value: values.int64(values.bits(value)),
            "BOOL": lambda value: values.boolean(values.bits(value)),
            "BYTES": bytes,
        },
        # A text says what a payload's text would say. Not for BYTES: base64, or the text's own bytes?
        Family.TEXT: {
            "STRING": values.text,
            "JSON": json_text.check,
            **{type_: from_json.scalar(type_, zone) for type_ in ("INT64", "FLOAT64", "NUMERIC", "BIGNUMERIC")},
            **{type_: from_json.scalar(type_, zone) for type_ in ("DATE", "TIME", "DATETIME", "TIMESTAMP")},
        },
        Family.CHOICE: {"STRING": values.text},
        Family.CHOICES: {"STRING": values.text},
        Family.CANONICAL: {"STRING": values.text},
        Family.BYTES: {"STRING": values.text_of_bytes, "BYTES": bytes},
        Family.DATE: {
            "STRING": texts[Family.DATE],
            "DATE": values.day,
            "DATETIME": values.midnight,
            "TIMESTAMP": lambda value: to_instant(values.midnight(value)),
        },
        Family.TIME: {"STRING": texts[Family.TIME], "TIME": values.time_of_day},
        Family.DATETIME: {
            "STRING": texts[Family.DATETIME],
            "DATE": lambda value: values.wall_clock(value).date(),
            "DATETIME": values.wall_clock,
            "TIMESTAMP": to_instant,
        },
        Family.TIMESTAMP: {
            "STRING": texts[Family.TIMESTAMP],
            "DATE": lambda value: values.wall_clock(value).date(),
            "DATETIME": values.wall_clock,
            "TIMESTAMP": values.to_instant(UTC),
        },
        Family.GEOMETRY: {"BYTES": bytes},
    }


def _texts(zone: tzinfo) -> dict[Family, Convert]:
    local, utc = values.to_instant(zone), values.to_instant(UTC)
    return {
        Family.INTEGER: str,
        Family.YEAR: str,
        Family.DECIMAL: values.plain_decimal,
        Family.SINGLE: _of_single(values.plain_float),
        Family.DOUBLE: values.plain_float,
        Family.TEXT: values.text,
        Family.CHOICE: values.text,
        Family.CHOICES: values.text,
        Family.CANONICAL: values.text,
        Family.DATE: lambda value: values.day(value).isoformat(),
        Family.TIME: values.clock_text,
        Family.DATETIME: lambda value: values.instant_text(local(value)),
        Family.TIMESTAMP: lambda value: values.instant_text(utc(value)),
    }


def _members(texts: Mapping[Family, Convert]) -> dict[Family, Convert]:
    """Texts, but numbers as numbers."""
    return {
        **texts,
        Family.INTEGER: _as_it_is,
        Family.YEAR: _as_it_is,
        Family.DECIMAL: lambda value: json_text.verbatim(values.plain_decimal(value)),
        Family.SINGLE: values.single,
        Family.DOUBLE: _as_it_is,
        Family.BIT: values.bits,
    }


def _of_single(convert: Convert) -> Convert:
    return lambda value: convert(values.single(value))


def _as_it_is(value: object) -> object:
    return value
