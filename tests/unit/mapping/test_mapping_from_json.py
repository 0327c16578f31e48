"""JSON values as BigQuery values."""

from contextlib import suppress
from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.from_json import array_of, scalar
from mapping.values import TYPES, Unfit

TOKYO = ZoneInfo("Asia/Tokyo")

FITTING: list[tuple[str, object, object]] = [
    ("STRING", "", ""),
    ("STRING", "猫", "猫"),
    ("INT64", 7, 7),
    ("INT64", "-9223372036854775808", -(2**63)),
    ("INT64", Decimal("5.0"), 5),
    ("FLOAT64", 1, 1.0),
    ("FLOAT64", Decimal("0.1"), 0.1),
    ("FLOAT64", "1e3", 1000.0),
    ("FLOAT64", "-Infinity", float("-inf")),
    ("NUMERIC", Decimal("0.123456789"), Decimal("0.123456789")),
    ("NUMERIC", "12345678901234567890123456789.123456789", Decimal("12345678901234567890123456789.123456789")),
    ("BIGNUMERIC", "1e-38", Decimal("1e-38")),
    ("BOOL", True, True),
    ("BYTES", "AAE=", b"\x00\x01"),
    ("DATE", "2024-02-29", date(2024, 2, 29)),
    ("TIME", "23:59:59.5", time(23, 59, 59, 500000)),
    ("DATETIME", "2026-01-31 13:45:00", datetime(2026, 1, 31, 13, 45)),
    ("TIMESTAMP", "2026-01-31T13:45:00Z", datetime(2026, 1, 31, 13, 45, tzinfo=UTC)),
    ("TIMESTAMP", "2026-01-31t13:45:00.123456z", datetime(2026, 1, 31, 13, 45, 0, 123456, tzinfo=UTC)),
    ("TIMESTAMP", "2026-01-31T13:45:00.123456789+09:00", datetime(2026, 1, 31, 4, 45, 0, 123456, tzinfo=UTC)),
    ("TIMESTAMP", "2026-01-31 13:45:00", datetime(2026, 1, 31, 4, 45, tzinfo=UTC)),  # no offset: in the zone
    ("JSON", {"a": [Decimal("1.50"), None]}, '{"a":[1.50,null]}'),
]

UNFIT: dict[str, list[object]] = {
    "STRING": [5, True, [], {}, "\ud800"],
    "INT64": [True, "", "0x10", "1_0", "７", "1.5", 2**63, Decimal("0.5"), Decimal("1e99"), []],
    "FLOAT64": [True, "nan", "1_0", "", Decimal("1e400"), 10**400, {}],
    "NUMERIC": [True, "NaN", "1_0", " 1", 10**29, Decimal("1e-10"), "1e99999999999999999999"],
    "BOOL": [1, 0, "true", None],
    "BYTES": ["A", "A===", "猫", "AA\n==", 5],
    "DATE": ["2023-02-29", "20230228", "2023-W01-1", "2026-01-31T00:00:00", "０００１-01-01", 5],
    "TIME": ["24:00:01", "1:00:00", "12:00", "12:00:00Z", "12:00:60", 5],
    "DATETIME": ["2026-01-31T13:45:00Z", "2026-01-31", "2026-13-01T00:00:00", 5],
    "TIMESTAMP": [
        1738000000,
        "2026-01-31",
        "2026-01-31T25:00:00Z",
        "2026-01-31T13:45:00+25:00",
        "0001-01-01T00:00:00+09:00",
        "0001-01-01T00:00:00",
        "9999-12-31T23:59:59-01:00",
    ],
    "JSON": [{"a": 2**64}],
}


@pytest.mark.parametrize(("type_", "value", "expected"), FITTING)
def test_a_value_is_converted(type_: str, value: object, expected: object) -> None:
    converted = scalar(type_, TOKYO)(value)
    assert converted == expected
    assert type(converted) is type(expected)


@pytest.mark.parametrize(("type_", "value"), [(type_, value) for type_, values in UNFIT.items() for value in values])
def test_a_value_of_another_kind_is_refused(type_: str, value: object) -> None:
    with pytest.raises(Unfit):
        scalar(type_, TOKYO)(value)


def test_arrays_hold_elements_of_one_type_and_no_null() -> None:
    dates = array_of(scalar("DATE", UTC))
    assert dates(["2026-01-31"]) == [date(2026, 1, 31)]
    assert dates([]) == dates(None) == []
    others: list[object] = [{}, "[]", 5, [None], [["2026-01-31"]], ["today"]]
    for other in others:
        with pytest.raises(Unfit):
            dates(other)


@given(st.datetimes(timezones=st.timezones()))
def test_a_timestamp_survives_rfc_3339(moment: datetime) -> None:
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    offset = moment.utcoffset()
    assert offset is not None
    if offset.seconds % 60 == 0:  # zones before standard time have offsets with seconds, which RFC 3339 can't write
        assert scalar("TIMESTAMP", TOKYO)(moment.isoformat()) == expected


@given(
    st.sampled_from(sorted(TYPES)),
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False)
    | st.text()
    | st.lists(st.text(), max_size=2),
)
def test_nothing_but_unfit_is_raised(type_: str, value: object) -> None:
    with suppress(Unfit):
        scalar(type_, TOKYO)(value)
