"""By columns, rows become what they become one by one, and are refused where one of them is."""

from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymysql.constants import FIELD_TYPE

from database.by_columns import Columns
from delivery.rows import SentRow, SentRows
from mapping.compile import TableMapping, compile_mapping
from mapping.json_text import MAX_NESTING
from mapping.row import MAX_ROW_BYTES, BadRow, Row
from mapping.values import Unfit
from tests.unit.mapping.tables import bigquery_table, settings, source_table

TEXT, BLOB = FIELD_TYPE.VAR_STRING, FIELD_TYPE.BLOB
SOURCE = source_table(
    {
        "id": "bigint(20) unsigned!",
        "padded": "int(8) unsigned zerofill",
        "year_": "year(4)",
        "price": "decimal(12,4)",
        "share": "double",
        "word": "varchar(50)",
        "choice": "enum('a','b')",
        "choices": "set('a','b')",
        "document": "json longtext",
        "plain": "text",
        "code": "varbinary(20)",
        "at": "datetime(6)",
        "on_day": "date",
        "stamped": "timestamp",
    }
)
DRIVER_TYPES: Mapping[str, int] = {
    "id": FIELD_TYPE.LONGLONG,
    "padded": FIELD_TYPE.LONG,
    "year_": FIELD_TYPE.YEAR,
    "price": FIELD_TYPE.NEWDECIMAL,
    "share": FIELD_TYPE.DOUBLE,
    "code": BLOB,
    "at": FIELD_TYPE.DATETIME,
    "on_day": FIELD_TYPE.DATE,
    "stamped": FIELD_TYPE.TIMESTAMP,
}
DESTINATION = bigquery_table(
    {
        "event_id": "STRING!",
        "site": "STRING",
        "id_number": "INT64!",
        "padded_id": "STRING",
        "padded": "INT64",
        "year_text": "STRING",
        "year_": "INT64",
        "price": "NUMERIC",
        "share": "FLOAT64",
        "word": "STRING!",
        "choice": "STRING",
        "choices": "STRING",
        "choice_list": "STRING[]",
        "document": "JSON",
        "texts": "STRING[]",
        "numbers": "INT64[]",
        "code": "BYTES",
        "at": "TIMESTAMP!",
        "local": "DATETIME",
        "on_day": "DATE",
        "stamped": "TIMESTAMP",
        "objects": "JSON",
        "mixed": "JSON",
        "flag": "BOOL",
    },
    partition_column="at",
)
COLUMNS = {
    "event_id": {"template": "{site_id}/det_{id}-{word}"},
    "site": {"value": "{site_id}"},
    "id_number": "id",
    "padded_id": {"template": "p{padded}"},
    "padded": "padded",
    "year_text": {"template": "{year_}"},
    "year_": "year_",
    "price": "price",
    "share": "share",
    "word": "word",
    "choice": "choice",
    "choices": "choices",
    "choice_list": "choices",
    "document": "document",
    "texts": "plain",
    "numbers": "document",
    "code": "code",
    "at": "at",
    "local": "at",
    "on_day": "on_day",
    "stamped": "stamped",
    "objects": {"object": {'a "name"': "document", "again": "document", "plain": {"json": "plain"}}},
    "mixed": {"object": {"document": "document", "word": "word", "price": "price"}},
    "flag": {"value": True},
}
IDENTITY = ["event_id", "id_number", "at"]


def mapping_of(*columns: str) -> TableMapping:
    """Of some of the columns, and those that every row is known by."""
    chosen = {name: COLUMNS[name] for name in ("event_id", "id_number", "at", "word", *columns)}
    return compile_mapping(
        "source", settings(columns=chosen, identity=IDENTITY), SOURCE, DESTINATION, ZoneInfo("Europe/Paris"), "site-1"
    )


EVERYTHING = mapping_of(*(name for name in COLUMNS if name not in ("texts", "numbers")))
ARRAYS = mapping_of("texts"), mapping_of("numbers")

# Values as the server writes them. Of the strange ones some can't be taken, by one column or another.
JSON = ["{}", "[]", '["a", "é"]', "[1, 2]", ' {"a": [1.50, null]} ', "null", "7", '"x"', "[" * 400 + "]" * 400]
# That many brackets are too many within an object.
NESTED = "[" * MAX_NESTING + "]" * MAX_NESTING
NO_JSON = [
    "",
    NESTED,
    "{",
    "[1,]",
    "NaN",
    '["a", null]',
    '["\\ud800"]',
    "[" * (MAX_NESTING + 1) + "]" * (MAX_NESTING + 1),
]
ORDINARY: Mapping[str, Sequence[str | bytes | None]] = {
    "id": ["0", "1", "9223372036854775807"],
    "padded": ["00000007", "4294967295", None],
    "year_": ["0000", "2026", None],
    "price": ["0.0000", "-12345678.0100", None],
    "share": ["0.1", "-1.7976931348623157e308", "16777200", None],
    "word": ["", "word", "日本 😀", "a,b\nc\0"],
    "choice": ["a", "b", "", None],
    "choices": ["a,b", "", None],
    "document": [*JSON, None],
    "plain": [*JSON, None],
    "code": [b"", b"\x00\xff,", None],
    "at": ["2026-03-29 02:30:00", "2026-10-25 02:30:00.500000", "1900-01-01 00:00:00", "2099-07-01 12:00:00.000001"],
    "on_day": ["0001-01-01", "9999-12-31", None],
    "stamped": ["2026-01-05 09:00:00.5", "1970-01-01 00:00:01", None],
}
STRANGE: Mapping[str, Sequence[str | bytes | None]] = {
    "id": ["9223372036854775808", "18446744073709551615"],
    "word": [None],
    "document": NO_JSON,
    "plain": NO_JSON,
    "at": ["0000-00-00 00:00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999", "2026-02-00 00:00:00", None],
    "on_day": ["0000-00-00", "2026-02-30"],
    "stamped": ["0000-00-00 00:00:00"],
}


def read_of(mapping: TableMapping, rows: Sequence[Mapping[str, str | bytes | None]]) -> Columns:
    names = mapping.source_columns
    arrays = [pa.array([row[name] for row in rows], pa.binary() if name == "code" else pa.utf8()) for name in names]
    keys = [int(str(row["id"])) for row in rows]
    return Columns(keys, {}, arrays, [DRIVER_TYPES.get(name, TEXT) for name in names])


def one_by_one(mapping: TableMapping, read: Columns) -> list[Row] | None:
    """None: one of them is bad."""
    try:
        return [mapping.row(values) for values in read.rows()]
    except BadRow:
        return None


def rows(strange: bool) -> st.SearchStrategy[list[dict[str, str | bytes | None]]]:
    values = {name: [*some, *(STRANGE.get(name, ()) if strange else ())] for name, some in ORDINARY.items()}
    row = st.fixed_dictionaries({name: st.sampled_from(some) for name, some in values.items()})
    return st.lists(row, min_size=1, max_size=5)


def compare(mapping: TableMapping, some: Sequence[Mapping[str, str | bytes | None]]) -> bool:
    """Whether they were taken: both ways."""
    read = read_of(mapping, some)
    expected = one_by_one(mapping, read)
    if expected is None:
        with pytest.raises(Unfit):
            mapping.of_columns(read)
        return False
    converted = mapping.of_columns(read)
    encoded: Any = mapping.encode(read.keys, expected)
    assert converted.encoded == encoded
    assert converted.shape == expected[0].shape
    assert converted.row_bytes == [row.nbytes for row in expected]
    assert converted.rows == SentRows(
        mapping.identity_columns,
        mapping.partition_column,
        tuple(SentRow(key, row.identity, row.partition) for key, row in zip(read.keys, expected, strict=True)),
    )
    return True


@given(rows(strange=False))
def test_ordinary_rows_become_the_same(some: list[dict[str, str | bytes | None]]) -> None:
    assert compare(EVERYTHING, some)


@given(rows(strange=True))
def test_whatever_one_way_refuses_the_other_does_too(some: list[dict[str, str | bytes | None]]) -> None:
    for mapping in (EVERYTHING, *ARRAYS):
        compare(mapping, some)


@pytest.mark.parametrize(
    ("column", "value"), [(column, value) for column, some in STRANGE.items() for value in some], ids=str
)
def test_each_strange_value_alone(column: str, value: str | bytes | None) -> None:
    ordinary = {name: some[0] for name, some in ORDINARY.items()}
    for mapping in (EVERYTHING, *ARRAYS):
        compare(mapping, [ordinary, ordinary | {column: value}])


@pytest.mark.parametrize("nbytes", [MAX_ROW_BYTES // 2 + 1, MAX_ROW_BYTES // 2 - 100_000])
def test_a_row_that_is_too_large_is_refused(nbytes: int) -> None:
    ordinary = {name: some[0] for name, some in ORDINARY.items()}
    large = ordinary | {"word": "x" * nbytes}  # which is in two of the columns
    assert compare(mapping_of(), [ordinary, large]) == (2 * nbytes < MAX_ROW_BYTES)
