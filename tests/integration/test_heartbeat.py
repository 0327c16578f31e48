"""Heartbeats in the emulator, and the queries of docs/alerts.md over them."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.cloud.bigquery import Client, SchemaField, Table

from bigquery.connect import Clients, connect
from bigquery.heartbeat import HeartbeatTable
from bigquery.metadata import create_table
from config.settings import Settings, load
from database.counting import Count
from database.status import Status
from database.table_status import TableStatus
from delivery.errors import DestinationError
from operations.findings import Finding, Severity
from operations.health import Health, Kind, Reason, Sight, unreachable
from operations.heartbeat import send_heartbeat
from operations.init_bigquery import init_bigquery
from sandbox.emulator import Emulator
from tests.integration.checking import check, environment, find

pytestmark = pytest.mark.integration

DOCS = Path(__file__).parents[2] / "docs" / "alerts.md"
NO_DATABASE = "mysql+pymysql://bq_sync@127.0.0.1:1/is22"
NOW = datetime.now(UTC)
TABLE = TableStatus(
    "running", pending=Count(3), failed=Count(1), oldest_pending_age_seconds=4.5, last_sync_at=NOW - timedelta(hours=1)
)
WELL = Sight(Health(), Status(NOW, {"logs": TABLE, "summaries": TableStatus("running", pending=Count(4))}))
FAILED = Sight(Health((Reason(Kind.FAILED, "11 rows failed"),)), WELL.status)


@pytest.fixture
def variables(emulator: Emulator, dataset: str) -> dict[str, str]:
    return environment(emulator, dataset, NO_DATABASE, BQ_SYNC_HEARTBEAT_TABLE="beats")


@pytest.fixture
def settings(variables: dict[str, str]) -> Settings:
    return load(variables)


@pytest.fixture
def clients(settings: Settings, variables: dict[str, str]) -> Iterator[Clients]:
    clients = connect(settings, variables)
    yield clients
    clients.close()


@pytest.fixture
def table(clients: Clients, settings: Settings) -> HeartbeatTable:
    create_table(clients.rest, settings, "beats")
    return HeartbeatTable(clients.rest, settings)


def query(number: int, settings: Settings, client: Client) -> list[dict[str, object]]:
    """What a query of the documentation finds."""
    sql = re.findall(r"```sql\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)[number]
    named = sql.replace("mobesorder.paraclate.heartbeats", f"{settings.project_id}.{settings.dataset_id}.beats")
    assert named != sql
    return [dict(row) for row in client.query_and_wait(named)]


def test_a_heartbeat_says_how_the_site_fares(
    table: HeartbeatTable, settings: Settings, bigquery_client: Client
) -> None:
    send_heartbeat(table.write, "1.0", "tokyo-3", WELL, NOW)
    (row,) = bigquery_client.query_and_wait(f"SELECT * FROM `{settings.project_id}.{settings.dataset_id}.beats`")
    assert dict(row) == {
        "site": "tokyo-3",
        "sent_at": NOW,
        "version": "1.0",
        "level": "healthy",
        "reasons": [],
        "last_sync_at": NOW - timedelta(hours=1),
        "pending": 7,
        "failed": 1,
        "oldest_pending_age_seconds": 4.5,
    }


def test_the_documented_queries_find_silent_and_unhealthy_sites(
    table: HeartbeatTable, settings: Settings, bigquery_client: Client
) -> None:
    def beat(site: str, sight: Sight, hours_ago: float) -> None:
        send_heartbeat(table.write, "1.0", site, sight, NOW - timedelta(hours=hours_ago))

    beat("lively", FAILED, 1.1)
    beat("lively", WELL, 0.1)
    beat("silent", WELL, 9)
    beat("silent", WELL, 8)
    beat("given-up", WELL, 24 * 40)
    beat("ill", WELL, 1.2)
    beat("ill", Sight(unreachable("the database can't be reached")), 0.2)
    assert [row["site"] for row in query(0, settings, bigquery_client)] == ["silent"]
    (ill,) = query(1, settings, bigquery_client)
    assert (ill["site"], ill["level"], ill["pending"]) == ("ill", "unhealthy", None)
    assert ill["reasons"] == ["the database can't be reached"]


def test_init_makes_the_table_and_check_finds_it(variables: dict[str, str], bigquery_client: Client) -> None:
    settings = load(variables)
    assert find(check(variables), "heartbeat", "no table beats").level is Severity.ERROR
    findings: list[Finding] = []
    init_bigquery(settings, findings.append, environment=variables)
    assert find(findings, "BigQuery", "table beats").text == "table beats: created"
    assert find(findings, "heartbeat", "beats").level is Severity.OK
    made = bigquery_client.get_table(f"{settings.project_id}.{settings.dataset_id}.beats", retry=None, timeout=10)
    assert (made.time_partitioning.field, made.clustering_fields) == ("sent_at", ["site"])


def test_a_table_of_another_shape_is_an_error(
    variables: dict[str, str], settings: Settings, bigquery_client: Client
) -> None:
    name = f"{settings.project_id}.{settings.dataset_id}.beats"
    columns = [SchemaField("site", "INTEGER"), SchemaField("sent_at", "TIMESTAMP"), SchemaField("more", "STRING")]
    bigquery_client.create_table(Table(name, schema=columns), retry=None, timeout=10)
    text = find(check(variables), "heartbeat", "can't take heartbeats").text
    assert "site, version, level, reasons" in text
    assert "more" not in text


def test_a_table_that_isnt_there_is_an_error_that_can_be_told(settings: Settings, clients: Clients) -> None:
    with pytest.raises(DestinationError):
        send_heartbeat(HeartbeatTable(clients.rest, settings).write, "1.0", "tokyo-3", WELL, NOW)
