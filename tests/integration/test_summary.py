"""A summary, from the camera server's table to BigQuery: every column of it, told by hand."""

from datetime import UTC, datetime

import pytest

from sandbox.camera_tables import create_tables
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import make_site, migrate, shipped_settings

pytestmark = pytest.mark.integration

TEXT = "正面玄関: 配達 ×3\n駐車場: 不審な車両 'white' ×1 — \"確認\" 🚚"


def test_e3_a_summary_is_written_sent_and_found_in_bigquery(mariadb: MariaDB, emulator: Emulator) -> None:
    with make_site(mariadb, emulator, shipped_settings()) as site:
        emulator.create_shipped_tables(site.settings.dataset_id)
        create_tables(site.engine)
        migrate(site)
        with site.working():
            site.run(
                "INSERT INTO ai_summary_cache VALUES ("
                "41, 'T2025112006260013', '0150', 'daily', '2026-11-27 00:00:00', '2026-11-28 00:00:00', :text,"
                """ '{"places": {"玄関": 3}, "alerts": []}', 4, 7, '["cam_a", "cam_b"]', '2026-11-28 00:00:05', 0)""",
                # This one, hourly, says as little as a summary may; the producer enqueues it.
                "INSERT INTO ai_summary_cache (tid, fid, summary_type, period_start, period_end, created_at)"
                " VALUES ('T2025112006260013', '0150', 'hourly', '2026-11-28 08:00:00', '2026-11-28 09:00:00',"
                " '2026-11-28 09:00:07')",
                "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('ai_summary_cache', LAST_INSERT_ID())",
                text=TEXT,
            )
            site.wait_until_drained()
        first, second = sorted(site.sent("summaries"), key=lambda row: str(row["summary_id"]))
        for row in (first, second):
            del row["ingested_at"]  # BigQuery's own default makes it, which the emulator doesn't know
        # The camera server's DATETIMEs are Tokyo's: 9 hours ahead of UTC.
        assert first == {
            "summary_id": "SUM-41",
            "tid": "T2025112006260013",
            "fid": "0150",
            "summary_type": "daily",
            "period_start": datetime(2026, 11, 26, 15, tzinfo=UTC),
            "period_end": datetime(2026, 11, 27, 15, tzinfo=UTC),
            "summary_text": TEXT,
            "summary_json": {"places": {"玄関": 3}, "alerts": []},
            "detection_count": 4,
            "severity_max": 7,
            "camera_ids": ["cam_a", "cam_b"],
            "created_at": datetime(2026, 11, 27, 15, 0, 5, tzinfo=UTC),
        }
        assert second == {
            **dict.fromkeys(first),
            "summary_id": "SUM-42",
            "tid": "T2025112006260013",
            "fid": "0150",
            "summary_type": "hourly",
            "period_start": datetime(2026, 11, 27, 23, tzinfo=UTC),
            "period_end": datetime(2026, 11, 28, tzinfo=UTC),
            "camera_ids": [],
            "created_at": datetime(2026, 11, 28, 0, 0, 7, tzinfo=UTC),
        }
        assert site.read("SELECT summary_id, synced_to_bq FROM ai_summary_cache ORDER BY 1") == [(41, 1), (42, 1)]
        assert site.read("SELECT record_id, sync_status FROM bq_sync_queue") == [("42", "completed")]
