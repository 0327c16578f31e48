"""The validator finds each kind of fault: a proof that finds nothing has to be able to find something."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from google.cloud.bigquery import Client
from sqlalchemy import Connection, Engine, text

import database.schema
from config.settings import Settings, load
from sandbox.camera import Camera
from sandbox.camera_tables import create_tables
from sandbox.compare import Comparison, Difference, compare

pytestmark = pytest.mark.integration

SHIPPED = Path(__file__).parents[2] / "config" / "bq_sync.yaml"
SITE = {"tid": "T1", "fid": "F1"}

SENT = {
    "event_id": "det_1",
    **SITE,
    "camera_lacis_id": None,
    "detected_at": "2026-01-02T03:04:05.678Z",  # 12:04:05.678 in Tokyo
    "severity": 3,
    "detection_type": "人物",
    "detection_detail": {"bboxes": [{"x": 1.5, "ok": True}], "suspicious": None},
    "tags": ["夜", "it's"],
    "vehicle_ocr": {"plate": "品川 🚗"},
    "face_features": None,
    "snapshot_url": "",
    "source_device": "is22",
}
KEY = ("det_1", "T1", "F1")


@dataclass
class Site:
    """A database with one detection, and an emulator's dataset that may hold it."""

    engine: Engine
    client: Client
    settings: Settings

    def send(self, **changes: Any) -> None:
        row = SENT | changes
        nested = {name: json.dumps(row[name]) for name in ("detection_detail", "vehicle_ocr") if row[name] is not None}
        errors = self.client.insert_rows_json(f"{self.settings.dataset_id}.semantic_events", [row | nested])
        assert not errors

    def execute(self, statement: str) -> None:
        with self.engine.begin() as connection:
            connection.execute(text(statement))

    def compare(self) -> Comparison:
        return compare(self.engine, self.client, self.settings)


@pytest.fixture
def site(engine: Engine, bigquery_client: Client, shipped_dataset: str) -> Site:
    create_tables(engine)
    database.schema.metadata.create_all(engine)
    settings = load({"BQ_SYNC_CONFIG": str(SHIPPED), "BQ_SYNC_DATASET_ID": shipped_dataset})
    with engine.begin() as connection:
        for table in settings.tables:
            connection.execute(text(f"ALTER TABLE {table} ADD synced_to_bq BOOLEAN NULL DEFAULT FALSE"))
        insert_detection(connection)
    return Site(engine, bigquery_client, settings)


def insert_detection(connection: Connection) -> None:
    """The source row of SENT, its flag set."""
    connection.execute(
        text(
            "INSERT INTO detection_logs (tid, fid, detected_at, severity, detection_type, bboxes, tags, vehicle_ocr,"
            " snapshot_url, synced_to_bq) VALUES (:tid, :fid, '2026-01-02 12:04:05.678', 3, '人物', :bboxes, :tags,"
            " :ocr, '', TRUE)"
        ),
        SITE
        | {
            "bboxes": '[{"x": 1.50, "ok": true}]',
            "tags": '["夜", "it\'s"]',
            "ocr": '{"plate": "品川 🚗"}',
        },
    )


def test_equal_rows_are_equal(site: Site) -> None:
    site.send()

    comparison = site.compare()

    assert comparison.equal, comparison.report()
    assert comparison.tables["detection_logs"].source_rows == comparison.tables["detection_logs"].bigquery_rows == 1


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("camera_lacis_id", ""),
        ("detected_at", "2026-01-02T12:04:05.678Z"),
        ("severity", 4),
        ("severity", None),
        ("detection_detail", {"bboxes": [{"x": 1.5, "ok": 1}], "suspicious": None}),
        ("detection_detail", {"bboxes": [{"x": 1.5, "ok": True}]}),
        ("tags", ["it's", "夜"]),
        ("vehicle_ocr", None),
        ("source_device", "is23"),
    ],
)
def test_a_wrong_value_is_found_with_its_column(site: Site, column: str, value: object) -> None:
    site.send(**{column: value})

    comparison = site.compare()

    assert comparison.tables["detection_logs"].different == [Difference(KEY, column)]
    assert "NOT EQUAL" in comparison.report()


@pytest.mark.parametrize(
    ("break_it", "problem"),
    [
        (lambda site: None, "missing in BigQuery"),
        (lambda site: [site.send(), site.send()], "more than once in BigQuery"),
        (lambda site: [site.send(), site.send(event_id="det_2")], "in BigQuery only"),
        (lambda site: [site.send(), site.execute("UPDATE detection_logs SET synced_to_bq = FALSE")], "flag not set"),
        (
            lambda site: [
                site.send(),
                site.execute("INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('detection_logs', '1')"),
            ],
            "queue item not completed",
        ),
        (
            lambda site: [
                site.send(),
                site.execute(
                    "INSERT INTO bq_sync_batch (table_name, state, row_count, sent_rows)"
                    " VALUES ('detection_logs', 'appended', 1, '')"
                ),
            ],
            "batch not completed",
        ),
    ],
)
def test_each_kind_of_fault_is_found(site: Site, break_it: Callable[[Site], object], problem: str) -> None:
    break_it(site)

    assert list(site.compare().tables["detection_logs"].problems) == [problem]


def test_history_may_be_missing(site: Site) -> None:
    site.execute("UPDATE detection_logs SET synced_to_bq = NULL")

    assert site.compare().equal


def test_another_sites_rows_are_left_out(site: Site) -> None:
    site.send()
    site.send(tid="T2")

    assert not site.compare().equal
    assert compare(site.engine, site.client, site.settings, site=SITE).equal


def test_the_camera_enqueues_its_share_with_the_rows_own_ids(site: Site) -> None:
    camera = Camera(site.engine, seed=7, enqueue_share=0.5)

    made = camera.insert_detections(200)

    with site.engine.connect() as connection:
        ids = list(connection.execute(text("SELECT id FROM detection_logs WHERE tid <> 'T1' ORDER BY id")).scalars())
        enqueued = {int(key) for key in connection.execute(text("SELECT record_id FROM bq_sync_queue")).scalars()}
        newest = connection.execute(text("SELECT MAX(detected_at) FROM detection_logs")).scalar_one()
    assert made == ids
    assert enqueued < set(ids)
    assert 60 < len(enqueued) < 140
    tokyo_ahead = newest - datetime.now(UTC).replace(tzinfo=None)
    assert round(tokyo_ahead.total_seconds() / 3600) == 9
