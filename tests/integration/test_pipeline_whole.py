"""The whole: three tables, half of their rows enqueued, a producer that goes on inserting; then every column compared.

PIPELINE_FULL=1 in the environment takes the whole size: 20,000 detections, 500 summaries and 5,000 inferences.
"""

import os
import threading

import pytest
from sqlalchemy import create_engine

from sandbox.camera import Camera, run
from sandbox.camera_tables import create_tables
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import make_site, migrate, shipped_settings

pytestmark = pytest.mark.integration

BACKLOG = {"detection_logs": 20_000, "ai_summary_cache": 500, "is21_logs": 5_000}
SHARE = 1.0 if os.environ.get("PIPELINE_FULL") else 0.1
PRODUCER_RATE = 200.0  # rows a second
PRODUCER_ROWS = 600


@pytest.mark.timeout(600)
def test_every_row_arrives_once_while_others_are_inserted(mariadb: MariaDB, emulator: Emulator) -> None:
    with make_site(mariadb, emulator, shipped_settings()) as site:
        emulator.create_shipped_tables(site.settings.dataset_id)
        create_tables(site.engine)
        migrate(site)
        camera_engine = create_engine(site.url)
        camera = Camera(camera_engine)
        for table, rows in BACKLOG.items():
            camera.insert(table, int(rows * SHARE))
        producer = threading.Thread(
            target=run, args=(camera, threading.Event()), kwargs={"rate": PRODUCER_RATE, "rows": PRODUCER_ROWS}
        )
        with site.working():
            producer.start()
            producer.join()
            site.wait_until_drained()
        camera_engine.dispose()

        compared = compare(site.engine, site.client, site.settings)
        assert compared.equal, compared.report()
        assert (
            sum(table.source_rows for table in compared.tables.values())
            == sum(int(rows * SHARE) for rows in BACKLOG.values()) + PRODUCER_ROWS
        )
        synced = dict(site.read("SELECT table_name, synced_rows FROM bq_sync_table"))
        assert synced == {name: table.source_rows for name, table in compared.tables.items()}
