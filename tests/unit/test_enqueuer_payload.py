"""Payloads: what a BigQuery row becomes as JSON text, and what is refused."""

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

import pytest
from bq_sync_enqueuer.payload import PayloadError, to_json


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (2**63, "9223372036854775808"),
        (0.1, "0.1"),
        ("猫 \u0000", '"猫 \\u0000"'),
        (Decimal("1E+3"), '"1000"'),
        (Decimal("0.10"), '"0.10"'),
        (b"\x00\xff", '"AP8="'),
        (datetime(2026, 1, 2, 3, 4, 5, 6), '"2026-01-02T03:04:05.000006"'),
        (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), '"2026-01-02T03:04:05+00:00"'),
        (datetime(2026, 1, 2, 3, tzinfo=timezone(timedelta(hours=9))), '"2026-01-01T18:00:00+00:00"'),
        (date(2026, 1, 2), '"2026-01-02"'),
        (time(3, 4, 5), '"03:04:05"'),
        ({"nested": [1, (2, {"a": None})]}, '{"nested":[1,[2,{"a":null}]]}'),
    ],
)
def test_values(value: object, text: str) -> None:
    assert to_json({"column": value}) == f'{{"column":{text}}}'
    json.loads(to_json({"column": value}))


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"score": float("nan")}, r"payload\.score isn't a finite number"),
        ({"score": [1.0, float("-inf")]}, r"payload\.score\[1\] isn't a finite number"),
        ({"score": Decimal("NaN")}, r"payload\.score isn't a finite number"),
        ({"tags": {"a", "b"}}, r"payload\.tags is of type set"),
        ({"detail": {1: "x"}}, r"payload\.detail has a key of type int"),
        ({"name": "\ud83d"}, r"payload\.name holds half of a surrogate pair"),
    ],
)
def test_what_json_cannot_hold(payload: dict[str, object], message: str) -> None:
    with pytest.raises(PayloadError, match=message):
        to_json(payload)
