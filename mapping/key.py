"""Record ids of the queue as keys of a source table."""

import re
from collections.abc import Callable

from delivery.rows import Key
from mapping.schema import SourceColumn

KeyOf = Callable[[str], Key | None]

_INTEGER = re.compile(r"[+-]?[0-9]{1,255}")
# Of the database's character sets those that keys are likely to have; in others any text may be a key.
_CODECS = {"ascii": "ascii", "latin1": "cp1252"}
_LARGEST = {"utf8": "\uffff", "utf8mb3": "\uffff"}
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def key_of(column: SourceColumn) -> KeyOf:
    """What finds the key that a record id means: '007' is 7. None: it can't be a key of this column."""
    return _integer_key(integers(column)) if column.is_integer else _text_key(column.character_set)


def integers(column: SourceColumn) -> range:
    """What an integer column can hold."""
    bits = _BITS[column.data_type]
    return range(2**bits) if column.is_unsigned else range(-(2 ** (bits - 1)), 2 ** (bits - 1))


def _text_key(character_set: str | None) -> KeyOf:
    """A text that the column can't hold is no key; compared with the column, it would be an error of the statement."""
    codec, largest = _CODECS.get(character_set or ""), _LARGEST.get(character_set or "")

    def key(record_id: str) -> str | None:
        if largest is not None and any(letter > largest for letter in record_id):
            return None
        try:
            record_id.encode(codec or "utf-8")
        except UnicodeEncodeError:
            return None
        return record_id

    return key


def _integer_key(possible: range) -> KeyOf:
    def key(record_id: str) -> int | None:
        if not _INTEGER.fullmatch(record_id):
            return None
        number = int(record_id)
        return number if number in possible else None

    return key
