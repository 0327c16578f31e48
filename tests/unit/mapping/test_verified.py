"""What puts rows of both sides side by side, and when two values are the same."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from config.settings import TableSettings
from delivery.both_sides import Reading
from mapping.compile import MappingError, compile_mapping
from mapping.schema import BigQueryColumn, BigQueryTable, SourceColumn, SourceTable
from mapping.verified import KeyCarrier, differing, reader, side_by_side

SOURCE = SourceTable(
    "logs",
    "InnoDB",
    {
        "id": SourceColumn("id", "bigint", "bigint(20)", nullable=False),
        "tid": SourceColumn("tid", "varchar", "varchar(10)", nullable=True),
        "at": SourceColumn("at", "datetime", "datetime", nullable=True),
        "synced_to_bq": SourceColumn("synced_to_bq", "tinyint", "tinyint(1)", nullable=True, default="0"),
    },
    ("id",),
)
DESTINATION = BigQueryTable(
    "events",
    {
        "event_id": BigQueryColumn("event_id", "STRING"),
        "tid": BigQueryColumn("tid", "STRING"),
        "seen_at": BigQueryColumn("seen_at", "TIMESTAMP"),
        "day": BigQueryColumn("day", "DATE"),
    },
    partition_column="day",
)


def table(**values: Any) -> TableSettings:
    columns = {"event_id": {"template": "det_{id}"}, "tid": "tid", "seen_at": "at", **values.pop("columns", {})}
    return TableSettings.model_validate(
        {"destination": "events", "primary_key": "id", "age_column": "at", "columns": columns, **values}
    )


def test_the_key_is_read_back_from_what_stands_around_it() -> None:
    template = {"event_id": {"template": "{site_id}/det_{id}.x"}}
    by = side_by_side("logs", table(columns=template), SOURCE, DESTINATION, "tokyo")
    assert by.key == KeyCarrier(
        DESTINATION.columns["event_id"], "tokyo/det_", ".x", integer=True, unsigned=False, key_of=str
    )
    assert (by.identity_columns, by.scope_columns) == (("event_id", "tid"), ("tid",))


def test_days_are_told_by_the_partitioning_column_where_that_carries_the_age() -> None:
    assert side_by_side("logs", table(), SOURCE, DESTINATION, "").time.name == "seen_at"
    assert side_by_side("logs", table(columns={"day": "at"}), SOURCE, DESTINATION, "").time.name == "day"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"age_column": None}, "can't be compared by days"),
        ({"columns": {"seen_at": {"value": "2026-01-01T00:00:00Z"}}}, "can't be compared by days"),
        ({"columns": {"event_id": {"template": "{tid}_{id}"}}}, "can't be put in order"),
        ({"columns": {"event_id": {"template": "{id}_{id}"}}}, "can't be put in order"),
    ],
)
def test_what_is_lacking_is_said(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(MappingError, match=problem):
        side_by_side("logs", table(**values), SOURCE, DESTINATION, "")


def test_a_row_is_read_with_what_it_is_known_by() -> None:
    settings = table()
    by = side_by_side("logs", settings, SOURCE, DESTINATION, "")
    mapping = compile_mapping("logs", settings, SOURCE, DESTINATION, None, "")
    at = datetime(2026, 11, 1, 23, 59)
    utc = at.replace(tzinfo=UTC)
    reading = reader(mapping, by)((7, "T1", at))
    assert reading == Reading(7, ("det_7", "T1"), ("T1",), utc, ("det_7", "T1", utc))
    assert reading.day == at.date()
    assert reader(mapping, by)((7, "T1", "0000-00-00 00:00:00")) is None


@pytest.mark.parametrize(
    ("kind", "here", "there", "same"),
    [
        ("STRING", "a", "a", True),
        ("STRING", None, None, True),
        ("STRING", "", None, False),
        ("FLOAT64", 0.1 + 0.2, 0.3, False),
        ("FLOAT64", float("nan"), float("nan"), True),
        ("NUMERIC", Decimal("1.500000000"), Decimal("1.5"), True),
        ("TIMESTAMP", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC), False),
        ("JSON", '{"a": 1.0, "b": [1, null]}', {"b": [1, None], "a": 1}, True),
        ("JSON", '{"a": 1}', {"a": True}, False),
        ("JSON", '{"a": 1}', {"a": "1"}, False),
        ("JSON", '{"a": 1}', {"a": 1, "b": None}, False),
        ("JSON", "[1, 2]", [2, 1], False),
        ("JSON", '{"a": 1, "a": 2, "b": [{"c": 3, "c": 4}]}', {"a": 1, "b": [{"c": 3}]}, True),
        ("JSON", '{"a": 1, "a": 2}', {"a": 3}, False),
        ("JSON", "9007199254740993", 9007199254740992, False),
        ("JSON", '"x"', None, False),
        ("JSON", None, {}, False),
    ],
)
def test_when_values_are_the_same(kind: str, here: object, there: object, same: bool) -> None:
    names = differing([BigQueryColumn("before", "STRING"), BigQueryColumn("value", kind)])
    assert list(names(("x", here), ("x", there))) == ([] if same else ["value"])


def test_arrays_are_the_same_item_by_item_and_an_empty_one_is_none() -> None:
    names = differing([BigQueryColumn("tags", "STRING", "REPEATED")])
    assert not names((None,), ([],))
    assert not names((["a", "b"],), (["a", "b"],))
    assert names((["a", "b"],), (["b", "a"],))
    assert names((["a"],), ([],))
