"""What a camera server sees: rows with all that a real one has, from umlauts and emoji to NULLs and nested JSON.

Each function makes the columns of one row of its table from a random generator and the time (as the database's
DATETIME columns hold it, without a zone).
"""

import json
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

Row = dict[str, Any]
T = TypeVar("T")

CAMERAS = [f"3801AABBCC{number:04X}0001" for number in range(24)]
PLACES = ["駐車場北側", "正面玄関", "搬入口 #2", 'Loading bay "B"', "Übergang Süd", "裏口 🚪"]
EVENTS = ["human", "vehicle", "animal", "camera_lost", "人物不審行動"]
REASONS = ["loitering", "長時間滞在", "face covered", "it's running", "逆走\\逆行"]
REGIONS = ["品川", "横浜", "なにわ", "札幌"]
MODELS = ["is21-v1.8.2", "is21-v1.9.0-rc1", None]


def detection(random: Random, now: datetime) -> Row:
    """A row of detection_logs, about 1 KB."""
    kind = random.choice(EVENTS)
    return {
        "camera_lacis_id": _maybe(random, random.choice(CAMERAS)),
        "detected_at": _milliseconds(now - timedelta(milliseconds=random.randrange(5_000))),
        "severity": _maybe(random, random.randrange(11)),
        "detection_type": kind,
        "bboxes": _json(_boxes(random)),
        "suspicious": _json(_suspicion(random)),
        "tags": _json(_tags(random)),
        "vehicle_ocr": _json(_plate(random) if kind == "vehicle" else None),
        "face_features": _json(_face(random) if kind == "human" else None),
        "snapshot_url": f"https://camera.example/snapshots/{random.getrandbits(64):016x}.jpg?w=1280&q=80",
    }


def summary(random: Random, now: datetime) -> Row:
    """A row of ai_summary_cache: the hour before now, in words and figures."""
    start = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    cameras = random.sample(CAMERAS, random.randrange(5))
    text = "\n".join(f"{random.choice(PLACES)}: {random.choice(REASONS)} ×{random.randrange(9)}" for _ in range(6))
    return {
        "summary_type": random.choice(["hourly", "daily", "emergency"]),
        "period_start": start,
        "period_end": start + timedelta(hours=1),
        "summary_text": _maybe(random, text),
        "summary_json": _json({"places": {place: random.randrange(50) for place in PLACES}, "alerts": []}),
        "detection_count": random.randrange(1_000),
        "severity_max": _maybe(random, random.randrange(11)),
        "camera_ids": _json(cameras),
        "created_at": now.replace(microsecond=0),
    }


def inference(random: Random, now: datetime) -> Row:
    """A row of is21_logs: one run of the model."""
    return {
        "camera_lacis_id": _maybe(random, random.choice(CAMERAS)),
        "inferred_at": _milliseconds(now - timedelta(milliseconds=random.randrange(2_000))),
        "model_version": random.choice(MODELS),
        "primary_event": random.choice(EVENTS),
        "confidence": _maybe(random, random.random()),
        "processing_ms": random.randrange(20, 4_000),
        "inference_detail": _json({"boxes": _boxes(random), "load": [random.random() for _ in range(3)], "gpu": None}),
        "vehicle_ocr": _json(_maybe(random, _plate(random))),
        "face_features": _json(_maybe(random, _face(random))),
    }


def _boxes(random: Random) -> list[Row]:
    return [
        {
            "label": random.choice(EVENTS),
            "score": random.random(),
            "box": [random.randrange(1920), random.randrange(1080), random.randrange(400), random.randrange(400)],
            "zone": {"name": random.choice(PLACES), "armed": random.random() < 0.5},
        }
        for _ in range(random.randrange(9))
    ]


def _suspicion(random: Random) -> Row | None:
    found = {"score": random.randrange(100), "reasons": random.sample(REASONS, 2), "note": 'a "quoted" note\n改行'}
    return _maybe(random, found)


def _tags(random: Random) -> list[str] | None:
    choices = [*PLACES, "night", "", "tab\there"]
    return _maybe(random, random.sample(choices, random.randrange(4)))


def _plate(random: Random) -> Row:
    number = f"{random.randrange(10, 99)}-{random.randrange(99):02d}"
    plate = f"{random.choice(REGIONS)} {random.randrange(100, 600)} あ {number}"
    return {"plate": plate, "confidence": random.random(), "candidates": [plate, None]}


def _face(random: Random) -> Row:
    return {"embedding": [random.uniform(-1, 1) for _ in range(12)], "age": random.randrange(90), "mask": False}


def _maybe(random: Random, value: T) -> T | None:
    return None if random.random() < 0.15 else value


def _json(value: object) -> str | None:
    return None if value is None else json.dumps(value, ensure_ascii=False)


def _milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)
