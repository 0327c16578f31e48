"""A small table that needs everything: the source table `logs` on its way to the BigQuery table `events`."""

import json

from config.settings import TableSettings
from delivery.rows import Key, Outgoing, SentRow, SentRows
from mapping.compile import TableMapping, compile_mapping
from mapping.schema import BigQueryColumn, BigQueryTable, SourceColumn, SourceTable

SETTINGS = TableSettings.model_validate(
    {
        "destination": "events",
        "primary_key": "id",
        "columns": {"event_id": {"template": "det_{id}"}, "tid": {"value": "T1"}, "label": "label"},
        "identity": ["event_id", "tid"],
    }
)

SOURCE = SourceTable(
    name="logs",
    engine="InnoDB",
    columns={
        "id": SourceColumn("id", "bigint", "bigint(20)", nullable=False),
        "label": SourceColumn("label", "varchar", "varchar(255)", nullable=True),
        "synced_to_bq": SourceColumn("synced_to_bq", "tinyint", "tinyint(1)", nullable=True, default="0"),
    },
    primary_key=("id",),
)

DESTINATION = BigQueryTable(
    name="events",
    columns={
        "event_id": BigQueryColumn("event_id", "STRING", "REQUIRED"),
        "tid": BigQueryColumn("tid", "STRING", "REQUIRED"),
        "label": BigQueryColumn("label", "STRING", "REQUIRED"),
        "extra": BigQueryColumn("extra", "STRING"),  # which only payloads have: rows of another shape
    },
)


def sample_mapping() -> TableMapping:
    """The mapping of `logs`; a row whose label is None is one that BigQuery can't take."""
    return compile_mapping("logs", SETTINGS, SOURCE, DESTINATION, zone=None, site_id="site")


def event_id(key: Key) -> str:
    """What a row of `logs` is known by in BigQuery."""
    return f"det_{key}"


def payload(label: str | None, **more: str) -> str:
    return json.dumps({"label": label, **more})


def sent_rows(*keys: Key) -> SentRows:
    """What the ledger keeps of these rows."""
    return SentRows(("event_id", "tid"), None, tuple(SentRow(key, (event_id(key), "T1")) for key in keys))


def outgoing(*rows: Key | tuple[Key, int]) -> Outgoing:
    """A batch of rows, each a key or a key with its item."""
    mapping = sample_mapping()
    pairs = [row if isinstance(row, tuple) else (row, None) for row in rows]
    keys = [key for key, _ in pairs]
    encoded = mapping.encode(keys, [mapping.row((key, f"label {key}")) for key in keys])
    return Outgoing(sent_rows(*keys), tuple(item for _, item in pairs), encoded)
