"""The shipped tables fit the shipped configuration."""

from pathlib import Path

import pytest

from bigquery.tables import SHIPPED, shipped_table
from config.settings import load


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_takes_what_the_shipped_configuration_sends(name: str) -> None:
    settings = load({"BQ_SYNC_CONFIG": str(Path("config/bq_sync.yaml"))})
    mapping = next(table for table in settings.tables.values() if table.destination == name)
    table = shipped_table("p", "d", name)
    fields = {field.name: field for field in table.schema}
    assert set(mapping.columns) == set(fields) - {"ingested_at"}
    assert fields["ingested_at"].default_value_expression == "CURRENT_TIMESTAMP()"
    assert {fields[column].mode for column in mapping.identity_columns} == {"REQUIRED"}
    assert table.time_partitioning.field in fields
    assert all(field.description for field in table.schema)
