"""The query that a look-up asks, and what it refuses to ask."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from bigquery.lookup import Lookup
from bigquery.names import quoted
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass
from delivery.rows import SentRow, SentRows
from mapping.schema import BigQueryColumn, BigQueryTable

TABLE = BigQueryTable(
    name="events",
    columns={
        name: BigQueryColumn(name, kind)
        for name, kind in {"id": "STRING", "tid": "STRING", "at": "TIMESTAMP", "detail": "JSON", "n": "INT64"}.items()
    },
    partition_column="at",
)
SETTINGS = Settings.model_validate(
    {
        "project_id": "p",
        "dataset_id": "d",
        "lookup_max_bytes": 20_000_000,
        "tables": {"logs": {"destination": "events", "primary_key": "id", "columns": {"id": "id"}}},
    }
)
MORNING, EVENING = datetime(2026, 11, 20, 6, tzinfo=UTC), datetime(2026, 11, 20, 18, tzinfo=UTC)


class Client:
    """Keeps what it is asked, and finds nothing."""

    def __init__(self) -> None:
        self.text = ""
        self.config: Any = None

    def query_and_wait(self, text: str, *, job_config: Any, **_: object) -> Iterator[object]:
        self.text, self.config = text, job_config
        return iter(())


def look_up(*rows: SentRow, identity: tuple[str, ...] = ("id", "tid"), partition: str | None = "at") -> Client:
    client = Client()
    stand_in: Any = client
    assert Lookup(stand_in, SETTINGS, TABLE).places_there(SentRows(identity, partition, rows)) == frozenset()
    return client


def test_it_reads_only_the_partitions_and_clusters_concerned() -> None:
    client = look_up(SentRow(1, ("a", None), EVENING), SentRow(2, ("b", "t"), MORNING), SentRow(3, ("c", "t"), None))
    assert client.text == (
        "SELECT `id` AS c0, `tid` AS c1, `at` AS c2 FROM `p.d.events` WHERE (`id` IN UNNEST(@v0))"
        " AND (`tid` IN UNNEST(@v1) OR `tid` IS NULL) AND (`at` BETWEEN @lowest AND @highest OR `at` IS NULL)"
    )
    by_name = {parameter.name: parameter for parameter in client.config.query_parameters}
    assert sorted(by_name["v0"].values) == ["a", "b", "c"]
    assert (by_name["lowest"].value, by_name["highest"].value) == (MORNING, EVENING)
    assert {parameter.name: getattr(parameter, "array_type", None) for parameter in by_name.values()}["v1"] == "STRING"


def test_it_is_bounded_and_never_answered_from_a_cache() -> None:
    client = look_up(SentRow(1, ("a", "t"), MORNING))
    assert (client.config.maximum_bytes_billed, client.config.use_query_cache) == (20_000_000, False)


@pytest.mark.parametrize(
    ("row", "identity", "reason"),
    [
        (SentRow(1, ("a",), MORNING), ("gone",), "no column gone"),
        (SentRow(1, ("{}",), MORNING), ("detail",), "can't be compared"),
        (SentRow(1, (7,), MORNING), ("id",), "id is STRING now, but was int"),
        (SentRow(1, (True,), MORNING), ("n",), "n is INT64 now, but was bool"),
        (SentRow(1, ("a",), datetime(2026, 11, 20)), ("id",), "at is TIMESTAMP now"),
    ],
)
def test_what_cant_be_compared_is_never_called_missing(row: SentRow, identity: tuple[str, ...], reason: str) -> None:
    with pytest.raises(DestinationError, match=reason) as raised:
        look_up(row, identity=identity)
    assert raised.value.failure.error_class is ErrorClass.BLOCKED


def test_names_are_quoted() -> None:
    assert quoted("a`b\\") == "`a\\`b\\\\`"
