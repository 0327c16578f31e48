"""Source values, as PyMySQL hands them over, as BigQuery values: every pair of types that goes together."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mapping import json_text
from mapping.from_source import Family, SourceValues, family
from mapping.values import TYPES, Unfit
from tests.unit.mapping.tables import source_column

TOKYO = ZoneInfo("Asia/Tokyo")
MOMENT = datetime(2026, 1, 31, 9, 0, 0, 250000)
IN_TOKYO = datetime(2026, 1, 31, 0, 0, 0, 250000, tzinfo=UTC)
IN_UTC = MOMENT.replace(tzinfo=UTC)

CONVERTED = [
    ("bigint(20) unsigned", 7, {"STRING": "7", "INT64": 7, "FLOAT64": 7.0, "NUMERIC": Decimal(7), "JSON": "7"}),
    ("tinyint(1)", 1, {"BOOL": True, "INT64": 1, "BIGNUMERIC": Decimal(1)}),
    ("year(4)", 2026, {"INT64": 2026, "STRING": "2026", "BOOL": None, "DATE": None}),
    ("decimal(12,4)", Decimal("10.5000"), {"NUMERIC": Decimal("10.5"), "STRING": "10.5000", "JSON": "10.5000"}),
    ("decimal(12,4)", Decimal("10.0000"), {"INT64": 10, "FLOAT64": 10.0, "BIGNUMERIC": Decimal(10)}),
    ("double", 0.25, {"FLOAT64": 0.25, "STRING": "0.25", "NUMERIC": Decimal("0.25"), "JSON": "0.25", "INT64": None}),
    ("float", float("inf"), {"FLOAT64": float("inf")}),
    ("bit(1)", b"\x01", {"BOOL": True, "INT64": 1, "BYTES": b"\x01", "STRING": None}),
    ("varchar(64)", "12", {"STRING": "12", "INT64": 12, "FLOAT64": 12.0, "NUMERIC": Decimal(12), "JSON": "12"}),
    ("varchar(64)", "x", {"STRING": "x", "BYTES": None, "BOOL": None}),
    ("text", "2026-01-31", {"DATE": date(2026, 1, 31)}),
    ("text", "2026-01-31 09:00:00.25", {"TIMESTAMP": IN_TOKYO, "DATETIME": MOMENT}),
    ("text", "2026-01-31T09:00:00.25Z", {"TIMESTAMP": IN_UTC}),
    ("json", '{"b": 1.50}', {"JSON": '{"b": 1.50}', "STRING": '{"b": 1.50}'}),
    ("longtext", "[1]", {"JSON": "[1]"}),
    ("enum('a','b')", "a", {"STRING": "a", "INT64": None, "JSON": None}),
    ("set('a','b')", "a,b", {"STRING": "a,b", "INT64": None}),
    ("uuid", "1-2", {"STRING": "1-2", "JSON": None}),
    ("blob", b"ab", {"BYTES": b"ab", "STRING": "ab", "TIMESTAMP": None, "JSON": None}),
    ("binary(2)", b"\x00\xff", {"BYTES": b"\x00\xff"}),
    ("date", date(2026, 1, 31), {"DATE": date(2026, 1, 31), "STRING": "2026-01-31", "DATETIME": datetime(2026, 1, 31)}),
    ("date", date(2026, 1, 31), {"TIMESTAMP": datetime(2026, 1, 30, 15, tzinfo=UTC), "INT64": None}),
    ("time", timedelta(hours=9), {"TIME": time(9), "STRING": "09:00:00", "TIMESTAMP": None}),
    ("time", timedelta(hours=25), {"STRING": "25:00:00"}),
    ("datetime(3)", MOMENT, {"TIMESTAMP": IN_TOKYO, "DATETIME": MOMENT, "DATE": MOMENT.date(), "TIME": None}),
    ("datetime(3)", MOMENT, {"STRING": "2026-01-31T00:00:00.250000Z", "JSON": None}),
    ("timestamp(3)", MOMENT, {"TIMESTAMP": IN_UTC, "DATETIME": MOMENT, "DATE": MOMENT.date(), "INT64": None}),
    ("timestamp(3)", MOMENT, {"STRING": "2026-01-31T09:00:00.250000Z"}),
    ("geometry", b"\x00\x01", {"BYTES": b"\x00\x01", "STRING": None, "JSON": None}),
]

UNFIT = [
    ("bigint(20) unsigned", 2**63, "INT64"),
    ("int(11)", 2, "BOOL"),
    ("bit(8)", b"\x02", "BOOL"),
    ("bit(64)", b"\xff" * 8, "INT64"),
    ("decimal(20,12)", Decimal("0.000000000001"), "NUMERIC"),
    ("double", 1e30, "NUMERIC"),
    ("longtext", "", "JSON"),
    ("longtext", "{'a': 1}", "JSON"),
    ("varchar(64)", "yesterday", "TIMESTAMP"),
    ("varchar(64)", "1 2", "INT64"),
    ("varchar(64)", "\udcff", "STRING"),
    ("blob", b"\xff", "STRING"),
    ("date", "0000-00-00", "DATE"),
    ("date", "2026-00-00", "TIMESTAMP"),
    ("datetime", "0000-00-00 00:00:00", "TIMESTAMP"),
    ("datetime", "0000-00-00 00:00:00", "DATETIME"),
    ("datetime", "0000-00-00 00:00:00", "DATE"),
    ("datetime", "0000-00-00 00:00:00", "STRING"),
    ("timestamp", "0000-00-00 00:00:00", "TIMESTAMP"),
    ("datetime", datetime(1, 1, 1), "TIMESTAMP"),
    ("time", timedelta(hours=24), "TIME"),
    ("time", timedelta(seconds=-1), "TIME"),
]


def known(column_type: str) -> Family:
    found = family(source_column("c", column_type))
    assert found is not None
    return found


@pytest.mark.parametrize(("column_type", "value", "expected"), CONVERTED)
def test_a_value_follows_both_types(column_type: str, value: object, expected: dict[str, object]) -> None:
    source = SourceValues(TOKYO)
    for type_, result in expected.items():
        convert = source.scalar(known(column_type), type_)
        assert (convert and convert(value)) == result, type_
        assert result is None or type(convert and convert(value)) is type(result), type_


@pytest.mark.parametrize(("column_type", "value", "type_"), UNFIT)
def test_a_value_that_does_not_fit_is_refused(column_type: str, value: object, type_: str) -> None:
    convert = SourceValues(TOKYO).scalar(known(column_type), type_)
    assert convert is not None
    with pytest.raises(Unfit):
        convert(value)


def test_arrays_come_from_json_and_from_sets() -> None:
    source = SourceValues(TOKYO)
    numbers = source.array(Family.TEXT, "NUMERIC")
    assert numbers is not None
    assert numbers("[0.1, 2]") == [Decimal("0.1"), Decimal(2)]
    assert numbers("null") == []
    for text in ("", "{}", "[null]", "[NaN]", '["a"]', "[1"):
        with pytest.raises(Unfit):
            numbers(text)
    choices = source.array(Family.CHOICES, "STRING")
    assert choices is not None
    assert (choices("a,b"), choices("")) == (["a", "b"], [])
    assert source.array(Family.CHOICES, "INT64") is None
    assert source.array(Family.INTEGER, "INT64") is None


@pytest.mark.parametrize(
    ("column_type", "value", "text"),
    [
        ("bigint(20)", 7, "7"),
        (
            "decimal(40,12)",
            Decimal("1234567890123456789012345678.900000000000"),
            "1234567890123456789012345678.900000000000",
        ),
        ("double", 1e16, "10000000000000000"),
        ("bit(8)", b"\x05", "5"),
        ("varchar(10)", 'a"猫', '"a\\"猫"'),
        ("enum('a')", "a", '"a"'),
        ("date", date(2026, 1, 31), '"2026-01-31"'),
        ("datetime", MOMENT, '"2026-01-31T00:00:00.250000Z"'),
        ("timestamp", datetime(2026, 1, 31, 9), '"2026-01-31T09:00:00Z"'),
        ("time", timedelta(hours=-1), '"-01:00:00"'),
    ],
)
def test_a_member_of_an_object_is_a_json_scalar(column_type: str, value: object, text: str) -> None:
    convert = SourceValues(TOKYO).member(known(column_type), holds_json=False)
    assert convert is not None
    written = json_text.write(convert(value))
    assert json_text.parse(written) == json_text.parse(text)


def test_a_member_that_holds_json_is_nested_as_it_stands() -> None:
    convert = SourceValues(TOKYO).member(Family.TEXT, holds_json=True)
    assert convert is not None
    assert json_text.write({"a": convert('{"x" : 1.50}')}) == '{"a":{"x" : 1.50}}'
    with pytest.raises(Unfit):
        convert("{")


def test_what_cannot_be_a_text_or_a_member() -> None:
    source = SourceValues(TOKYO)
    for binary in (Family.BYTES, Family.GEOMETRY):
        assert source.text(binary) is None
        assert source.member(binary, holds_json=False) is None
    assert source.text(Family.BIT) is None


def test_an_unknown_type_has_no_family() -> None:
    assert family(source_column("c", "hologram(3)")) is None


def test_a_choice_in_the_binary_character_set_comes_as_bytes() -> None:
    assert family(replace(source_column("c", "enum('a')"), character_set="binary")) is Family.BYTES


def test_every_family_goes_into_some_type() -> None:
    source = SourceValues(TOKYO)
    for each in Family:
        assert any(source.scalar(each, type_) for type_ in TYPES), each
