"""Payloads as the queue holds them: a BigQuery row as JSON text."""

import base64
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal


class PayloadError(ValueError):
    """The payload holds something that has no place in a BigQuery row; the message says where, not what it holds."""


def to_json(payload: Mapping[str, object]) -> str:
    """The payload's JSON text.

    A datetime becomes RFC 3339 in UTC, or without an offset where it has none: bq-sync then takes it to be in its
    `database_timezone`. A Decimal becomes text, which keeps its digits; bytes become base64, as BigQuery wants them.

    Raises:
        PayloadError: an infinite or undefined number, text that isn't Unicode, or a type that JSON has no form for.
    """
    return json.dumps(_plain(payload, "payload"), ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _plain(value: object, place: str) -> object:
    match value:
        case None | bool() | int():
            return value
        case str():
            return _unicode(value, place)
        case float():
            if not math.isfinite(value):
                raise PayloadError(f"{place} isn't a finite number: pass None, or leave it out")
            return value
        case Decimal():
            if not value.is_finite():
                raise PayloadError(f"{place} isn't a finite number: pass None, or leave it out")
            return format(value, "f")
        case datetime():
            return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
        case date() | time():
            return value.isoformat()
        case bytes() | bytearray():
            return base64.b64encode(value).decode("ascii")
        case Mapping():
            return {_key(key, place): _plain(member, f"{place}.{key}") for key, member in value.items()}
        case list() | tuple():
            return [_plain(member, f"{place}[{number}]") for number, member in enumerate(value)]
        case _:
            raise PayloadError(
                f"{place} is of type {type(value).__name__}, which JSON has no form for: pass text instead"
            )


def _key(key: object, place: str) -> str:
    if not isinstance(key, str):
        raise PayloadError(f"{place} has a key of type {type(key).__name__}: keys are BigQuery columns, as text")
    return _unicode(key, place)


def _unicode(text: str, place: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise PayloadError(f"{place} holds half of a surrogate pair, which isn't Unicode: encode it properly") from None
    return text
