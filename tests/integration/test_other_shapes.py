"""A table of quite another shape is carried by its YAML alone, every value as it should be."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path

import pytest
from google.cloud.bigquery import SchemaField

from config.settings import load
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Row, make_site, migrate

pytestmark = pytest.mark.integration

CAMERAS = "CREATE TABLE cameras (camera_id INT UNSIGNED AUTO_INCREMENT PRIMARY KEY, name VARCHAR(50)) ENGINE=InnoDB"

# Names that SQL has for itself, spaces, a dozen indexes, a foreign key, generated columns, and most types there are.
LOGS = """
CREATE TABLE `camera logs` (
    log_id INT UNSIGNED NOT NULL AUTO_INCREMENT,
    `camera id` INT UNSIGNED NOT NULL,
    `select` VARCHAR(20) NOT NULL,
    `order` SMALLINT NULL,
    `it's "quoted" %s` VARCHAR(50) CHARACTER SET latin1 NULL,
    level ENUM('low', 'high', 'très haut') NOT NULL,
    marks SET('night', 'rain', 'blurred') NOT NULL,
    price DECIMAL(12,4) NULL,
    share DOUBLE NULL,
    rough FLOAT NULL,
    doubled INT GENERATED ALWAYS AS (`order` * 2) VIRTUAL,
    described VARCHAR(60) GENERATED ALWAYS AS (CONCAT(level, ' ', `select`)) STORED,
    is_armed TINYINT(1) NULL,
    bits BIT(8) NULL,
    `bit` BIT(1) NULL,
    at_time TIME(3) NULL,
    lasted TIME NULL,
    on_day DATE NULL,
    in_year YEAR NULL,
    seen_at DATETIME(6) NOT NULL,
    local_at DATETIME NULL,
    stamped_at TIMESTAMP(3) NULL DEFAULT NULL,
    changed_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
    picture BLOB NULL,
    fingerprint BINARY(4) NULL,
    code VARBINARY(20) NULL,
    identifier UUID NULL,
    address INET6 NULL,
    extra JSON NULL,
    plain TEXT NULL,
    tags JSON NULL,
    numbers JSON NULL,
    moments JSON NULL,
    huge BIGINT UNSIGNED NULL,
    is_synced BOOLEAN NULL DEFAULT 0,
    carried_at DATETIME NULL,
    PRIMARY KEY (log_id),
    UNIQUE KEY one (`camera id`, seen_at),
    KEY two (`select`), KEY three (`order`), KEY four (level), KEY five (price), KEY six (doubled),
    KEY seven (described), KEY eight (on_day), KEY nine (stamped_at), KEY ten (changed_at),
    KEY eleven (is_synced, log_id), FULLTEXT KEY (plain),
    CONSTRAINT its_camera FOREIGN KEY (`camera id`) REFERENCES cameras (camera_id)
) ENGINE=InnoDB
"""

YAML = r"""
bq_sync:
  enabled: true
  project_id: mobesorder
  dataset_id: set_by_the_test
  interval_seconds: 0.1
  database_timezone: Asia/Tokyo
  tables:
    camera logs:
      destination: events_of_cameras
      primary_key: log_id
      synced_flag: is_synced
      synced_at: carried_at
      age_column: seen_at
      identity: [key, camera]
      columns:
        key: {template: "log-{log_id}/{level}"}
        camera: camera id
        text: select
        rank: order
        remark: it's "quoted" %s
        level: level
        marks: marks
        mark_list: marks
        price: price
        price_text: price
        share: share
        rough: rough
        doubled: doubled
        described: described
        armed: is_armed
        bits: bits
        bit: bit
        time: at_time
        lasted: lasted
        day: on_day
        year: in_year
        seen: seen_at
        local: local_at
        stamped: stamped_at
        changed: changed_at
        picture: picture
        fingerprint: fingerprint
        code: code
        identifier: identifier
        address: address
        extra: extra
        tags: tags
        numbers: numbers
        moments: moments
        huge: huge
        version: {value: 3}
        source: {value: "camera server"}
        detail: {object: {extra: extra, plain: plain, nested: {json: plain}, price: price, order: order, seen: seen_at}}
"""

SCHEMA = (
    SchemaField("key", "STRING", "REQUIRED"),
    SchemaField("camera", "INT64", "REQUIRED"),
    SchemaField("text", "STRING"),
    SchemaField("rank", "INT64"),
    SchemaField("remark", "STRING"),
    SchemaField("level", "STRING"),
    SchemaField("marks", "STRING"),
    SchemaField("mark_list", "STRING", "REPEATED"),
    SchemaField("price", "NUMERIC"),
    SchemaField("price_text", "STRING"),
    SchemaField("share", "FLOAT64"),
    SchemaField("rough", "FLOAT64"),
    SchemaField("doubled", "INT64"),
    SchemaField("described", "STRING"),
    SchemaField("armed", "BOOL"),
    SchemaField("bits", "INT64"),
    SchemaField("bit", "BOOL"),
    SchemaField("time", "TIME"),
    SchemaField("lasted", "STRING"),
    SchemaField("day", "DATE"),
    SchemaField("year", "INT64"),
    SchemaField("seen", "TIMESTAMP", "REQUIRED"),
    SchemaField("local", "DATETIME"),
    SchemaField("stamped", "TIMESTAMP"),
    SchemaField("changed", "TIMESTAMP"),
    SchemaField("picture", "BYTES"),
    SchemaField("fingerprint", "BYTES"),
    SchemaField("code", "STRING"),
    SchemaField("identifier", "STRING"),
    SchemaField("address", "STRING"),
    SchemaField("extra", "JSON"),
    SchemaField("tags", "STRING", "REPEATED"),
    SchemaField("numbers", "INT64", "REPEATED"),
    SchemaField("moments", "TIMESTAMP", "REPEATED"),
    SchemaField("huge", "NUMERIC"),
    SchemaField("version", "INT64"),
    SchemaField("source", "STRING"),
    SchemaField("detail", "JSON"),
    SchemaField("arrived", "TIMESTAMP"),
)

FULL_ROW = r"""
INSERT INTO `camera logs` (`camera id`, `select`, `order`, `it's "quoted" %s`, level, marks, price, share, rough,
    is_armed, bits, `bit`, at_time, lasted, on_day, in_year, seen_at, local_at, stamped_at, changed_at, picture,
    fingerprint, code, identifier, address, extra, plain, tags, numbers, moments, huge)
VALUES (1, 'from', -3, 'Größe 100%', 'très haut', 'night,blurred', -12345678.0100, 0.1, 1.5, 1,
    b'10000001', b'1', '23:59:59.125', '-100:00:01', '2026-02-28', 2026, '2026-01-05 09:00:00.123456',
    '2026-01-05 09:00:00', '2026-01-05 09:00:00.500', '2026-01-05 09:00:00', x'00ff10', x'01020304', 'code',
    '123e4567-e89b-12d3-a456-426655440000', '2001:db8::1', '{"a": [1, 1.50, null, "日本"]}', '[1, {"b": true}]',
    '["night", "夜", ""]', '[1, -2, 9007199254740993]', '["2026-01-05T09:00:00+09:00", "2026-01-05 09:00:00"]',
    18446744073709551615)
"""

# What is only NOT NULL; the set is empty, and so are text and bytes.
EMPTY_ROW = """
INSERT INTO `camera logs` (`camera id`, `select`, level, marks, price, plain, picture, seen_at, changed_at, tags)
VALUES (2, '', 'low', '', 0, '7', '', '2026-07-01 00:00:00', '2026-01-05 09:00:00', '[]')
"""

MIDNIGHT = datetime(2026, 1, 5, tzinfo=UTC)  # 09:00 in Tokyo
MORNING = datetime(2026, 1, 5, 9, tzinfo=UTC)

EXPECTED_FULL: Row = {
    "key": "log-1/très haut",
    "camera": 1,
    "text": "from",
    "rank": -3,
    "remark": "Größe 100%",
    "level": "très haut",
    "marks": "night,blurred",
    "mark_list": ["night", "blurred"],
    "price": Decimal("-12345678.01"),
    "price_text": "-12345678.0100",
    "share": 0.1,
    "rough": 1.5,
    "doubled": -6,
    "described": "très haut from",
    "armed": True,
    "bits": 129,
    "bit": True,
    "time": time(23, 59, 59, 125_000),
    "lasted": "-100:00:01",
    "day": date(2026, 2, 28),
    "year": 2026,
    "seen": MIDNIGHT.replace(microsecond=123_456),
    "local": datetime(2026, 1, 5, 9),
    "stamped": MORNING.replace(microsecond=500_000),  # TIMESTAMPs are UTC
    "changed": MORNING,
    "picture": b"\x00\xff\x10",
    "fingerprint": b"\x01\x02\x03\x04",
    "code": "code",
    "identifier": "123e4567-e89b-12d3-a456-426655440000",
    "address": "2001:db8::1",
    "extra": {"a": [1, 1.5, None, "日本"]},
    "tags": ["night", "夜", ""],
    "numbers": [1, -2, 9007199254740993],
    "moments": [MIDNIGHT, MIDNIGHT],
    "huge": Decimal(2**64 - 1),
    "version": 3,
    "source": "camera server",
    "detail": {
        "extra": {"a": [1, 1.5, None, "日本"]},
        "plain": '[1, {"b": true}]',
        "nested": [1, {"b": True}],
        "price": -12345678.01,
        "order": -3,
        "seen": "2026-01-05T00:00:00.123456Z",
    },
    "arrived": None,
}

EXPECTED_EMPTY: Row = {
    **dict.fromkeys(EXPECTED_FULL),
    "key": "log-2/low",
    "camera": 2,
    "text": "",
    "level": "low",
    "marks": "",
    "mark_list": [],
    "price": Decimal(0),
    "price_text": "0.0000",
    "described": "low ",
    "seen": datetime(2026, 6, 30, 15, tzinfo=UTC),
    "changed": MORNING,
    "picture": b"",
    "tags": [],
    "numbers": [],
    "moments": [],
    "version": 3,
    "source": "camera server",
    "detail": {
        "extra": None,
        "plain": "7",
        "nested": 7,
        "price": 0,
        "order": None,
        "seen": "2026-06-30T15:00:00Z",
    },
}


def test_another_shape_takes_yaml_only(mariadb: MariaDB, emulator: Emulator, tmp_path: Path) -> None:
    file = tmp_path / "bq_sync.yaml"
    file.write_text(YAML, encoding="utf-8")
    settings = load({"BQ_SYNC_CONFIG": str(file)})
    with make_site(
        mariadb, emulator, settings, CAMERAS, "INSERT INTO cameras (name) VALUES ('a'), ('b')", LOGS
    ) as site:
        site.create("events_of_cameras", SCHEMA, "seen")
        with site.engine.begin() as connection:
            for insert in (FULL_ROW, EMPTY_ROW):
                connection.execution_options(no_parameters=True).exec_driver_sql(insert)
        before = site.read("SELECT * FROM `camera logs` ORDER BY log_id")
        migrate(site, None)
        site.enqueue("camera logs", 2)
        site.run("INSERT INTO cameras (camera_id, name) VALUES (3, 'c')")
        site.run(
            "INSERT INTO `camera logs` (`camera id`, `select`, level, marks, seen_at, plain)"
            " VALUES (3, 'bad', 'high', '', '2026-01-05', 'no JSON')"
        )
        with site.working():
            site.wait_until(lambda: site.read("SELECT COUNT(*) FROM bq_sync_queue") == [(2,)], "the bad row has failed")
            site.wait_until(lambda: site.read("SELECT SUM(is_synced) FROM `camera logs`") == [(2,)], "two are marked")

        sent = sorted(site.sent("events_of_cameras"), key=lambda row: row["camera"])
        assert sent == [EXPECTED_FULL, EXPECTED_EMPTY]
        failed = site.read("SELECT record_id, sync_status, last_error FROM bq_sync_queue WHERE sync_status = 'failed'")
        assert failed == [("3", "failed", "detail: isn't valid JSON")]
        # Marking has changed nothing but the flag and the time of marking.
        after = site.read("SELECT * FROM `camera logs` WHERE log_id < 3 ORDER BY log_id")
        assert [row[:-2] for row in after] == [row[:-2] for row in before]
        marked = "SELECT is_synced, ABS(TIMESTAMPDIFF(SECOND, carried_at, UTC_TIMESTAMP() + INTERVAL 9 HOUR)) < 60"
        assert site.read(f"{marked} FROM `camera logs` ORDER BY log_id") == [(1, 1), (1, 1), (0, None)]
