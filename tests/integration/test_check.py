"""`bq-sync check` on a real database and an emulator: a healthy set-up, and each thing that may be broken."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from click.testing import CliRunner
from google.cloud import bigquery
from sqlalchemy import Engine, select

from bigquery import metadata as bigquery_metadata
from cli.main import main
from config.settings import load
from database.engine import connect_unpooled
from database.grants import lacking_rights
from database.locks import lock_name
from database.schema import metadata
from migrations import VERSION_TABLE
from operations.findings import Severity
from sandbox.camera import Camera
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.checking import check, environment, errors, find, prepare

pytestmark = pytest.mark.integration


@pytest.fixture
def variables(emulator: Emulator, shipped_dataset: str, database_url: str, engine: Engine) -> dict[str, str]:
    """The environment of a healthy set-up."""
    variables = environment(emulator, shipped_dataset, database_url)
    prepare(engine, load(variables))
    return variables


def run(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def name_of(engine: Engine) -> str:
    return str(engine.url.database)


def test_a_healthy_set_up_has_no_error(variables: dict[str, str], engine: Engine) -> None:
    Camera(engine).insert_mixed(20)
    findings = check(variables)
    assert errors(findings) == []
    assert find(findings, "detection_logs", "may write").level is Severity.OK
    assert find(findings, "detection_logs", "may query").level is Severity.OK
    assert find(findings, "detection_logs", "their types fit").level is Severity.OK
    assert find(findings, "is21_logs", "rows waiting").level is Severity.OK


def test_with_insert_all_writing_is_tried_without_writing(
    variables: dict[str, str], bigquery_client: bigquery.Client, shipped_dataset: str
) -> None:
    findings = check(variables | {"BQ_SYNC_WRITE_METHOD": "insert_all"})
    assert errors(findings) == []
    assert find(findings, "detection_logs", "may write").level is Severity.OK
    assert find(findings, "settings", "insert_all").level is Severity.OK
    assert list(bigquery_client.list_rows(f"{shipped_dataset}.semantic_events", timeout=10)) == []


def test_checking_changes_nothing(variables: dict[str, str], engine: Engine) -> None:
    def picture() -> list[object]:
        with engine.connect() as connection:
            return [connection.execute(select(table)).all() for table in metadata.sorted_tables]

    before = picture()
    check(variables)
    assert picture() == before


def test_a_fresh_database_asks_for_migrate(
    emulator: Emulator, shipped_dataset: str, database_url: str, engine: Engine
) -> None:
    findings = check(environment(emulator, shipped_dataset, database_url))
    assert "bq-sync migrate" in str(find(findings, "database", "tables aren't there").fix)
    assert find(findings, "detection_logs", "no such table").level is Severity.ERROR


def test_what_a_source_table_lacks(variables: dict[str, str], engine: Engine) -> None:
    run(
        engine,
        "ALTER TABLE detection_logs DROP COLUMN severity",
        "ALTER TABLE ai_summary_cache DROP COLUMN synced_to_bq",
        "ALTER TABLE is21_logs DROP INDEX bq_sync_flag",
    )
    findings = check(variables)
    assert find(findings, "detection_logs", "no column severity").level is Severity.ERROR
    assert "bq-sync migrate" in find(findings, "ai_summary_cache", "synced_flag names synced_to_bq").text
    assert "bq-sync migrate" in str(find(findings, "is21_logs", "no index").fix)


def test_a_table_without_transactions(variables: dict[str, str], engine: Engine) -> None:
    run(engine, "ALTER TABLE is21_logs ENGINE=MyISAM", "ALTER TABLE bq_sync_batch ENGINE=MyISAM")
    findings = check(variables)
    assert find(findings, "is21_logs", "engine is MyISAM").level is Severity.ERROR
    assert find(findings, "database", "bq_sync_batch's engine is MyISAM").level is Severity.ERROR


def test_triggers_and_columns_that_the_server_fills_in(variables: dict[str, str], engine: Engine) -> None:
    run(
        engine,
        "CREATE TRIGGER audit BEFORE UPDATE ON detection_logs FOR EACH ROW SET NEW.severity = NEW.severity",
        "ALTER TABLE detection_logs ADD COLUMN changed_at DATETIME ON UPDATE CURRENT_TIMESTAMP",
        "ALTER TABLE is21_logs MODIFY inferred_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)",
    )
    findings = check(variables)  # the configuration says Asia/Tokyo, and the server keeps UTC
    assert find(findings, "detection_logs", "triggers (audit)").level is Severity.WARNING
    assert find(findings, "detection_logs", "changed_at) as they are").level is Severity.OK
    assert find(findings, "detection_logs", "source columns that aren't carried: changed_at").level is Severity.WARNING
    assert find(findings, "is21_logs", "fill in inferred_at").level is Severity.WARNING


def test_a_wrong_zone_shows_in_the_newest_row(variables: dict[str, str], engine: Engine) -> None:
    Camera(engine).insert_detections(3)  # in Asia/Tokyo
    findings = check(variables | {"BQ_SYNC_DATABASE_TIMEZONE": "UTC"})
    assert "9 h ahead" in find(findings, "detection_logs", "newest row").text


@contextmanager
def user(mariadb: MariaDB, *grants: str) -> Iterator[str]:
    """The name of a user with no other rights than these."""
    mariadb.execute("CREATE USER frugal IDENTIFIED BY 'frugal'", *(f"{grant} TO frugal" for grant in grants))
    try:
        yield "frugal"
    finally:
        mariadb.execute("DROP USER frugal")


def test_a_user_with_the_least_rights(variables: dict[str, str], engine: Engine, mariadb: MariaDB) -> None:
    database = name_of(engine)
    grants = [
        *(f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.{table}" for table in metadata.tables),
        f"GRANT SELECT, DELETE, UPDATE (synced_to_bq) ON `{database}`.detection_logs",
        f"GRANT SELECT, UPDATE (synced_to_bq) ON `{database}`.ai_summary_cache",
        f"GRANT SELECT, UPDATE (confidence) ON `{database}`.is21_logs",
    ]
    with user(mariadb, *grants) as frugal:
        findings = check(variables | {"BQ_SYNC_DATABASE_URL": mariadb.url(database, user=frugal, password=frugal)})
    lacking = find(findings, "is21_logs", "the user lacks UPDATE")
    assert errors(findings) == [("is21_logs", lacking.text)]
    assert lacking.fix == f"GRANT UPDATE ON `{database}`.`is21_logs` TO 'frugal'@'%'"
    without = [finding.where for finding in findings if "lacks DELETE" in finding.text]
    assert without == ["ai_summary_cache", "is21_logs"]
    assert find(findings, "ai_summary_cache", "lacks DELETE").level is Severity.WARNING
    assert find(findings, "database", f"lacks SELECT on {VERSION_TABLE}").level is Severity.WARNING


def test_a_user_without_rights_on_own_tables(variables: dict[str, str], engine: Engine, mariadb: MariaDB) -> None:
    database = name_of(engine)
    with user(mariadb, f"GRANT SELECT ON `{database}`.*") as frugal:
        findings = check(variables | {"BQ_SYNC_DATABASE_URL": mariadb.url(database, user=frugal, password=frugal)})
    assert "GRANT INSERT, UPDATE, DELETE" in str(find(findings, "database", "on bq_sync_queue").fix)


def test_rights_are_asked_for_names_of_any_kind(engine: Engine) -> None:
    run(engine, "CREATE TABLE `odd %% ``name` (`a %%s b` INT)")
    every = {"SELECT": ["a %s b"], "UPDATE": ["a %s b"], "INSERT": [], "DELETE": []}
    with engine.connect() as connection:
        assert lacking_rights(connection, "odd % `name", every) == ()


def test_a_database_that_isnt_there(variables: dict[str, str], mariadb: MariaDB, engine: Engine) -> None:
    refused = mariadb.url(name_of(engine), password="hush")
    findings = check(variables | {"BQ_SYNC_DATABASE_URL": refused})
    assert find(findings, "database", "refuses user or password").level is Severity.ERROR
    assert not any("hush" in f"{finding.text}{finding.fix}" for finding in findings)
    down = "mysql+pymysql://bq_sync:hush@127.0.0.1:1/is22"
    findings = check(variables | {"BQ_SYNC_DATABASE_URL": down})
    assert find(findings, "database", "can't be reached").level is Severity.ERROR
    assert find(findings, "detection_logs", "may write").level is Severity.OK  # the other side is checked all the same


def test_without_a_database_url(variables: dict[str, str]) -> None:
    del variables["BQ_SYNC_DATABASE_URL"]
    assert "BQ_SYNC_DATABASE_URL" in str(find(check(variables), "database", "isn't set").fix)


def test_what_waits_and_who_works(variables: dict[str, str], engine: Engine) -> None:
    Camera(engine).insert_detections(5)
    run(
        engine,
        "UPDATE detection_logs SET detected_at = '2026-01-01'",
        "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES ('is21_logs', '1', 'failed')",
        "INSERT INTO bq_sync_batch (table_name, state, row_count, sent_rows) VALUES ('is21_logs', 'begun', 1, '')",
    )
    with connect_unpooled(engine.url).connect() as worker:
        worker.exec_driver_sql(f"DO GET_LOCK('{lock_name(name_of(engine), 'detection_logs')}', 0)")
        findings = check(variables)
    assert find(findings, "detection_logs", "a worker owns the table").level is Severity.OK
    assert find(findings, "detection_logs", "rows waiting").level is Severity.WARNING
    assert find(findings, "is21_logs", "no worker is running").level is Severity.WARNING
    assert "bq-sync failed --table is21_logs" in str(find(findings, "is21_logs", "failed rows").fix)
    assert find(findings, "is21_logs", "open batches").level is Severity.WARNING


def test_items_of_tables_that_arent_configured(variables: dict[str, str], engine: Engine) -> None:
    run(
        engine,
        "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('detection_log', '1'), ('detection_log', '2'),"
        " ('is21_logs', '1')",
        "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES ('former', '1', 'completed')",
    )
    found = find(check(variables), "database", "table_name isn't configured")
    assert (found.level, found.text.endswith(": detection_log (2)")) == (Severity.WARNING, True)


def test_a_missing_dataset(variables: dict[str, str]) -> None:
    findings = check(variables | {"BQ_SYNC_DATASET_ID": "nowhere"})
    assert errors(findings) == [("BigQuery", "dataset mobesorder.nowhere doesn't exist")]
    assert find(findings, "detection_logs", "the dataset doesn't exist").level is Severity.WARNING


def test_a_missing_table_and_wrong_ones(
    variables: dict[str, str], emulator: Emulator, bigquery_client: bigquery.Client
) -> None:
    dataset = f"{emulator.project}.{variables['BQ_SYNC_DATASET_ID']}"
    for table in ("semantic_events", "summaries", "inference_logs"):
        bigquery_client.delete_table(f"{dataset}.{table}", retry=None, timeout=10)
    text = [bigquery.SchemaField(name, "STRING") for name in ("summary_id", "tid", "fid")]
    bigquery_client.create_table(bigquery.Table(f"{dataset}.summaries", schema=text), retry=None, timeout=10)
    columns = load(variables).tables["is21_logs"].columns
    expiring = bigquery.Table(
        f"{dataset}.inference_logs",
        schema=[
            bigquery.SchemaField(
                name, "TIMESTAMP" if name == "inferred_at" else "FLOAT64" if name == "tid" else "STRING"
            )
            for name in columns
        ],
    )
    expiring.time_partitioning = bigquery.TimePartitioning(
        field="inferred_at", expiration_ms=30 * bigquery_metadata.DAY_MS
    )
    bigquery_client.create_table(expiring, retry=None, timeout=10)
    findings = check(variables)
    assert "init-bigquery" in str(find(findings, "detection_logs", "no table semantic_events").fix)
    assert find(findings, "ai_summary_cache", "column summary_text").level is Severity.ERROR
    assert find(findings, "ai_summary_cache", "isn't partitioned").level is Severity.WARNING
    assert find(findings, "is21_logs", "after 30 days").level is Severity.ERROR
    assert find(findings, "is21_logs", "column tid: FLOAT64").level is Severity.ERROR


def test_bigquery_is_down(variables: dict[str, str], engine: Engine) -> None:
    run(engine, "ALTER TABLE detection_logs DROP COLUMN severity")
    nobody = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1", "BQ_SYNC_STORAGE_ENDPOINT": "127.0.0.1:1"}
    findings = check(variables | nobody)
    assert "127.0.0.1:1" in str(find(findings, "BigQuery", "can't be reached").fix)
    assert find(findings, "detection_logs", "no column severity").level is Severity.ERROR


def test_only_the_storage_write_api_is_down(variables: dict[str, str]) -> None:
    findings = check(variables | {"BQ_SYNC_STORAGE_ENDPOINT": "127.0.0.1:1"})
    assert find(findings, "detection_logs", "can't write").level is Severity.ERROR
    assert find(findings, "is21_logs", "the Storage Write API doesn't answer").level is Severity.WARNING
    assert find(findings, "is21_logs", "may query").level is Severity.OK


def test_bigquery_doesnt_answer(variables: dict[str, str], emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bigquery_metadata, "CALL_SECONDS", 0.5)
    emulator.freeze()
    try:
        findings = check(variables)
    finally:
        emulator.thaw()
    assert find(findings, "BigQuery", "doesn't answer").level is Severity.ERROR
    assert len(errors(findings)) == 1


def test_credentials_that_arent_there(variables: dict[str, str]) -> None:
    del variables["BIGQUERY_EMULATOR_HOST"], variables["BQ_SYNC_STORAGE_ENDPOINT"]
    findings = check(variables | {"BQ_CREDENTIALS_PATH": "/nowhere/key.json"})
    assert find(findings, "BigQuery", "BQ_CREDENTIALS_PATH: /nowhere/key.json").level is Severity.ERROR
    assert find(findings, "detection_logs", "the source table is there").level is Severity.OK


def test_the_command(variables: dict[str, str], engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    runner = CliRunner(env=variables)
    lines = runner.invoke(main, ["check"])
    assert lines.exit_code == 0
    assert lines.stdout.startswith("settings\n  ok ")
    assert "\ndetection_logs\n" in lines.stdout
    assert runner.invoke(main, ["check", "--strict"]).exit_code == 1
    run(engine, "ALTER TABLE detection_logs DROP COLUMN severity")
    broken = runner.invoke(main, ["check", "--json"])
    document = json.loads(broken.stdout)
    assert (broken.exit_code, document["level"]) == (1, "error")
    assert {"level", "where", "text", "fix"} == set(document["findings"][0])
