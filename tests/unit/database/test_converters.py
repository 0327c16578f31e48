"""What the server says of a time becomes what PyMySQL itself makes of it."""

import pytest
from hypothesis import given
from hypothesis.strategies import datetimes, integers
from pymysql.constants import FIELD_TYPE
from pymysql.converters import convert_datetime

from database.converters import CONVERTERS

DATETIME = CONVERTERS[FIELD_TYPE.DATETIME]


@given(datetimes(), integers(0, 6))
def test_a_time_with_any_number_of_decimals(instant: object, decimals: int) -> None:
    text = f"{instant:%Y-%m-%d %H:%M:%S.%f}"[: 19 + decimals + (decimals > 0)]
    text = text.rjust(19 + decimals + (decimals > 0), "0")  # Linux's strftime writes years without leading zeros
    assert DATETIME(text) == convert_datetime(text)


@pytest.mark.parametrize("text", ["0000-00-00 00:00:00", "2024-02-30 00:00:00", "2024-01-00 10:00:00.123456", ""])
def test_a_time_that_doesnt_exist_stays_a_text(text: str) -> None:
    assert DATETIME(text) == convert_datetime(text) == text
