"""The BigQuery tables that bq-sync ships: columns in `schemas/*.json` (BigQuery's own format), layout here."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from google.cloud import bigquery


@dataclass(frozen=True, slots=True)
class Layout:
    """How rows are laid out: by day of the partitioning column, and within a day by the clustering columns."""

    partition_column: str
    clustering: tuple[str, ...]


SHIPPED: Mapping[str, Layout] = {
    "semantic_events": Layout("detected_at", ("tid", "fid")),
    "summaries": Layout("period_start", ("tid", "fid")),
    "inference_logs": Layout("inferred_at", ("tid", "fid")),
}


HEARTBEATS = Layout("sent_at", ("site",))


def shipped_table(project: str, dataset: str, name: str) -> bigquery.Table:
    """The definition of one of the shipped tables, ready to be created.

    Raises:
        KeyError: no table of that name is shipped.
    """
    return _table(f"{project}.{dataset}.{name}", name, SHIPPED[name])


def heartbeat_table(project: str, dataset: str, name: str) -> bigquery.Table:
    """The definition of the table that takes heartbeats, under the name that the configuration gives it."""
    return _table(f"{project}.{dataset}.{name}", "heartbeats", HEARTBEATS)


def shipped_defaults(name: str) -> frozenset[str]:
    """The columns that BigQuery fills by itself in the shipped table of that name; none where no such is shipped."""
    if name not in SHIPPED:
        return frozenset()
    table = shipped_table("p", "d", name)
    return frozenset(column.name for column in table.schema if column.default_value_expression is not None)


def _table(full_name: str, schema: str, layout: Layout) -> bigquery.Table:
    file = resources.files(__package__) / "schemas" / f"{schema}.json"
    fields = json.loads(file.read_text(encoding="utf-8"))
    columns = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    table = bigquery.Table(full_name, schema=columns)
    table.time_partitioning = bigquery.TimePartitioning(field=layout.partition_column)  # by day
    table.clustering_fields = list(layout.clustering)
    return table
