"""The limits of BigQuery's types, and the readings of time."""

from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping import values
from mapping.values import Unfit

WIDE = Context(prec=200)  # more digits than hypothesis makes
BERLIN = ZoneInfo("Europe/Berlin")
TOKYO = ZoneInfo("Asia/Tokyo")

FITTING: list[tuple[Callable[[Any], object], Any, object]] = [
    (values.int64, 2**63 - 1, 2**63 - 1),
    (values.int64, -(2**63), -(2**63)),
    (values.int64_of_decimal, Decimal("12.000"), 12),
    (values.numeric, Decimal("99999999999999999999999999999.999999999"), Decimal("9" * 29 + "." + "9" * 9)),
    (values.numeric, Decimal("1.500000000000"), Decimal("1.5")),
    (values.numeric, Decimal("0E+100"), Decimal(0)),
    (values.bignumeric, Decimal("9" * 38 + "." + "9" * 38), Decimal("9" * 38 + "." + "9" * 38)),
    (values.numeric_of_float, 0.1 + 0.2, Decimal("0.3")),
    (values.numeric_of_float, 0.0000000005, Decimal("0.000000001")),
    (values.float64, Decimal("0.1"), 0.1),
    (values.boolean, 1, True),
    (values.bits, b"\x01\x00", 256),
    (values.time_of_day, timedelta(hours=23, minutes=59, seconds=59, microseconds=999999), time(23, 59, 59, 999999)),
    (values.clock_text, timedelta(hours=-838, minutes=-59, seconds=-59), "-838:59:59"),
    (values.clock_text, timedelta(seconds=1, microseconds=5), "00:00:01.000005"),
    (values.midnight, date(2026, 1, 31), datetime(2026, 1, 31)),
    (values.plain_decimal, Decimal("1E+3"), "1000"),
    (values.plain_decimal, Decimal("1.50"), "1.50"),
    (values.plain_float, 1e16, "10000000000000000"),
    (values.plain_float, 1e-7, "0.0000001"),
    (values.plain_float, 0.5, "0.5"),
    (values.single, 0.10000000149011612, 0.1),
    (values.single, 139.69171142578125, 139.69171),
    (values.single, 16777216.0, 16777216.0),
    (values.single, 3.4028234663852886e38, 3.4028235e38),
    (values.single, 0.1, 0.1),  # of a DOUBLE, as any other that a FLOAT can't hold
    (values.single, 1e300, 1e300),
]

UNFIT: list[tuple[Callable[[Any], object], Any]] = [
    (values.text, "\ud800"),
    (values.text_of_bytes, b"\xff"),
    (values.int64, 2**63),
    (values.int64, -(2**63) - 1),
    (values.int64_of_decimal, Decimal("1.5")),
    (values.int64_of_decimal, Decimal("1e999999")),
    (values.int64_of_decimal, Decimal("NaN")),
    (values.numeric, Decimal("1e29")),
    (values.numeric, Decimal("1e-10")),
    (values.numeric, Decimal("Infinity")),
    (values.bignumeric, Decimal("1e38")),
    (values.bignumeric, Decimal("1e-39")),
    (values.numeric_of_float, 1e29),
    (values.numeric_of_float, float("nan")),
    (values.float64, Decimal("1e400")),
    (values.float64, 10**400),
    (values.boolean, 2),
    (values.boolean, -1),
    (values.time_of_day, timedelta(hours=24)),
    (values.time_of_day, timedelta(microseconds=-1)),
    (values.time_of_day, "25:61:00"),
    (values.day, "0000-00-00"),
    (values.wall_clock, "0000-00-00 00:00:00"),
    (values.wall_clock, date(2026, 1, 31)),
    (values.clock_text, "x"),
    (values.to_instant(TOKYO), datetime(1, 1, 1)),
    (values.to_instant(ZoneInfo("America/New_York")), datetime(9999, 12, 31, 23)),
    (values.to_instant(TOKYO), "2026-02-30 00:00:00"),
]


@pytest.mark.parametrize(("convert", "value", "expected"), FITTING)
def test_a_value_in_range_is_kept(convert: Callable[[Any], object], value: Any, expected: object) -> None:
    assert convert(value) == expected


@pytest.mark.parametrize(("convert", "value"), UNFIT)
def test_a_value_out_of_range_is_refused(convert: Callable[[Any], object], value: Any) -> None:
    with pytest.raises(Unfit):
        convert(value)


@pytest.mark.parametrize(
    ("zone", "local", "utc"),
    [
        (TOKYO, datetime(2026, 1, 31, 9), datetime(2026, 1, 31, 0)),
        (BERLIN, datetime(2026, 7, 1, 12), datetime(2026, 7, 1, 10)),
        (BERLIN, datetime(2026, 10, 25, 2, 30), datetime(2026, 10, 25, 0, 30)),  # repeated: its first offset, +02:00
        (BERLIN, datetime(2026, 3, 29, 2, 30), datetime(2026, 3, 29, 1, 30)),  # skipped: 03:30 in summer time
        (UTC, datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ],
)
def test_wall_clock_becomes_an_instant(zone: ZoneInfo, local: datetime, utc: datetime) -> None:
    instant = values.to_instant(zone)(local)
    assert instant == utc.replace(tzinfo=UTC)
    assert instant.tzinfo is UTC


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 31), timezones=st.just(UTC)))
def test_an_instant_survives_its_wall_clock(instant: datetime) -> None:
    local = instant.astimezone(BERLIN)
    if local.fold == 0:  # the second of a repeated hour can't be told from the first in a DATETIME
        assert values.to_instant(BERLIN)(local.replace(tzinfo=None)) == instant


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_numeric_is_exact_or_refused(number: Decimal) -> None:
    for convert in (values.numeric, values.bignumeric):
        try:
            assert convert(number) == number
        except Unfit:
            assert (
                abs(number) >= Decimal("1e29")
                or number != number.quantize(Decimal("1e-9"), context=WIDE)
                or number.is_zero()
            )
