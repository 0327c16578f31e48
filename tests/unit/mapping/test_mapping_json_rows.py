"""JSON rows: every value as BigQuery's insertAll reads it, sizes exact, insertIds unique."""

import base64
import json
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapping.compile import TableMapping, compile_mapping
from mapping.insert_ids import InsertIds
from mapping.json_rows import JsonEncoding, JsonRows
from mapping.row import MAX_ROW_BYTES, BadRow, Layout, Row
from mapping.values import TYPES
from tests.unit.mapping import tables
from tests.unit.mapping.tables import bigquery_table, settings, shipped, source_table
from tests.unit.mapping.test_mapping_arrow import OF_TYPE

COLUMNS = {f"c_{type_}": type_ for type_ in sorted(TYPES)} | {f"a_{type_}": f"{type_}[]" for type_ in sorted(TYPES)}
TABLE = bigquery_table(COLUMNS)
ENCODING = JsonEncoding(TABLE, InsertIds("site", "source"))


def layout_of(encoding: JsonEncoding) -> Layout:
    columns = list(encoding.table.columns.values())
    return Layout(columns, [], None, encoding.row_bytes(columns))


LAYOUT = layout_of(ENCODING)
ROWS = st.lists(
    st.tuples(
        *(st.none() | OF_TYPE[type_] for type_ in sorted(TYPES)),
        *(st.lists(OF_TYPE[type_], max_size=3) for type_ in sorted(TYPES)),
    ).map(LAYOUT.row),
    min_size=1,
    max_size=5,
)


def sent(rows: JsonRows) -> list[dict[str, Any]]:
    """The rows of a request's body, without their insertIds."""
    return [row["json"] for row in json.loads(rows.body())["rows"]]


def written(column_type: str, value: object, *, default: str = "") -> dict[str, Any]:
    """The JSON of a row that has this value in its one column."""
    encoding = JsonEncoding(bigquery_table({"c": column_type + default}), InsertIds("site", "source"))
    (row,) = sent(encoding.encode([1], [layout_of(encoding).row([value])]))
    return row


@given(ROWS)
def test_sizes_are_exact(rows: list[Row]) -> None:
    encoded = ENCODING.encode(list(range(len(rows))), rows)
    body = encoded.body()
    assert encoded.nbytes == len(body)
    assert sum(row.nbytes for row in rows) == len(body) - len(b'{"rows":[]}') + 1  # no comma behind the last
    kept = encoded.take([len(rows) - 1])
    assert kept.nbytes == len(kept.body())
    assert sent(kept) == sent(encoded)[-1:]
    assert encoded.take([0]).join([encoded.take(range(1, len(rows)))]) == encoded


@given(ROWS)
def test_nothing_is_lost(rows: list[Row]) -> None:
    """Read back by rules of the test's own, every value is what it was."""
    read = {
        "STRING": str,
        "JSON": str,
        "BYTES": base64.b64decode,
        "BOOL": bool,
        "INT64": int,
        "FLOAT64": float,
        "NUMERIC": Decimal,
        "BIGNUMERIC": Decimal,
        "DATE": date.fromisoformat,
        "TIME": time.fromisoformat,
        "DATETIME": datetime.fromisoformat,
        "TIMESTAMP": datetime.fromisoformat,
    }
    for row, members in zip(rows, sent(ENCODING.encode(list(range(len(rows))), rows)), strict=True):
        for name, value in zip(row.shape, row.values, strict=True):
            convert: Any = read[name[2:]]
            if name.startswith("a_"):
                assert [convert(member) for member in members.get(name, [])] == value
            else:
                assert (None if name not in members else convert(members[name])) == value


def test_a_take_of_nothing_is_an_empty_request() -> None:
    row = LAYOUT.row([None] * len(TYPES) + [[]] * len(TYPES))
    empty = ENCODING.encode([1], [row]).take([])
    assert (empty.body(), empty.nbytes) == (b'{"rows":[]}', 11)


@pytest.mark.parametrize(
    ("column_type", "value", "json_value"),
    [
        ("INT64", 2**63 - 1, "9223372036854775807"),
        ("NUMERIC", Decimal("1.500000000"), "1.5"),
        ("NUMERIC", Decimal("-100.000000000"), "-100"),
        ("BIGNUMERIC", Decimal("0E-38"), "0"),
        ("FLOAT64", 0.1, 0.1),
        ("FLOAT64", float("nan"), "NaN"),
        ("FLOAT64", float("inf"), "Infinity"),
        ("FLOAT64", float("-inf"), "-Infinity"),
        ("BOOL", True, True),
        ("BYTES", b"\xff\x00", "/wA="),
        ("DATE", date(2026, 1, 31), "2026-01-31"),
        ("TIME", time(1, 2, 3, 4), "01:02:03.000004"),
        ("TIME", time(1, 2, 3, 10_000), "01:02:03.010000"),
        ("DATETIME", datetime(2026, 1, 31, 1, 2, 3), "2026-01-31T01:02:03"),
        ("TIMESTAMP", datetime(2026, 1, 31, 1, 2, 3, 4, UTC), "2026-01-31T01:02:03.000004Z"),
        ("TIMESTAMP", datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00Z"),
        ("JSON", '{"a": 1.10}', '{"a": 1.10}'),  # a text that holds JSON, character by character
        ("JSON", "null", "null"),  # JSON's null isn't SQL's
        ("STRING[]", ["猫", ""], ["猫", ""]),
        ("INT64[]", [1], ["1"]),
        ("FLOAT64[]", [float("inf")], ["Infinity"]),
    ],
)
def test_a_value_is_written_as_bigquery_reads_it(column_type: str, value: object, json_value: object) -> None:
    assert written(column_type, value) == {"c": json_value}


def test_null_and_empty_arrays_are_left_out_unless_the_column_has_a_default() -> None:
    assert written("STRING", None) == {}
    assert written("STRING[]", []) == {}
    assert written("STRING", None, default="=") == {"c": None}
    assert written("STRING[]", [], default="=") == {"c": []}
    assert written("STRING", "") == {"c": ""}
    assert written("BOOL", False) == {"c": False}


def test_a_row_counts_what_escaping_adds() -> None:
    quotes = '"' * (MAX_ROW_BYTES // 2)
    assert len(quotes) < MAX_ROW_BYTES
    encoding = JsonEncoding(bigquery_table({"c": "STRING"}), InsertIds("site", "source"))
    with pytest.raises(BadRow, match="too large"):
        layout_of(encoding).row([quotes])
    assert layout_of(encoding).row(["x" * (MAX_ROW_BYTES // 2)])


def mapping(site_id: str = "site", table: str = "detection_logs") -> TableMapping:
    loaded = shipped()
    return compile_mapping(
        table,
        loaded.tables["detection_logs"],
        tables.DETECTION_LOGS,
        tables.SEMANTIC_EVENTS,
        loaded.zone,
        site_id,
        "insert_all",
    )


def test_a_shipped_table_is_written_whole() -> None:
    table = mapping()
    values = {
        "id": 7,
        "tid": "T1",
        "fid": "F1",
        "detected_at": datetime(2026, 1, 31, 12, 0, 0, 5000),
        "severity": 3,
        "bboxes": "[[1, 2]]",
        "suspicious": None,
        "tags": '["人物"]',
        "vehicle_ocr": '{"plate": "多摩"}',
    }
    row = table.row([values.get(name) for name in table.source_columns])
    payload = table.payload(8, json.dumps({"tid": "T1", "fid": "F1", "detected_at": "2026-01-31T03:00:00Z"}))
    assert isinstance(encoded := table.encode([7], [row]), JsonRows)
    assert sent(encoded) == [
        {
            "event_id": "det_7",
            "tid": "T1",
            "fid": "F1",
            "detected_at": "2026-01-31T03:00:00.005000Z",
            "severity": "3",
            "detection_detail": '{"bboxes":[[1, 2]],"suspicious":null}',
            "tags": ["人物"],
            "vehicle_ocr": '{"plate": "多摩"}',
            "source_device": "is22",
        }
    ]
    assert isinstance(encoded := table.encode([8], [payload]), JsonRows)
    assert sent(encoded) == [{"event_id": "det_8", "tid": "T1", "fid": "F1", "detected_at": "2026-01-31T03:00:00Z"}]
    assert encoded.nbytes == payload.nbytes + len(b'{"rows":[]}') - 1


def insert_ids(encoding: TableMapping, *keys: int) -> list[str]:
    row = encoding.payload(keys[0], '{"tid": "T1", "fid": "F1", "detected_at": "2026-01-31T03:00:00Z"}')
    encoded = encoding.encode(keys, [row] * len(keys))
    assert isinstance(encoded, JsonRows)
    return [row["insertId"] for row in json.loads(encoded.body())["rows"]]


def test_the_same_row_has_the_same_insert_id_always_and_no_other_row_has() -> None:
    ids = insert_ids(mapping(), 7, 8)
    assert ids == insert_ids(mapping(), 7, 8)
    assert ids[1:] == insert_ids(mapping(), 8)
    others = insert_ids(mapping("another"), 7, 8) + insert_ids(mapping(table="copy"), 7, 8)
    assert len({*ids, *others}) == 6


NAMES = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["a", "a:b", "b", "b:c", "c", '"', ",", ""])
KEYS = st.integers(-(2**63), 2**64 - 1) | NAMES | st.text(st.characters(codec="utf-8"), max_size=300)


def apart(parts: tuple[str, str, int | str]) -> str:
    return repr(parts)  # 7 and '7' are two keys


@given(st.lists(st.tuples(NAMES, NAMES, KEYS), max_size=10, unique_by=apart))
def test_insert_ids_never_meet(parts: list[tuple[str, str, int | str]]) -> None:
    ids = {InsertIds(site, table).of(key) for site, table, key in parts}
    assert len(ids) == len(parts)
    assert all(len(insert_id) == InsertIds.LENGTH <= 128 and insert_id.isalnum() for insert_id in ids)


def test_an_insert_id_is_what_it_was_in_the_last_release() -> None:
    """A worker of a new version that repeats a row of the old one's has to be recognised."""
    assert InsertIds("site", "detection_logs").of(7) == "318a204321ea9bb5a835e91556fa933f"


def test_a_default_that_a_source_row_leaves_null_stays_null() -> None:
    table = compile_mapping(
        "t",
        settings(columns={"id": "id", "note": "note"}),
        source_table({"id": "int(11)!", "note": "text"}),
        bigquery_table({"id": "INT64", "note": "STRING="}),
        None,
        "site",
        "insert_all",
    )
    assert isinstance(encoded := table.encode([1], [table.row((1, None))]), JsonRows)
    assert sent(encoded) == [{"id": "1", "note": None}]
