"""Compiling a mapping: the shipped tables, a table of another shape, and everything that can be wrong."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from mapping.compile import MappingError, TableMapping, compile_mapping
from mapping.row import BadRow
from mapping.schema import MARK, BigQueryTable, SourceTable
from tests.unit.mapping import tables
from tests.unit.mapping.tables import bigquery_table, settings, shipped, source_column, source_table

TOKYO = ZoneInfo("Asia/Tokyo")

SHIPPED = {
    "detection_logs": (tables.DETECTION_LOGS, tables.SEMANTIC_EVENTS),
    "ai_summary_cache": (tables.AI_SUMMARY_CACHE, tables.SUMMARIES),
    "is21_logs": (tables.IS21_LOGS, tables.INFERENCE_LOGS),
}


def compiled(name: str) -> TableMapping:
    loaded = shipped()
    return compile_mapping(name, loaded.tables[name], *SHIPPED[name], loaded.zone, "site-1")


def row_of(mapping: TableMapping, values: dict[str, object]) -> dict[str, object]:
    row = mapping.row([values.get(name) for name in mapping.source_columns])
    assert mapping.encode([1], [row]).nbytes  # it can be
    return dict(zip(row.shape, row.values, strict=True))


def problems(
    source: SourceTable | None = None, destination: BigQueryTable | None = None, **values: object
) -> tuple[str, ...]:
    source = source or source_table({"id": "int(11)!", "name": "varchar(20)", "at": "datetime", "raw": "blob"})
    destination = destination or bigquery_table({"id": "INT64", "name": "STRING", "at": "TIMESTAMP"})
    with pytest.raises(MappingError) as error:
        compile_mapping("t", settings(**values), source, destination, None, "site")
    assert all(problem.startswith("table t: ") for problem in error.value.problems)
    return error.value.problems


# The shipped tables


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_has_no_loose_ends(name: str) -> None:
    mapping = compiled(name)
    assert mapping.warnings == ()
    assert mapping.unmapped_destination_columns == ()
    assert mapping.source_columns[0] == mapping.key_column
    assert len(set(mapping.source_columns)) == len(mapping.source_columns)


def test_a_detection_log_becomes_a_semantic_event() -> None:
    mapping = compiled("detection_logs")
    values = {
        "id": 7,
        "tid": "T1",
        "fid": "F1",
        "detected_at": datetime(2026, 1, 31, 9, 0, 0, 123000),
        "severity": 3,
        "detection_type": "person",
        "bboxes": '[{"x": 0.10}]',
        "tags": '["a"]',
        "vehicle_ocr": "null",
    }
    assert row_of(mapping, values) == {
        "event_id": "det_7",
        "tid": "T1",
        "fid": "F1",
        "camera_lacis_id": None,
        "detected_at": datetime(2026, 1, 31, 0, 0, 0, 123000, tzinfo=UTC),
        "severity": 3,
        "detection_type": "person",
        "detection_detail": '{"bboxes":[{"x": 0.10}],"suspicious":null}',
        "tags": ["a"],
        "vehicle_ocr": "null",
        "face_features": None,
        "snapshot_url": None,
        "source_device": "is22",
    }
    row = mapping.row([values.get(name) for name in mapping.source_columns])
    assert row.identity == ("det_7", "T1", "F1")
    assert row.partition == datetime(2026, 1, 31, 0, 0, 0, 123000, tzinfo=UTC)
    assert mapping.identity_columns == ("event_id", "tid", "fid")
    assert mapping.partition_column == "detected_at"
    assert mapping.unmapped_source_columns == ("created_at",)
    assert mapping.key_of("007") == 7


def test_a_summary_and_an_inference_are_carried() -> None:
    at = datetime(2026, 1, 31, 9)
    summary = {"summary_id": 1, "tid": "T1", "fid": "F1", "created_at": at, "camera_ids": '["c1", "c2"]'}
    assert row_of(compiled("ai_summary_cache"), summary)["summary_id"] == "SUM-1"
    inference = {"id": 1, "tid": "T1", "fid": "F1", "inferred_at": at, "confidence": 0.5, "inference_detail": "{}"}
    assert row_of(compiled("is21_logs"), inference)["inference_id"] == "inf_1"


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ({"tags": "secret"}, "tags"),
        ({"bboxes": "secret"}, "detection_detail"),
        ({"face_features": "{secret"}, "face_features"),
        ({"detected_at": "0000-00-00 00:00:00"}, "detected_at"),
        ({"detected_at": None}, "detected_at"),
        ({"snapshot_url": "x" * 10_000_001}, None),
    ],
)
def test_a_bad_row_names_its_column_and_not_the_value(values: dict[str, object], column: str | None) -> None:
    mapping = compiled("detection_logs")
    whole = {"id": 7, "tid": "T1", "fid": "F1", "detected_at": datetime(2026, 1, 31)} | values
    with pytest.raises(BadRow) as bad:
        row_of(mapping, whole)
    assert bad.value.column == column
    assert "secret" not in str(bad.value)


# A table of another shape


OTHER = source_table(
    {
        "code": "varchar(36)!",
        "log_id": "int(10) unsigned",
        "kind": "enum('in','out')",
        "flags": "set('a','b')",
        "price": "decimal(20,12)",
        "price_net": "decimal(12,4)",
        "local_at": "datetime",
        "seen_at": "timestamp",
        "label": "varchar(64)",
        "notes": "text",
        "raw": "varbinary(16)",
        "sent": "tinyint(1)=0",
        "sent_at": "datetime",
    },
    primary_key=("code",),
)
OTHER_DESTINATION = bigquery_table(
    {
        "site": "STRING",
        "code": "STRING!",
        "kind": "STRING",
        "flags": "STRING[]",
        "price": "NUMERIC",
        "net": "FLOAT64",
        "local_at": "DATETIME",
        "seen_at": "TIMESTAMP",
        "title": "STRING",
        "detail": "JSON",
        "raw": "BYTES",
        "version": "INT64",
        "spare": "STRING",
        "loaded_at": "TIMESTAMP=",
    },
    partition_column="seen_at",
)
OTHER_SETTINGS = settings(
    primary_key="code",
    synced_flag="sent",
    synced_at="sent_at",
    identity=["code", "site"],
    age_column="local_at",
    columns={
        "code": "code",
        "site": {"value": "{site_id}"},
        "kind": "kind",
        "flags": "flags",
        "price": "price",
        "net": "price_net",
        "local_at": "local_at",
        "seen_at": "seen_at",
        "title": {"template": "{{{kind}}} {label}: {price_net} ({site_id})"},
        "detail": {"object": {"label": "label", "notes": {"json": "notes"}, "seen": "seen_at", "n": "price_net"}},
        "raw": "raw",
        "version": {"value": 2},
    },
)


def test_a_table_of_another_shape_needs_no_code() -> None:
    mapping = compile_mapping("other", OTHER_SETTINGS, OTHER, OTHER_DESTINATION, TOKYO, "box-1")
    values = {
        "code": "007",
        "kind": "in",
        "flags": "a,b",
        "price": Decimal("1.500000000000"),
        "price_net": Decimal("10.5000"),
        "local_at": datetime(2026, 1, 31, 9),
        "seen_at": datetime(2026, 1, 31, 9),
        "label": "猫",
        "notes": '{"x": 1.0}',
        "raw": b"\x00\xff",
    }
    assert row_of(mapping, values) == {
        "site": "box-1",
        "code": "007",
        "kind": "in",
        "flags": ["a", "b"],
        "price": Decimal("1.5"),
        "net": 10.5,
        "local_at": datetime(2026, 1, 31, 9),
        "seen_at": datetime(2026, 1, 31, 9, tzinfo=UTC),
        "title": "{in} 猫: 10.5000 (box-1)",
        "detail": '{"label":"猫","notes":{"x": 1.0},"seen":"2026-01-31T09:00:00Z","n":10.5000}',
        "raw": b"\x00\xff",
        "version": 2,
    }
    assert row_of(mapping, values | {"label": None})["title"] is None
    assert mapping.key_of("007") == "007"
    assert mapping.identity_columns == ("code", "site")
    assert mapping.source_columns[0] == "code"
    assert mapping.unmapped_source_columns == ("log_id",)
    assert mapping.unmapped_destination_columns == ("spare",)
    assert [warning.split(":")[1] for warning in mapping.warnings] == [" column price"]


# What can be wrong


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        columns={"id": "id", "nam": "name", "name": "nmae", "at": "raw"}, synced_flag="synced_to_bq", age_column="when"
    )
    assert len(told) == 5
    assert any("synced_to_bq" in problem and "bq-sync migrate" in problem for problem in told)
    assert any("column nam: " in problem and "did you mean name?" in problem for problem in told)
    assert any("column name: " in problem and "nmae: did you mean name?" in problem for problem in told)
    assert any("column at: source column raw of type blob can't become TIMESTAMP" in problem for problem in told)
    assert any("age_column names when" in problem for problem in told)


@pytest.mark.parametrize(
    ("origin", "told"),
    [
        ({"template": "{idd}"}, "no column idd: did you mean id?"),
        ({"template": "{raw}"}, "can't be a part of a template"),
        ({"object": {"a": "id"}}, "only JSON"),
        ({"value": 5}, None),
        ({"value": True}, "constant of YAML's type bool"),
        ("raw", None),
    ],
)
def test_an_origin_that_cannot_be_a_text(origin: object, told: str | None) -> None:
    columns = {"id": "id", "name": origin}
    if told is None:
        source = source_table({"id": "int(11)!", "raw": "blob"})
        compile_mapping(
            "t", settings(columns=columns), source, bigquery_table({"id": "INT64", "name": "STRING"}), None, "s"
        )
    else:
        (problem,) = problems(columns=columns)
        assert problem.startswith("table t: column name: ")
        assert told in problem


@pytest.mark.parametrize(
    ("value", "type_", "fits"),
    [
        ("2026-01-31T00:00:00Z", "TIMESTAMP", True),
        ("yesterday", "TIMESTAMP", False),
        (5, "INT64", True),
        (2**63, "INT64", False),
        (1.5, "INT64", False),
        (1.5, "NUMERIC", True),
        (True, "BOOL", True),
        (True, "INT64", False),
        (1, "BOOL", True),
        ('{"a": 1}', "JSON", True),
        ("a", "JSON", False),
        ('["a"]', "STRING[]", True),
        ("a", "STRING[]", False),
        ("a", "BYTES", False),
    ],
)
def test_a_constant_has_to_fit(value: object, type_: str, fits: bool) -> None:
    destination = bigquery_table({"id": "INT64", "c": type_})
    columns = {"id": "id", "c": {"value": value}}
    if fits:
        compile_mapping("t", settings(columns=columns), source_table({"id": "int(11)!"}), destination, None, "site")
    else:
        (problem,) = problems(destination=destination, columns=columns)
        assert "column c: " in problem
        assert "constant" in problem


@pytest.mark.parametrize(
    ("columns", "primary_key", "told"),
    [
        ({"id": "int(11)!", "b": "int(11)!"}, ("id", "b"), "(id, b)"),
        ({"id": "int(11)!"}, (), "missing"),
        ({"id": "int(11)!", "log_id": "int(11)!"}, ("log_id",), "set primary_key: log_id"),
        ({"id": "datetime!"}, ("id",), "has to be an integer, CHAR or VARCHAR"),
        ({"id": "binary(16)!"}, ("id",), "has to be an integer, CHAR or VARCHAR"),
        ({"id": "varchar(256)!"}, ("id",), "the queue takes keys of up to 255 characters"),
    ],
)
def test_a_key_that_cannot_be_used(columns: dict[str, str], primary_key: tuple[str, ...], told: str) -> None:
    source = source_table(columns, primary_key)
    assert told in problems(source, bigquery_table({"id": "STRING"}))[0]


@pytest.mark.parametrize(
    ("types", "values", "told"),
    [
        ({"id": "INT64", "must": "STRING!"}, {}, "column must: is REQUIRED in BigQuery and has no default"),
        ({"id": "STRUCT"}, {}, "type STRUCT isn't supported"),
        ({"id": "GEOGRAPHY"}, {}, "type GEOGRAPHY isn't supported"),
        ({"id": "FLOAT64"}, {}, "FLOAT64 can't identify a row"),
        ({"id": "JSON"}, {}, "JSON can't identify a row"),
        ({"id": "INT64"}, {"synced_at": "name"}, "has to be DATETIME or TIMESTAMP"),
        ({"id": "INT64"}, {"synced_at": "sent"}, "synced_at names sent"),
        ({"id": "INT64"}, {"synced_flag": "name"}, "has to be BOOLEAN"),
        ({"id": "INT64"}, {"age_column": "name"}, "age_column names name of type varchar(20)"),
    ],
)
def test_settings_that_do_not_go_with_the_tables(types: dict[str, str], values: dict[str, str], told: str) -> None:
    assert any(told in problem for problem in problems(None, bigquery_table(types), **values))


@pytest.mark.parametrize(
    ("type_", "told"),
    [
        (
            "tinyint(1)",
            "default is NULL: rows that come would be taken for history, and never sent: ALTER TABLE",
        ),
        ("bit(1)=b'1'", "default is b'1': rows that come wouldn't be found: ALTER TABLE source ALTER COLUMN sent SET"),
    ],
)
def test_a_flag_that_new_rows_do_not_have_as_false(type_: str, told: str) -> None:
    source = source_table({"id": "int(11)!", "sent": type_})
    (problem,) = problems(source, bigquery_table({"id": "INT64"}), synced_flag="sent")
    assert told in problem


def test_a_flag_that_migrate_did_not_finish() -> None:
    unfinished = replace(source_column("sent", "tinyint(1)"), comment=MARK)
    source = source_table({"id": "int(11)!"})
    source = replace(source, columns={**source.columns, "sent": unfinished})
    (problem,) = problems(source, bigquery_table({"id": "INT64"}), synced_flag="sent")
    assert "run `bq-sync migrate`" in problem
    assert "ALTER TABLE" not in problem


@pytest.mark.parametrize("type_", ["tinyint(1)=0", "tinyint(3)=000", "bit(1)=b'0'", "tinyint(1)=false", "tinyint(1)!"])
def test_flags_that_new_rows_have_as_false_or_must_be_given(type_: str) -> None:
    source = source_table({"id": "int(11)!", "sent": type_})
    compile_mapping("t", settings(synced_flag="sent"), source, bigquery_table({"id": "INT64"}), None, "site")


def test_an_array_cannot_identify_a_row() -> None:
    source = source_table({"id": "int(11)!", "tags": "json"})
    destination = bigquery_table({"id": "INT64", "tags": "STRING[]"})
    told = problems(source, destination, columns={"id": "id", "tags": "tags"}, identity=["id", "tags"])
    assert "column tags: an array can't identify a row" in told[0]


def test_a_source_type_that_nothing_is_known_of() -> None:
    source = source_table({"id": "int(11)!", "x": "hologram(3)"})
    for origin in ("x", {"template": "{x}"}):
        (problem,) = problems(source, columns={"id": "id", "name": origin})
        assert "hologram(3), which isn't supported" in problem


def test_binary_data_cannot_be_in_an_object() -> None:
    (problem,) = problems(
        destination=bigquery_table({"id": "INT64", "o": "JSON"}), columns={"id": "id", "o": {"object": {"r": "raw"}}}
    )
    assert "can't be a member of an object" in problem


# What may surprise


@pytest.mark.parametrize(
    ("column_type", "type_", "told"),
    [
        ("decimal(20,12)", "NUMERIC", "may hold numbers that NUMERIC can't"),
        ("decimal(20,9)", "NUMERIC", None),
        ("decimal(31,1)", "NUMERIC", "may hold numbers that NUMERIC can't"),
        ("decimal(65,30)", "BIGNUMERIC", None),
        ("decimal(65,0)", "BIGNUMERIC", "may hold numbers that BIGNUMERIC can't"),
        ("decimal(10,2)", "INT64", "may hold numbers that INT64 can't"),
        ("decimal(10,2)", "STRING", None),
        ("bigint(20) unsigned", "INT64", "over 9223372036854775807"),
        ("bigint(20)", "INT64", None),
        ("double", "NUMERIC", "rounded"),
        ("timestamp", "DATETIME", "in UTC"),
        ("datetime", "DATETIME", None),
        ("datetime", "DATE", "the day in the database's zone"),
        ("timestamp", "DATE", "the day in UTC"),
        ("int(11)", "INT64!", "x may be NULL"),
        ("int(11)!", "INT64!", None),
    ],
)
def test_a_conversion_that_may_surprise_is_told(column_type: str, type_: str, told: str | None) -> None:
    source = source_table({"id": "int(11)!", "x": column_type})
    mapping = compile_mapping(
        "t", settings(columns={"id": "id", "x": "x"}), source, bigquery_table({"id": "INT64", "x": type_}), None, "site"
    )
    assert [told in warning if told else warning for warning in mapping.warnings] == ([True] if told else [])


@pytest.mark.parametrize(
    ("type_", "partition_column", "told"),
    [("TIMESTAMP", "day", "NULL partition"), ("TIMESTAMP=", None, "a look-up has to scan all of them")],
)
def test_a_partitioning_column_that_is_not_mapped(type_: str, partition_column: str | None, told: str) -> None:
    destination = bigquery_table({"id": "INT64", "day": type_}, partition_column="day")
    mapping = compile_mapping("t", settings(), source_table({"id": "int(11)!"}), destination, None, "site")
    assert mapping.partition_column == partition_column
    assert told in mapping.warnings[0]
    assert mapping.row([1]).partition is None


def test_a_source_column_named_site_id_is_not_the_sites_id() -> None:
    source = source_table({"id": "int(11)!", "site_id": "int(11)!"})
    destination = bigquery_table({"id": "STRING", "s": "INT64"})
    columns = {"id": {"template": "{site_id}-{id}"}, "s": "site_id"}
    mapping = compile_mapping("t", settings(columns=columns), source, destination, None, "box-1")
    assert mapping.row([1, 99]).values == ("box-1-1", 99)
    assert "{site_id}" in mapping.warnings[0]


def test_the_same_moment_comes_out_of_every_zone() -> None:
    source, destination = (
        source_table({"id": "int(11)!", "at": "datetime"}),
        bigquery_table({"id": "INT64", "at": "TIMESTAMP"}),
    )
    for zone, hour in ((None, 0), (ZoneInfo("UTC"), 0), (TOKYO, 9)):
        mapping = compile_mapping("t", settings(columns={"id": "id", "at": "at"}), source, destination, zone, "site")
        assert mapping.row([1, datetime(2026, 1, 31, hour)]).values[1] == datetime(2026, 1, 31, tzinfo=UTC)
