"""JSON, strictly by RFC 8259, and with its numbers exactly as they are written."""

import json
import re
from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from mapping.values import Unfit

MAX_NESTING = 500  # of a BigQuery JSON value

_NOT_JSON = "isn't valid JSON"
_TOO_DEEP = f"is nested more than {MAX_NESTING} deep"
_SPACE = re.compile(r"[ \t\n\r]*")


def check(text: str, deepest: int = MAX_NESTING) -> str:
    """The text, if it is JSON that BigQuery takes.

    Raises:
        Unfit: it isn't.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unfit(_NOT_JSON) from None
    # Only a text with that many brackets can be nested so deep, and hardly any has them.
    if len(text) > deepest and text.count("[") + text.count("{") > deepest:
        _demand_flat(value, deepest)
    return text


def check_all(texts: Iterable[bytes | None], deepest: int = MAX_NESTING) -> None:
    """The same of many texts in UTF-8, of which some may be missing."""
    try:
        for text in texts:
            if text is not None:
                value = orjson.loads(text)
                if len(text) > deepest and text.count(b"[") + text.count(b"{") > deepest:
                    _demand_flat(value, deepest)
    except orjson.JSONDecodeError:
        raise Unfit(_NOT_JSON) from None


def _demand_flat(value: object, deepest: int) -> None:
    if _nesting(value) > deepest:
        raise Unfit(_TOO_DEEP)


def _nesting(value: object) -> int:
    depth = 0
    level = [value]
    while containers := [member for member in level if isinstance(member, dict | list)]:
        depth += 1
        level = [
            member
            for container in containers
            for member in (container.values() if isinstance(container, dict) else container)
        ]
    return depth


def parse(text: str) -> object:
    """The value that a JSON text stands for, with a Decimal for every number that isn't a plain integer.

    Raises:
        Unfit: it isn't JSON.
    """
    try:
        return _EXACT.decode(text)
    except Unfit:
        raise
    except ValueError:
        raise Unfit(_NOT_JSON) from None
    except RecursionError:
        raise Unfit(_TOO_DEEP) from None


def parse_texts(text: str) -> object:
    """The same, faster, where only texts matter: numbers may be rounded."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return parse(text)  # which may take it, or says what is wrong


def members(text: str, raw: frozenset[str]) -> dict[str, object]:
    """The members of a JSON object: parsed, but those named in `raw` as the text that they are (null as None).

    Raises:
        Unfit: the text isn't a JSON object, or has a member twice.
    """
    try:
        return _members(text, raw)
    except Unfit:
        raise
    except ValueError:
        raise Unfit(_NOT_JSON) from None
    except RecursionError:
        raise Unfit(_TOO_DEEP) from None


def _members(text: str, raw: frozenset[str]) -> dict[str, object]:
    found: dict[str, object] = {}
    place = _after(text, _skip(text, 0), "{")
    while text[place : place + 1] != "}":
        if found:
            place = _after(text, place, ",")
        name, place = _EXACT.raw_decode(text, place)
        start = _after(text, _skip(text, place), ":")
        value, end = _EXACT.raw_decode(text, start)
        if not isinstance(name, str):
            raise Unfit(_NOT_JSON)
        if name in found:
            raise Unfit("has a member twice")
        found[name] = text[start:end] if name in raw and value is not None else value
        place = _skip(text, end)
    if _skip(text, place + 1) != len(text):
        raise Unfit(_NOT_JSON)
    return found


def _skip(text: str, place: int) -> int:
    """The place after the white space that starts here."""
    match = _SPACE.match(text, place)
    assert match is not None  # it matches nothing, too
    return match.end()


def _after(text: str, place: int, sign: str) -> int:
    """The place after this sign, which has to stand here, and the white space behind it."""
    if text[place : place + 1] != sign:
        raise Unfit("isn't a JSON object" if sign == "{" else _NOT_JSON)
    return _skip(text, place + 1)


def write(value: object) -> str:
    """The JSON text of a value; in it, Decimals keep all their digits, `verbatim` and `nested` texts are as
    they were.

    Raises:
        Unfit: a text in it isn't valid Unicode, an integer has more than 64 bits, or it is nested too deep.
    """
    try:
        return orjson.dumps(value, default=_exactly).decode()
    except orjson.JSONEncodeError:
        raise Unfit(
            "can't be written as JSON: an integer beyond 64 bits, invalid Unicode, or nested too deep"
        ) from None


def verbatim(number: str) -> orjson.Fragment:
    """A number, in JSON's form already, as a member of an object for `write`."""
    return orjson.Fragment(number)


def nested(text: str) -> orjson.Fragment:
    """A JSON text as a member of an object for `write`.

    Raises:
        Unfit: it isn't JSON that BigQuery takes there.
    """
    return orjson.Fragment(check(text, MAX_NESTING - 1))


def _exactly(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError


def number(digits: str) -> Decimal:
    """The number that these digits are, exactly."""
    try:
        return Decimal(digits)
    except InvalidOperation:  # an exponent beyond what even Decimal has
        raise Unfit("holds a number that is out of any range") from None


def _refuse(_constant: str) -> None:
    raise Unfit(_NOT_JSON)  # NaN and Infinity, which JSON doesn't know


_EXACT = json.JSONDecoder(parse_float=number, parse_constant=_refuse)
