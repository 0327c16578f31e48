"""What no worker can be faster than: each of its stages alone, on the same rows, by the shortest way there is."""

import json
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC
from typing import Any

import pyarrow as pa
from sqlalchemy import text

from bench.backlog import DIFFERENT_ROWS, TABLE
from bench.processes import run_well
from bench.site import DATABASE, Site
from bigquery.connect import connect as connect_to_bigquery
from bigquery.metadata import read_table
from bigquery.storage_write import StorageWrite
from database.catalogue import read_source_table
from database.source_columns import SourceColumns
from delivery.complete import CHUNK
from delivery.destination import Appended
from mapping.arrow import ArrowRows, arrow_schema
from sandbox.mariadb import PASSWORD, USER, find_program

DATASET = "floors"
MOST_PURGE_SECONDS = 60.0

# As BigQuery will have them; which time zone the rows are in makes no difference here.
_ROWS = text(f"""
SELECT CONCAT('det_', id) event_id, tid, fid, camera_lacis_id, detected_at, severity, detection_type,
       CONCAT('{{"bboxes":', bboxes, ',"suspicious":', suspicious, '}}') detection_detail, tags, vehicle_ocr,
       face_features, snapshot_url, 'is22' source_device
FROM {TABLE} ORDER BY id LIMIT {DIFFERENT_ROWS}
""")  # noqa: S608  ours


def dump(measured: Site) -> float:
    """Seconds that MariaDB's own client takes to read every row, and to write it nowhere."""
    command = [find_program("mariadb"), "--no-defaults", "--host=127.0.0.1", f"--port={measured.database.port}"]
    command += [f"--user={USER}", "--default-character-set=utf8mb4", "--quick", "--batch", "--skip-column-names"]
    command += [f"--execute=SELECT * FROM {TABLE}", DATABASE]  # noqa: S608  ours
    quiet = ["sh", "-c", 'exec "$@" > /dev/null', "sh"]
    return run_well([*quiet, *command], measured.directory / "dump.log", {"MYSQL_PWD": PASSWORD}).seconds


def append(measured: Site, rows: int) -> float:
    """Seconds that appends of so many rows take, in ready-made batches as large as the settings allow."""
    settings = measured.settings.model_copy(update={"dataset_id": DATASET})
    measured.emulator.create_dataset(DATASET)
    measured.emulator.create_shipped_tables(DATASET)
    clients = connect_to_bigquery(settings, measured.environment)
    with closing(clients):
        table = read_table(clients.rest, settings, settings.tables[TABLE].destination)
        some = [dict(row) | {"tags": json.loads(row["tags"])} for row in _read(measured)]
        for row in some:
            row["detected_at"] = row["detected_at"].replace(tzinfo=UTC)
        shape = tuple(name for name in table.columns if name in some[0])
        batch = _largest(arrow_schema(table, shape), some, settings.most_rows, settings.max_batch_bytes)
        taken = 0.0
        with closing(StorageWrite(clients, settings, table)) as destination:
            stream = destination.open()
            for offset in range(0, rows, len(batch.record_batch)):
                ready = batch.take(range(min(len(batch.record_batch), rows - offset)))
                began = time.monotonic()
                answer = destination.send(stream, offset, ready)
                taken += time.monotonic() - began
                assert isinstance(answer, Appended), answer
    measured.emulator.drop_dataset(DATASET)
    return taken


def flag(measured: Site, rows: int) -> float:
    """Seconds that the UPDATEs alone take which set the flags of rows 1 to `rows`, by one connection, as a worker does.

    Every row's flag is taken back before.
    """
    name = measured.settings.tables[TABLE]
    with measured.engine.connect() as connection:
        source = read_source_table(connection, TABLE)
    assert source is not None
    columns = SourceColumns(name, source, measured.settings.zone, _no_time)
    for first in range(1, rows + 1, 10_000):
        with measured.engine.begin() as connection:
            connection.execute(
                text(f"UPDATE {TABLE} SET synced_to_bq = 0 WHERE id BETWEEN {first} AND {first + 9_999}")  # noqa: S608  ours
            )
    wait_for_purge(measured)
    began = time.monotonic()
    for first in range(1, rows + 1, CHUNK):
        keys = range(first, min(rows, first + CHUNK - 1) + 1)
        with measured.engine.begin() as connection:
            for statement in columns.flagging(keys):
                connection.execute(statement)
    return time.monotonic() - began


def wait_for_purge(measured: Site) -> None:
    """Until the server has cleaned up behind earlier UPDATEs, which it does in the background; a minute at most."""
    end = time.monotonic() + MOST_PURGE_SECONDS
    history = text("SELECT variable_value FROM information_schema.global_status WHERE variable_name = :name")
    while time.monotonic() < end:
        with measured.engine.connect() as connection:
            if int(connection.execute(history, {"name": "Innodb_history_list_length"}).scalar_one()) < 100:
                return
        time.sleep(0.5)


def _read(measured: Site) -> Sequence[Any]:
    with measured.engine.connect() as connection:
        return connection.execute(_ROWS).mappings().all()


def _largest(schema: Any, some: Sequence[dict[str, Any]], most_rows: int, most_bytes: int) -> ArrowRows:
    """The rows again and again, up to the limits."""
    once = ArrowRows(pa.RecordBatch.from_pylist(some, schema=schema))
    rows = min(most_rows, int(len(some) * most_bytes / once.nbytes))
    return once.take([place % len(some) for place in range(rows)])


def _no_time() -> Any:
    raise AssertionError("the sample table has no synced_at")
