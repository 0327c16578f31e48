"""The fake of BigQuery says what the real one is documented to say, as Google's own client sees it."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import requests
from google.api_core import exceptions as api
from google.cloud import bigquery

from sandbox.emulator import Emulator
from tests.fakes.append_faults import Quota
from tests.fakes.bigquery_service import BigQueryService, bigquery_service
from tests.fakes.clock import FakeClock
from tests.fakes.rest import REQUEST_BYTES, REQUEST_ROWS
from tests.fakes.rest_faults import http_error, limited, refuse_rows, reset, reset_after

pytestmark = pytest.mark.integration

SCHEMA = (bigquery.SchemaField("id", "INT64", "REQUIRED"), bigquery.SchemaField("name", "STRING"))
Inserted = list[Mapping[str, Any]]


@pytest.fixture(scope="module")
def service(emulator: Emulator) -> Iterator[BigQueryService]:
    with bigquery_service(emulator) as service:
        yield service


class Table:
    """A table as a plain client sees it through the service; `ids` looks past it."""

    def __init__(self, service: BigQueryService, dataset: str) -> None:
        self.service = service
        self.path = f"{service.emulator.project}.{dataset}.some"
        self._client = service.client()
        self._client.create_table(bigquery.Table(self.path, schema=SCHEMA))
        self._through = service.client()
        self._through._connection.API_BASE_URL = service.rest.url

    def insert(self, *rows: Mapping[str, Any], ids: list[str] | None = None) -> Inserted:
        """The insertErrors. `ids`: the rows' insertIds."""
        given = bigquery.AutoRowIDs.DISABLED if ids is None else ids
        inserted: Inserted = self._through.insert_rows_json(self.path, rows, given, retry=None, timeout=10)
        return inserted

    def ids(self) -> list[int]:
        return sorted(row["id"] for row in self._client.query_and_wait(f"SELECT id FROM `{self.path}`"))

    def close(self) -> None:
        self._client.close()
        self._through.close()


@pytest.fixture
def table(service: BigQueryService, dataset: str) -> Iterator[Table]:
    table = Table(service, dataset)
    yield table
    service.rest.inserts.end()
    table.close()


def test_an_insert_id_is_recognised_within_a_request_and_across_requests(table: Table) -> None:
    assert table.insert({"id": 1}, {"id": 2}, {"id": 1}, ids=["a", "b", "a"]) == []
    assert table.insert({"id": 2}, {"id": 3}, ids=["b", "c"]) == []
    assert table.insert({"id": 9}, ids=["a"]) == []  # two rows with one insertId: one of them vanishes
    assert table.ids() == [1, 2, 3]


def test_an_insert_id_is_forgotten_after_its_window_and_rows_without_one_are_all_new(table: Table) -> None:
    table.insert({"id": 1}, ids=["a"])
    table.service.rest.end_window()
    table.insert({"id": 1}, ids=["a"])
    table.insert({"id": 2})
    table.insert({"id": 2})
    assert table.ids() == [1, 1, 2, 2]


def test_one_bad_row_stops_the_others(table: Table) -> None:
    answer = table.insert({"id": 1}, {"name": "b"}, {"id": 3, "age": 3})
    assert [(row["index"], row["errors"][0]["reason"], row["errors"][0]["location"]) for row in answer] == [
        (0, "stopped", ""),
        (1, "invalid", ""),
        (2, "invalid", "age"),
    ]
    assert [row["errors"][0]["message"] for row in answer] == ["", "Missing required field: id.", "no such field: age."]
    table.service.rest.inserts.add(refuse_rows(lambda row: row["id"] == 2, "name", "too rude"))
    (stopped, guilty) = table.insert({"id": 1}, {"id": 2}, ids=["a", "b"])
    assert stopped["errors"][0]["reason"] == "stopped"
    assert guilty["errors"] == [{"reason": "invalid", "location": "name", "debugInfo": "", "message": "too rude"}]
    assert table.ids() == []
    assert table.insert({"id": 1}, ids=["a"]) == []  # what was refused isn't remembered
    assert table.ids() == [1]


@pytest.mark.parametrize(
    ("rows", "status", "reason"),
    [
        pytest.param([{"id": 1, "name": "x" * REQUEST_BYTES}], 400, "badRequest", id="bytes"),
        pytest.param([{"id": 1, "name": "x" * 2 * REQUEST_BYTES}], 413, "requestTooLarge", id="far more bytes"),
        pytest.param([{"id": 1}] * (REQUEST_ROWS + 1), 400, "invalid", id="rows"),
    ],
)
def test_a_request_has_limits(table: Table, rows: list[Mapping[str, Any]], status: int, reason: str) -> None:
    with pytest.raises(api.GoogleAPICallError) as raised:
        table.insert(*rows)
    assert (raised.value.code, raised.value.errors[0]["reason"]) == (status, reason)
    assert table.ids() == []


def test_errors_come_before_or_after_the_rows_were_written(table: Table) -> None:
    faults = (
        http_error(503, "backendError"),
        http_error(500, "internalError", carried_out=True),
        http_error(502, None),
    )
    table.service.rest.inserts.add(*faults)
    for id_, error in enumerate((api.ServiceUnavailable, api.InternalServerError, api.BadGateway)):
        with pytest.raises(error):
            table.insert({"id": id_})
    table.insert({"id": 3})
    assert table.ids() == [1, 3]


def test_a_connection_is_reset_before_or_after_the_rows_were_written(table: Table) -> None:
    table.service.rest.inserts.add(reset, reset_after)
    for id_ in (1, 2):
        with pytest.raises(requests.ConnectionError):
            table.insert({"id": id_})
    assert table.ids() == [2]


def test_a_quota_eases(table: Table) -> None:
    clock = FakeClock()
    table.service.rest.inserts.last(limited(Quota(2, 60, clock.monotonic)))
    assert table.insert({"id": 1}, {"id": 2}) == []
    with pytest.raises(api.Forbidden, match="Exceeded rate limits"):
        table.insert({"id": 3})
    clock.now += 60
    assert table.insert({"id": 3}) == []
    assert table.ids() == [1, 2, 3]


def test_a_missing_table_is_not_found(table: Table) -> None:
    table.path += "_missing"
    with pytest.raises(api.NotFound):
        table.insert({"id": 1})
