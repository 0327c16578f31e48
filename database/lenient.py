"""Texts that aren't UTF-8, but are in the database all the same: MariaDB takes half of a surrogate pair for a text.

PyMySQL can't decode them, and leaves the connection in the middle of the answer. Read leniently, what can't be decoded
becomes lone surrogates, so that the conversion refuses just that row; sent back, in a key, it is what it was.
"""

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

_NAME = "utf8_or_surrogates"


@contextmanager
def lenient(connection: Connection) -> Iterator[None]:
    """Texts are decoded whatever they hold; slower, in Python."""
    driver = connection.connection.dbapi_connection
    assert driver is not None  # it is connected
    strict, driver.encoding = driver.encoding, _NAME
    try:
        yield
    finally:
        driver.encoding = strict


def _decode(text: Any, _errors: str = "strict") -> tuple[str, int]:
    return codecs.utf_8_decode(text, "surrogateescape", True)


def _find(name: str) -> codecs.CodecInfo | None:
    return codecs.CodecInfo(codecs.utf_8_encode, _decode, name=_NAME) if name == _NAME else None


codecs.register(_find)
