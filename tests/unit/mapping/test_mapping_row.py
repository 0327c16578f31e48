"""Rows: their REQUIRED columns, identity, partition and size."""

import pytest

from mapping.row import MAX_ROW_BYTES, BadRow, Layout
from tests.unit.mapping.tables import bigquery_table

TABLE = bigquery_table(
    {"id": "STRING!", "n": "INT64", "text": "STRING", "raw": "BYTES", "tags": "STRING[]", "ns": "INT64[]"}
)
COLUMNS = list(TABLE.columns.values())


def test_a_row_knows_its_identity_and_partition() -> None:
    row = Layout(COLUMNS, ["text", "id"], "n").row(["a", 5, None, b"", [], []])
    assert row.shape == ("id", "n", "text", "raw", "tags", "ns")
    assert row.values == ("a", 5, None, b"", [], [])
    assert row.identity == (None, "a")
    assert row.partition == 5


def test_a_row_without_the_partitioning_column_has_no_partition() -> None:
    assert Layout(COLUMNS, ["id"], "elsewhere").row(["a", 5, None, None, [], []]).partition is None
    assert Layout(COLUMNS, ["id"], None).row(["a", 5, None, None, [], []]).partition is None


def test_null_in_a_required_column_is_bad() -> None:
    with pytest.raises(BadRow, match="id: is NULL, but the column is REQUIRED") as bad:
        Layout(COLUMNS, ["id"], None).row([None, 5, None, None, [], []])
    assert bad.value.column == "id"


def test_size_grows_with_what_a_row_holds() -> None:
    layout = Layout(COLUMNS, ["id"], None)

    def grown(values: list[object]) -> int:
        return layout.row(values).nbytes - layout.row(["", None, None, None, [], []]).nbytes

    assert grown(["", None, "猫" * 1000, None, [], []]) == 3000
    assert grown(["", None, None, b"\xff" * 1000, [], []]) == 1000
    assert grown(["", None, None, None, ["x" * 1000] * 10, []]) >= 10_000
    assert grown(["", None, None, None, [], [1] * 1000]) >= 8000


def test_a_row_that_no_request_can_hold_is_bad() -> None:
    layout = Layout(COLUMNS, ["id"], None)
    assert layout.row(["a", 5, "x" * (MAX_ROW_BYTES - 100), None, [], []])
    with pytest.raises(BadRow, match="too large") as bad:
        layout.row(["a", 5, "x" * MAX_ROW_BYTES, None, [], []])
    assert bad.value.column is None
