"""Payloads: the row as it stood, or what is bad in it, and never an error of another kind."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.compile import TableMapping, compile_mapping
from mapping.row import BadRow, Row
from tests.unit.mapping.tables import DETECTION_LOGS, SEMANTIC_EVENTS, bigquery_table, settings, shipped, source_table

TOKYO = ZoneInfo("Asia/Tokyo")
EVENTS = compile_mapping(
    "detection_logs", shipped().tables["detection_logs"], DETECTION_LOGS, SEMANTIC_EVENTS, TOKYO, "site"
)
LEAST = {"tid": "T1", "fid": "F1", "detected_at": "2026-01-31T09:00:00"}


def event(**more: object) -> dict[str, object]:
    row = EVENTS.payload(7, json.dumps(LEAST | more))
    return as_dict(row)


def as_dict(row: Row) -> dict[str, object]:
    return dict(zip(row.shape, row.values, strict=True))


def bad(text: str) -> BadRow:
    with pytest.raises(BadRow) as raised:
        EVENTS.payload(7, text)
    return raised.value


def test_absent_columns_are_null_but_the_id_is_filled_in() -> None:
    row = EVENTS.payload(7, json.dumps(LEAST))
    assert as_dict(row) == {
        "event_id": "det_7",
        "tid": "T1",
        "fid": "F1",
        "camera_lacis_id": None,
        "detected_at": datetime(2026, 1, 31, tzinfo=UTC),  # without offset: in the database's zone
        "severity": None,
        "detection_type": None,
        "detection_detail": None,
        "tags": [],
        "vehicle_ocr": None,
        "face_features": None,
        "snapshot_url": None,
        "source_device": None,  # a constant is for source rows: a payload is the row as it stood
    }
    assert row.identity == ("det_7", "T1", "F1")
    assert row.partition == datetime(2026, 1, 31, tzinfo=UTC)
    assert row.shape == tuple(name for name in SEMANTIC_EVENTS.columns if name != "ingested_at")


def test_values_are_converted_and_json_is_kept_as_it_stands() -> None:
    text = """{"tid": "T1", "fid": "F1", "detected_at": "2026-01-31T00:00:00Z", "tags": ["a", "b"], "severity": 3,
               "detection_detail": { "score" : 0.10, "n": 12345678901234567890123 }, "vehicle_ocr": "text",
               "face_features": null, "event_id": "det_7"}"""
    row = as_dict(EVENTS.payload(7, text))
    assert row["detection_detail"] == '{ "score" : 0.10, "n": 12345678901234567890123 }'
    assert row["vehicle_ocr"] == '"text"'
    assert row["face_features"] is None
    assert row["tags"] == ["a", "b"]


def test_a_column_with_a_default_is_there_only_where_given() -> None:
    row = EVENTS.payload(7, json.dumps(LEAST | {"ingested_at": "2026-01-31T00:00:00Z"}))
    assert row.shape == tuple(SEMANTIC_EVENTS.columns)
    assert row.values[-1] == datetime(2026, 1, 31, tzinfo=UTC)


def test_null_stands_for_no_id_and_no_elements() -> None:
    row = event(event_id=None, tags=None)
    assert (row["event_id"], row["tags"]) == ("det_7", [])


@pytest.mark.parametrize(
    ("more", "column"),
    [
        ({"event_id": "det_8"}, "event_id"),
        ({"event_id": 7}, "event_id"),
        ({"colour": "secret"}, "colour"),
        ({"tid": None}, "tid"),
        ({"severity": "secret"}, "severity"),
        ({"detected_at": "secret"}, "detected_at"),
        ({"tags": "secret"}, "tags"),
        ({"tags": ["secret", None]}, "tags"),
        ({"vehicle_ocr": "secret\ud800"}, "vehicle_ocr"),
        ({"snapshot_url": {"secret": 1}}, "snapshot_url"),
    ],
)
def test_a_bad_member_is_named_without_its_value(more: dict[str, object], column: str) -> None:
    error = bad(json.dumps(LEAST | more))
    assert error.column == column
    assert "secret" not in str(error)


@pytest.mark.parametrize("text", ["", "[]", "null", '"secret"', '{"tid": "secret"', '{"tid":1,"tid":2}', "{" * 9999])
def test_what_is_no_object_is_bad_as_a_whole(text: str) -> None:
    error = bad(text)
    assert error.column is None
    assert "secret" not in str(error)


def test_a_missing_required_column_is_bad() -> None:
    error = bad('{"tid": "T1", "fid": "F1"}')
    assert error.column == "detected_at"


def test_an_unprintable_name_is_not_shown() -> None:
    assert bad(r'{"\ud800": 1}').column is None
    assert bad(json.dumps({"x" * 1000: 1})).column is None


def test_a_payload_that_no_request_can_hold_is_bad() -> None:
    assert "too large" in bad(json.dumps(LEAST | {"snapshot_url": "x" * 10_000_001})).reason


def other(columns: Mapping[str, object], types: dict[str, str], **more: object) -> TableMapping:
    source = source_table({"id": "int(11)!", "name": "varchar(20)", "created": "datetime"})
    partition = "day" if "day" in types else None
    return compile_mapping(
        "t", settings(columns=columns, **more), source, bigquery_table(types, partition), TOKYO, "box-1"
    )


def test_numeric_columns_take_numbers_and_texts_exactly() -> None:
    mapping = other({"id": "id"}, {"id": "INT64", "a": "NUMERIC=", "b": "NUMERIC=", "c": "BIGNUMERIC="})
    row = as_dict(mapping.payload(1, '{"a": 0.123456789, "b": "12345678901234567890.5", "c": 1e-38}'))
    assert row == {
        "id": 1,
        "a": Decimal("0.123456789"),
        "b": Decimal("12345678901234567890.5"),
        "c": Decimal("1e-38"),
    }


def test_an_identity_constant_is_filled_in_lest_two_sites_rows_be_one() -> None:
    columns = {"id": "id", "site": {"value": "{site_id}"}, "device": {"value": "is22"}}
    types = {"id": "INT64", "site": "STRING", "device": "STRING"}
    mapping = other(columns, types, identity=["id", "site"])
    assert mapping.payload(1, "{}").identity == (1, "box-1")
    assert as_dict(mapping.payload(1, '{"site": "box-0"}')) == {"id": 1, "site": "box-0", "device": None}


def test_a_template_with_more_than_the_key_is_the_payloads_own() -> None:
    mapping = other(
        {"id": {"template": "{site_id}-{id}"}, "label": {"template": "{name}-{id}"}},
        {"id": "STRING", "label": "STRING"},
    )
    assert as_dict(mapping.payload(1, "{}")) == {"id": "box-1-1", "label": None}
    assert as_dict(mapping.payload(1, '{"label": "x"}')) == {"id": "box-1-1", "label": "x"}


def test_what_rows_are_looked_up_by_cannot_be_left_to_a_default() -> None:
    mapping = other({"id": "id", "day": "created"}, {"id": "INT64", "day": "TIMESTAMP="})
    assert mapping.payload(1, '{"day": "2026-01-31T00:00:00Z"}').partition == datetime(2026, 1, 31, tzinfo=UTC)
    with pytest.raises(BadRow, match="day: is missing"):
        mapping.payload(1, "{}")


def test_a_key_out_of_the_id_columns_range_is_bad() -> None:
    source = source_table({"id": "bigint(20) unsigned!"})
    mapping = compile_mapping("t", settings(), source, bigquery_table({"id": "INT64"}), None, "site")
    with pytest.raises(BadRow, match="id: out of range"):
        mapping.payload(2**63, "{}")


def test_a_column_of_an_unsupported_type_is_named() -> None:
    mapping = other({"id": "id"}, {"id": "INT64", "place": "GEOGRAPHY"})
    with pytest.raises(BadRow, match="place: has the type GEOGRAPHY"):
        mapping.payload(1, '{"place": "POINT(1 2)"}')


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(list(LEAST.values()))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAMES = st.sampled_from(list(SEMANTIC_EVENTS.columns)) | st.text(max_size=5)


@given(st.dictionaries(NAMES, VALUES, max_size=6), st.booleans())
def test_of_any_object_comes_a_row_or_a_bad_row(members: dict[str, object], complete: bool) -> None:
    payload = members | LEAST if complete else members
    try:
        row = EVENTS.payload(7, json.dumps(payload))
    except BadRow:
        return
    assert EVENTS.encode([7], [row]).nbytes  # it can be


@given(st.text(alphabet='{}[]",:\\u0d8e-+.1tidnul \n', max_size=60))
def test_of_any_text_comes_a_bad_row(text: str) -> None:
    with pytest.raises(BadRow):
        EVENTS.payload(7, text)
