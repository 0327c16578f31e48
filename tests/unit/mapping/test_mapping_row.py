"""Rows: their REQUIRED columns, identity, partition, and that one too large is refused."""

import pytest

from mapping.row import MAX_ROW_BYTES, BadRow, Layout
from tests.unit.mapping.tables import bigquery_table

TABLE = bigquery_table(
    {"id": "STRING!", "n": "INT64", "text": "STRING", "raw": "BYTES", "tags": "STRING[]", "ns": "INT64[]"}
)
COLUMNS = list(TABLE.columns.values())


def layout(identity: list[str], partition: str | None, nbytes: int = 1) -> Layout:
    return Layout(COLUMNS, identity, partition, lambda _: nbytes)


def test_a_row_knows_its_identity_and_partition() -> None:
    row = layout(["text", "id"], "n").row(["a", 5, None, b"", [], []])
    assert row.shape == ("id", "n", "text", "raw", "tags", "ns")
    assert row.values == ("a", 5, None, b"", [], [])
    assert row.identity == (None, "a")
    assert row.partition == 5


def test_a_row_without_the_partitioning_column_has_no_partition() -> None:
    assert layout(["id"], "elsewhere").row(["a", 5, None, None, [], []]).partition is None
    assert layout(["id"], None).row(["a", 5, None, None, [], []]).partition is None


def test_null_in_a_required_column_is_bad() -> None:
    with pytest.raises(BadRow, match="id: is NULL, but the column is REQUIRED") as bad:
        layout(["id"], None).row([None, 5, None, None, [], []])
    assert bad.value.column == "id"


def test_a_row_that_no_request_can_hold_is_bad() -> None:
    values = ["a", 5, None, None, [], []]
    assert layout(["id"], None, MAX_ROW_BYTES).row(values).nbytes == MAX_ROW_BYTES
    with pytest.raises(BadRow, match="too large") as bad:
        layout(["id"], None, MAX_ROW_BYTES + 1).row(values)
    assert bad.value.column is None
