"""Source and BigQuery tables for tests: the three that are shipped, and one of another shape."""

from pathlib import Path
from typing import Literal

from config.settings import Settings, TableSettings, load
from mapping.schema import BigQueryColumn, BigQueryTable, SourceColumn, SourceTable

SHIPPED = Path(__file__).parents[3] / "config" / "bq_sync.yaml"


def shipped() -> Settings:
    return load({"BQ_SYNC_CONFIG": str(SHIPPED)})


def settings(**values: object) -> TableSettings:
    return TableSettings.model_validate(
        {"destination": "target", "primary_key": "id", "synced_flag": None, "columns": {"id": "id"}} | values
    )


def source_column(
    name: str, column_type: str, *, nullable: bool = True, default: str | None = None, holds_json: bool = False
) -> SourceColumn:
    data_type = column_type.split("(")[0].split(" ")[0]
    return SourceColumn(name, data_type, column_type, nullable, default=default, holds_json=holds_json)


def source_table(columns: dict[str, str], primary_key: tuple[str, ...] = ("id",), name: str = "source") -> SourceTable:
    """Columns as {name: type}; `!` behind a type: NOT NULL; `=0`: its default; `json` in front: known to hold JSON."""
    described = {}
    for column, text in columns.items():
        type_, _, default = text.partition("=")
        described[column] = source_column(
            column,
            type_.removeprefix("json ").removesuffix("!"),
            nullable=not type_.endswith("!"),
            default=default or None,
            holds_json=type_.startswith("json "),
        )
    return SourceTable(name, "InnoDB", described, primary_key)


def bigquery_table(columns: dict[str, str], partition_column: str | None = None, name: str = "target") -> BigQueryTable:
    """Columns as {name: type}; `!` behind a type: REQUIRED; `[]`: REPEATED; `=`: has a default."""
    described = {}
    for column, type_ in columns.items():
        mode: Literal["NULLABLE", "REQUIRED", "REPEATED"] = "NULLABLE"
        if "!" in type_:
            mode = "REQUIRED"
        elif "[]" in type_:
            mode = "REPEATED"
        described[column] = BigQueryColumn(column, type_.rstrip("![]="), mode, has_default="=" in type_)
    return BigQueryTable(name, described, partition_column)


DETECTION_LOGS = source_table(
    {
        "id": "bigint(20) unsigned!",
        "tid": "varchar(32)!",
        "fid": "varchar(32)!",
        "camera_lacis_id": "varchar(64)",
        "detected_at": "datetime(3)!",
        "severity": "int(11)",
        "detection_type": "enum('person','vehicle')",
        "bboxes": "json longtext",
        "suspicious": "json longtext",
        "tags": "json longtext",
        "vehicle_ocr": "json longtext",
        "face_features": "json longtext",
        "snapshot_url": "text",
        "created_at": "timestamp!",
        "synced_to_bq": "tinyint(1)=0",
    },
    name="detection_logs",
)
SEMANTIC_EVENTS = bigquery_table(
    {
        "event_id": "STRING!",
        "tid": "STRING!",
        "fid": "STRING!",
        "camera_lacis_id": "STRING",
        "detected_at": "TIMESTAMP!",
        "severity": "INT64",
        "detection_type": "STRING",
        "detection_detail": "JSON",
        "tags": "STRING[]",
        "vehicle_ocr": "JSON",
        "face_features": "JSON",
        "snapshot_url": "STRING",
        "source_device": "STRING",
        "ingested_at": "TIMESTAMP=",
    },
    partition_column="detected_at",
    name="semantic_events",
)
AI_SUMMARY_CACHE = source_table(
    {
        "summary_id": "bigint(20)!",
        "tid": "varchar(32)!",
        "fid": "varchar(32)!",
        "summary_type": "varchar(32)",
        "period_start": "datetime",
        "period_end": "datetime",
        "summary_text": "mediumtext",
        "summary_json": "json longtext",
        "detection_count": "int(11)",
        "severity_max": "int(11)",
        "camera_ids": "json longtext",
        "created_at": "datetime!",
        "synced_to_bq": "tinyint(1)=0",
    },
    primary_key=("summary_id",),
    name="ai_summary_cache",
)
SUMMARIES = bigquery_table(
    {
        "summary_id": "STRING!",
        "tid": "STRING!",
        "fid": "STRING!",
        "summary_type": "STRING",
        "period_start": "TIMESTAMP",
        "period_end": "TIMESTAMP",
        "summary_text": "STRING",
        "summary_json": "JSON",
        "detection_count": "INT64",
        "severity_max": "INT64",
        "camera_ids": "STRING[]",
        "created_at": "TIMESTAMP",
        "ingested_at": "TIMESTAMP=",
    },
    partition_column="period_start",
    name="summaries",
)
IS21_LOGS = source_table(
    {
        "id": "bigint(20)!",
        "tid": "varchar(32)!",
        "fid": "varchar(32)!",
        "camera_lacis_id": "varchar(64)",
        "inferred_at": "datetime(6)!",
        "model_version": "varchar(64)",
        "primary_event": "varchar(64)",
        "confidence": "float",
        "processing_ms": "int(11)",
        "inference_detail": "json",
        "vehicle_ocr": "json",
        "face_features": "json",
        "synced_to_bq": "tinyint(1)=0",
    },
    name="is21_logs",
)
INFERENCE_LOGS = bigquery_table(
    {
        "inference_id": "STRING!",
        "tid": "STRING!",
        "fid": "STRING!",
        "camera_lacis_id": "STRING",
        "inferred_at": "TIMESTAMP!",
        "model_version": "STRING",
        "primary_event": "STRING",
        "confidence": "FLOAT64",
        "processing_ms": "INT64",
        "inference_detail": "JSON",
        "vehicle_ocr": "JSON",
        "face_features": "JSON",
        "ingested_at": "TIMESTAMP=",
    },
    partition_column="inferred_at",
    name="inference_logs",
)
