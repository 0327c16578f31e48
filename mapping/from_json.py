"""JSON values as BigQuery values: of payloads, of the elements of JSON arrays, and of text columns."""

import base64
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time, tzinfo
from decimal import Decimal

from mapping import json_text, values
from mapping.values import Unfit

Convert = Callable[[object], object]

_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_INTEGER = re.compile(r"[+-]?[0-9]{1,30}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_TIME = re.compile(r"[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?")
_DATETIME = re.compile(rf"{_DATE.pattern}[Tt ]{_TIME.pattern}")
_TIMESTAMP = re.compile(rf"{_DATETIME.pattern}([Zz]|[+-][0-9]{{2}}:[0-9]{{2}})?")
_NOT_FINITE = {"NaN", "Infinity", "-Infinity"}  # how BigQuery writes them in JSON


def scalar(type_: str, zone: tzinfo) -> Convert:
    """What converts a parsed JSON value, other than null, to one value of a BigQuery type (of `values.TYPES`).

    Args:
        zone: what a TIMESTAMP without offset is in.
    """
    match type_:
        case "TIMESTAMP":
            return _timestamp_in(zone)
        case _:
            return _SCALARS[type_]


def array_of(element: Convert) -> Convert:
    """What converts a parsed JSON array: BigQuery's arrays hold no NULL. A JSON null is an empty array, as NULL is."""

    def convert(value: object) -> list[object]:
        if value is None:
            return []
        if not isinstance(value, list):
            raise Unfit("isn't a JSON array")
        if None in value:
            raise Unfit("has a null element, which BigQuery's arrays can't hold")
        return [element(member) for member in value]

    return convert


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit("isn't a text")
    return values.text(value)


def _matching(pattern: re.Pattern[str], value: object, reason: str) -> str:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise Unfit(reason)
    return value


def _int64(value: object) -> int:
    if isinstance(value, Decimal):
        return values.int64_of_decimal(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return values.int64(value)
    return values.int64(int(_matching(_INTEGER, value, "isn't a whole number")))


def _decimal(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return json_text.number(_matching(_NUMBER, value, "isn't a number"))


def _float64(value: object) -> float:
    if isinstance(value, str) and value in _NOT_FINITE:
        return float(value)
    return values.float64(_decimal(value))


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unfit("is neither true nor false")
    return value


def _bytes(value: object) -> bytes:
    try:
        return base64.b64decode(_string(value), validate=True)
    except ValueError:
        raise Unfit("isn't base64") from None


def _date(value: object) -> date:
    digits = _matching(_DATE, value, "isn't a date like 2026-01-31")
    try:
        return date.fromisoformat(digits)
    except ValueError:
        raise Unfit("isn't a date of the calendar") from None


def _time(value: object) -> time:
    digits = _matching(_TIME, value, "isn't a time of day like 13:45:00.123456")
    try:
        return time.fromisoformat(digits)
    except ValueError:
        raise Unfit("isn't a time of day") from None


def _datetime(value: object) -> datetime:
    return _calendar(_matching(_DATETIME, value, "isn't a date and time without zone, like 2026-01-31T13:45:00"))


def _timestamp_in(zone: tzinfo) -> Convert:
    to_instant = values.to_instant(zone)

    def convert(value: object) -> datetime:
        moment = _calendar(_matching(_TIMESTAMP, value, "isn't RFC 3339, like 2026-01-31T13:45:00.123456+09:00"))
        if moment.tzinfo is None:
            return to_instant(moment)
        try:
            return moment.astimezone(UTC)
        except OverflowError:
            raise Unfit("out of range for TIMESTAMP: years 1 to 9999, in UTC") from None

    return convert


def _calendar(digits: str) -> datetime:
    try:
        return datetime.fromisoformat(digits.upper())
    except ValueError:
        raise Unfit("isn't a date and time of the calendar") from None


_SCALARS: dict[str, Convert] = {
    "STRING": _string,
    "INT64": _int64,
    "FLOAT64": _float64,
    "NUMERIC": lambda value: values.numeric(_decimal(value)),
    "BIGNUMERIC": lambda value: values.bignumeric(_decimal(value)),
    "BOOL": _bool,
    "BYTES": _bytes,
    "DATE": _date,
    "TIME": _time,
    "DATETIME": _datetime,
    "JSON": json_text.write,
}
