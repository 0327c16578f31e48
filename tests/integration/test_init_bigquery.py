"""`bq-sync init-bigquery` on an emulator."""

import uuid
from collections.abc import Iterator

import pytest
from click.testing import CliRunner
from google.cloud import bigquery

from bigquery.tables import SHIPPED
from cli.main import main
from config.settings import Settings, load
from operations.findings import Finding, Severity
from operations.init_bigquery import init_bigquery
from sandbox.emulator import Emulator
from tests.integration.checking import environment, errors, find

pytestmark = pytest.mark.integration

NO_DATABASE = "mysql+pymysql://bq_sync@127.0.0.1:1/is22"


@pytest.fixture
def variables(emulator: Emulator) -> Iterator[dict[str, str]]:
    """The environment of a dataset that isn't there yet."""
    dataset = f"test_{uuid.uuid4().hex[:12]}"
    yield environment(emulator, dataset, NO_DATABASE)
    emulator.drop_dataset(dataset)


def make(variables: dict[str, str], settings: Settings | None = None) -> tuple[Severity, list[Finding]]:
    findings: list[Finding] = []
    return init_bigquery(settings or load(variables), findings.append, environment=variables), findings


def test_dataset_and_tables_are_made_once(
    variables: dict[str, str], emulator: Emulator, bigquery_client: bigquery.Client
) -> None:
    level, findings = make(variables)
    assert level is Severity.OK
    dataset = f"{emulator.project}.{variables['BQ_SYNC_DATASET_ID']}"
    assert find(findings, "BigQuery", f"dataset {dataset}").text.endswith("created")
    assert bigquery_client.get_dataset(dataset, retry=None, timeout=10).location == "asia-northeast1"
    for name, layout in SHIPPED.items():
        table = bigquery_client.get_table(f"{dataset}.{name}", retry=None, timeout=10)
        assert table.time_partitioning.field == layout.partition_column
    again, findings = make(variables)
    assert again is Severity.OK
    assert find(findings, "BigQuery", "table semantic_events").text.endswith("exists")


def test_a_table_that_is_there_is_left_alone_and_compared(
    variables: dict[str, str], emulator: Emulator, bigquery_client: bigquery.Client
) -> None:
    dataset = f"{emulator.project}.{variables['BQ_SYNC_DATASET_ID']}"
    emulator.create_dataset(variables["BQ_SYNC_DATASET_ID"])
    other = bigquery.Table(f"{dataset}.summaries", schema=[bigquery.SchemaField("summary_id", "STRING")])
    bigquery_client.create_table(other, retry=None, timeout=10)
    level, findings = make(variables)
    assert level is Severity.ERROR
    assert find(findings, "BigQuery", "is in US, but location says asia-northeast1").level is Severity.WARNING
    assert find(findings, "BigQuery", "table summaries").text.endswith("exists")
    assert find(findings, "ai_summary_cache", "column summary_text").level is Severity.ERROR
    assert find(findings, "BigQuery", "table inference_logs").text.endswith("created")
    assert len(bigquery_client.get_table(f"{dataset}.summaries", retry=None, timeout=10).schema) == 1


def test_a_table_that_isnt_shipped(variables: dict[str, str]) -> None:
    shipped = load(variables)
    mine = shipped.tables["is21_logs"].model_copy(update={"destination": "mine"})
    settings = shipped.model_copy(update={"tables": {"is21_logs": mine}})
    level, findings = make(variables, settings)
    assert level is Severity.ERROR
    assert [where for where, _ in errors(findings)] == ["BigQuery"]
    assert find(findings, "BigQuery", "isn't ours to make").fix is not None


def test_without_a_location(variables: dict[str, str]) -> None:
    settings = load(variables).model_copy(update={"location": None})
    level, findings = make(variables, settings)
    assert level is Severity.ERROR
    assert "set location" in str(find(findings, "BigQuery", "can't be made").fix)


def test_the_command(variables: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    runner = CliRunner(env=variables)
    made = runner.invoke(main, ["init-bigquery"])
    assert made.exit_code == 0
    assert "table semantic_events: created" in made.stdout
    nobody = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1", "BQ_SYNC_STORAGE_ENDPOINT": "127.0.0.1:1"}
    assert runner.invoke(main, ["init-bigquery"], env=nobody).exit_code == 1
