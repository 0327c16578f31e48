"""Record ids of the queue as keys of a source table."""

import re
from collections.abc import Callable

from delivery.rows import Key
from mapping.schema import SourceColumn

KeyOf = Callable[[str], Key | None]

_INTEGER = re.compile(r"[+-]?[0-9]{1,255}")
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}


def key_of(column: SourceColumn) -> KeyOf:
    """What finds the key that a record id means: '007' is 7. None: it can't be a key of this column."""
    return _integer_key(integers(column)) if column.is_integer else str


def integers(column: SourceColumn) -> range:
    """What an integer column can hold."""
    bits = _BITS[column.data_type]
    return range(2**bits) if column.is_unsigned else range(-(2 ** (bits - 1)), 2 ** (bits - 1))


def _integer_key(possible: range) -> KeyOf:
    def key(record_id: str) -> int | None:
        if not _INTEGER.fullmatch(record_id):
            return None
        number = int(record_id)
        return number if number in possible else None

    return key
