"""The tables of the sample camera server, as it makes them: nothing of bq-sync in them."""

from sqlalchemy import Engine

DETECTION_LOGS = """
CREATE TABLE IF NOT EXISTS detection_logs (
    id BIGINT NOT NULL AUTO_INCREMENT,
    tid VARCHAR(32) NOT NULL,
    fid VARCHAR(32) NOT NULL,
    camera_lacis_id VARCHAR(32) NULL,
    detected_at DATETIME(3) NOT NULL,
    severity INT NULL,
    detection_type VARCHAR(64) NULL,
    bboxes JSON NULL,
    suspicious JSON NULL,
    tags JSON NULL,
    vehicle_ocr JSON NULL,
    face_features JSON NULL,
    snapshot_url VARCHAR(512) NULL,
    PRIMARY KEY (id),
    KEY detected (detected_at),
    KEY camera_detected (camera_lacis_id, detected_at),
    KEY severity (severity, detected_at),
    KEY site (tid, fid, detected_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""

AI_SUMMARY_CACHE = """
CREATE TABLE IF NOT EXISTS ai_summary_cache (
    summary_id BIGINT NOT NULL AUTO_INCREMENT,
    tid VARCHAR(32) NOT NULL,
    fid VARCHAR(32) NOT NULL,
    summary_type ENUM('hourly', 'daily', 'emergency') NOT NULL,
    period_start DATETIME NOT NULL,
    period_end DATETIME NOT NULL,
    summary_text TEXT NULL,
    summary_json JSON NULL,
    detection_count INT NULL,
    severity_max INT NULL,
    camera_ids JSON NULL,
    created_at DATETIME NOT NULL,
    PRIMARY KEY (summary_id),
    KEY period (summary_type, period_start)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""

IS21_LOGS = """
CREATE TABLE IF NOT EXISTS is21_logs (
    id BIGINT NOT NULL AUTO_INCREMENT,
    tid VARCHAR(32) NOT NULL,
    fid VARCHAR(32) NOT NULL,
    camera_lacis_id VARCHAR(32) NULL,
    inferred_at DATETIME(3) NOT NULL,
    model_version VARCHAR(64) NULL,
    primary_event VARCHAR(64) NULL,
    confidence DOUBLE NULL,
    processing_ms INT NULL,
    inference_detail JSON NULL,
    vehicle_ocr JSON NULL,
    face_features JSON NULL,
    PRIMARY KEY (id),
    KEY inferred (inferred_at),
    KEY event (primary_event, inferred_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4
"""


def create_tables(engine: Engine) -> None:
    """Make the three tables, those of them that aren't there."""
    with engine.begin() as connection:
        for statement in (DETECTION_LOGS, AI_SUMMARY_CACHE, IS21_LOGS):
            connection.exec_driver_sql(statement)
