"""Rows that wait, as many as asked, in tables as large installations have them: detection_logs has ten indexes.

A row of detection_logs is about 1 KB and has four JSON values: boxes, suspicion, tags, and a number plate or a face.
A few thousand rows are different; the others are copies of them at other times.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, column, insert, table, text

from sandbox import camera_values
from sandbox.camera_values import Row

TABLE = "detection_logs"
DIFFERENT_ROWS = 2_000
# Beside the primary key, the sample table's own four, and the flag's.
MORE_INDEXES = (
    "type (detection_type, detected_at)",
    "camera_severity (camera_lacis_id, severity)",
    "tenant (tid, camera_lacis_id)",
    "picture (snapshot_url(48))",
)


def detection(random: Random, now: datetime) -> Row:
    """A row as the sample server makes it, with a JSON value in four of its columns."""
    row = camera_values.detection(random, now)
    while row["suspicious"] is None or row["tags"] is None or row["bboxes"] == "[]":
        row = camera_values.detection(random, now)
    if row["vehicle_ocr"] is None and row["face_features"] is None:
        row["face_features"] = json.dumps({"embedding": [random.uniform(-1, 1) for _ in range(12)], "mask": False})
    return row


@dataclass(frozen=True, slots=True)
class Source:
    """A table of the sample server's: its key, its age column, and what makes its rows."""

    key: str
    age: str
    make: Callable[[Random, datetime], Row]


SOURCES: Mapping[str, Source] = {
    TABLE: Source("id", "detected_at", detection),
    "is21_logs": Source("id", "inferred_at", camera_values.inference),
    "ai_summary_cache": Source("summary_id", "created_at", camera_values.summary),
}


def add_indexes(engine: Engine) -> None:
    """Give detection_logs as many indexes as large installations have."""
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE {TABLE} " + ", ".join(f"ADD KEY {index}" for index in MORE_INDEXES)))


def fill(engine: Engine, rows: int, name: str = TABLE) -> None:
    """Insert so many rows that wait by their flag alone, with consecutive keys behind the last one there."""
    source, random = SOURCES[name], Random(1)
    yesterday = datetime.now(ZoneInfo("Asia/Tokyo")).replace(tzinfo=None, microsecond=0) - timedelta(days=1)
    site = {"tid": "T2025112006260013", "fid": "0150"}
    first = last_key(engine, name) + 1
    different = [
        {source.key: first + number} | site | source.make(random, yesterday)
        for number in range(min(rows, DIFFERENT_ROWS))
    ]
    copied = ", ".join(column for column in different[0] if column not in (source.key, source.age))
    copy = text(
        f"INSERT INTO {name} ({source.key}, {source.age}, {copied})"  # noqa: S608  ours
        f" SELECT {source.key} + :offset, {source.age} + INTERVAL :seconds SECOND, {copied} FROM {name}"
        f" WHERE {source.key} BETWEEN :first AND :last ORDER BY {source.key}"
    )
    with engine.begin() as connection:
        connection.execute(insert(table(name, *map(column, different[0]))), different)
    for offset in range(DIFFERENT_ROWS, rows, DIFFERENT_ROWS):
        last = first + min(DIFFERENT_ROWS, rows - offset) - 1
        with engine.begin() as connection:
            connection.execute(copy, {"offset": offset, "seconds": offset, "first": first, "last": last})


def enqueue(engine: Engine) -> None:
    """Give each row of detection_logs an item in the queue, as a producer does that says what is sent."""
    item = f"INSERT INTO bq_sync_queue (table_name, record_id) SELECT '{TABLE}', id FROM {TABLE} ORDER BY id"  # noqa: S608  ours
    with engine.begin() as connection:
        connection.execute(text(item))


def last_key(engine: Engine, name: str = TABLE) -> int:
    """Zero for an empty table."""
    with engine.connect() as connection:
        return connection.scalar(text(f"SELECT MAX({SOURCES[name].key}) FROM {name}")) or 0  # noqa: S608  ours


def bytes_of_a_row(engine: Engine, name: str = TABLE) -> float:
    """What the values of a row take as text, on average over some."""
    with engine.connect() as connection:
        rows = connection.execute(text(f"SELECT * FROM {name} LIMIT {DIFFERENT_ROWS}")).all()  # noqa: S608  ours
    return sum(len(str(value).encode()) for row in rows for value in row if value is not None) / len(rows)
