"""Parquet: what was written is there, in groups, and a bad row is left out with its reason."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mapping import parquet
from mapping.compile import compile_mapping
from mapping.parquet import ParquetChunk
from mapping.table import TableMapping
from tests.unit.mapping.tables import bigquery_table, settings, source_table

COLUMNS = {"id": "id", "label": "label", "detail": "detail", "at": "at", "price": "price"}
SOURCE = source_table(
    {"id": "bigint(20)!", "label": "varchar(20)", "detail": "json longtext", "at": "datetime", "price": "decimal(9,2)"}
)
DESTINATION = bigquery_table(
    {"id": "INT64!", "label": "STRING!", "detail": "JSON", "at": "TIMESTAMP", "price": "NUMERIC"}, "at"
)
NINE = datetime(2026, 1, 5, 9)


@pytest.fixture
def mapping() -> TableMapping:
    return compile_mapping("logs", settings(columns=COLUMNS), SOURCE, DESTINATION, None, "site")


def test_rows_are_written_a_group_at_a_time(
    mapping: TableMapping, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 4)
    with ParquetChunk(tmp_path / "chunk", mapping) as chunk:
        bad = chunk.add((key, (key, None if key == 3 else "x", '{"a": 1}', NINE, None)) for key in range(1, 11))
        chunk.finish()
        with pq.ParquetFile(chunk.path) as file:
            assert file.num_row_groups == 3
            assert file.schema_arrow.field("at").type == pa.timestamp("us", tz="UTC")
            assert file.schema_arrow.field("detail").type == pa.utf8()
            written = file.read().to_pylist()
    keys = [key for key in range(1, 11) if key != 3]
    assert [row["id"] for row in written] == keys
    assert written[0] == {
        "id": 1,
        "label": "x",
        "detail": '{"a": 1}',
        "at": NINE.replace(tzinfo=UTC),
        "price": None,
    }
    assert bad == {3: "label: is NULL, but the column is REQUIRED"}
    assert (chunk.rows.keys, chunk.rows.rows[0].partition) == (tuple(keys), NINE.replace(tzinfo=UTC))
    assert chunk.shape == tuple(COLUMNS)
    assert chunk.nbytes > 0
    assert not chunk.path.exists()


def test_an_empty_one_leaves_nothing(mapping: TableMapping, tmp_path: Path) -> None:
    with ParquetChunk(tmp_path / "chunk", mapping) as chunk:
        assert len(chunk) == 0
    assert list(tmp_path.iterdir()) == []
