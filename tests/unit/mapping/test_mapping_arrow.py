"""Arrow: every type survives, sizes are about right."""

import string
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from mapping import values
from mapping.arrow import arrow_schema, encode
from mapping.arrow_bytes import arrow_bytes
from mapping.row import Layout, Row
from mapping.schema import BigQueryTable
from mapping.values import TYPES
from tests.unit.mapping.tables import bigquery_table

TABLE = bigquery_table(
    {f"c_{type_}": type_ for type_ in sorted(TYPES)} | {f"a_{type_}": f"{type_}[]" for type_ in sorted(TYPES)}
)


def layout_of(table: BigQueryTable, identity: str) -> Layout:
    columns = list(table.columns.values())
    return Layout(columns, [identity], None, arrow_bytes(columns))


LAYOUT = layout_of(TABLE, "c_STRING")
SCHEMA = arrow_schema(TABLE, LAYOUT.shape)

TEXT = st.text(alphabet=st.characters(codec="utf-8"))
OF_TYPE: dict[str, st.SearchStrategy[object]] = {
    "STRING": TEXT,
    "JSON": TEXT,
    "BYTES": st.binary(),
    "BOOL": st.booleans(),
    "INT64": st.integers(-(2**63), 2**63 - 1),
    "FLOAT64": st.floats(allow_nan=False),
    "NUMERIC": st.decimals(Decimal("-9e28"), Decimal("9e28"), places=9).map(values.numeric),
    "BIGNUMERIC": st.decimals(Decimal("-9e37"), Decimal("9e37"), places=38).map(values.bignumeric),
    "DATE": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "TIME": st.times(),
    "DATETIME": st.datetimes(),
    "TIMESTAMP": st.datetimes(timezones=st.just(UTC)),
}
ROWS = st.lists(
    st.tuples(
        *(st.none() | OF_TYPE[type_] for type_ in sorted(TYPES)),
        *(st.lists(OF_TYPE[type_], max_size=3) for type_ in sorted(TYPES)),
    ).map(LAYOUT.row),
    min_size=1,
    max_size=5,
)


def decoded(rows: list[Row], places: list[int]) -> list[tuple[object, ...]]:
    batch = encode(SCHEMA, rows).take(places).record_batch
    return [tuple(row.values()) for row in batch.to_pylist()]


@given(ROWS)
def test_every_value_survives(rows: list[Row]) -> None:
    places = list(range(len(rows)))[::-1]
    assert decoded(rows, places) == [rows[place].values for place in places]


def test_types_are_those_that_the_service_documents() -> None:
    assert SCHEMA.field("c_TIMESTAMP").type == pa.timestamp("us", tz="UTC")
    assert SCHEMA.field("c_DATETIME").type == pa.timestamp("us")
    assert SCHEMA.field("c_BIGNUMERIC").type == pa.decimal256(76, 38)
    assert SCHEMA.field("a_STRING").type == pa.list_(pa.utf8())


@given(ROWS)
def test_pieces_that_are_joined_again_are_the_whole(rows: list[Row]) -> None:
    whole = encode(SCHEMA, rows)
    joined = whole.take(range(1)).join([whole.take(range(1, len(rows)))])
    assert joined == whole
    assert joined.nbytes == whole.nbytes


def test_no_place_taken_is_no_row() -> None:
    row = LAYOUT.row([None] * len(TYPES) + [[]] * len(TYPES))
    assert encode(SCHEMA, [row]).take([]).record_batch.num_rows == 0


def test_a_rows_own_size_is_about_what_it_adds() -> None:
    table = bigquery_table({"id": "STRING", "n": "INT64", "at": "TIMESTAMP", "tags": "STRING[]", "detail": "JSON"})
    layout = layout_of(table, "id")
    filled = ["det_1", 5, datetime(2026, 1, 31, tzinfo=UTC), ["猫", "person"], '{"a":1}' * 20]
    rows = [layout.row(filled)] * 1000
    actual = encode(arrow_schema(table, layout.shape), rows).nbytes
    assert 0.9 * actual < sum(row.nbytes for row in rows) < 1.2 * actual


def test_size_grows_with_what_a_row_holds() -> None:
    table = bigquery_table({"n": "INT64", "text": "STRING", "raw": "BYTES", "tags": "STRING[]", "ns": "INT64[]"})
    layout = layout_of(table, "n")

    def grown(values: list[object]) -> int:
        return layout.row(values).nbytes - layout.row([None, None, None, [], []]).nbytes

    assert grown([None, "猫" * 1000, None, [], []]) == 3000
    assert grown([None, None, b"\xff" * 1000, [], []]) == 1000
    assert grown([None, None, None, ["x" * 1000] * 10, []]) >= 10_000
    assert grown([None, None, None, [], [1] * 1000]) >= 8000


def test_the_extremes_of_time_survive() -> None:
    table = bigquery_table({"at": "TIMESTAMP", "t": "TIME"})
    layout = layout_of(table, "at")
    rows = [layout.row([moment.replace(tzinfo=UTC), time.max]) for moment in (datetime.min, datetime.max)]
    batch = encode(arrow_schema(table, layout.shape), rows).record_batch
    assert batch.column(0).to_pylist() == [row.values[0] for row in rows]


def test_letters_count_one_byte() -> None:
    table = bigquery_table({"id": "STRING"})
    layout = layout_of(table, "id")
    assert layout.row([string.ascii_letters]).nbytes == layout.row([""]).nbytes + 52
