"""Each thing that `check` can find, judged from facts."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.settings import Settings
from database.counting import Count
from database.durability import Durability
from database.facts import OpenBatches, ServerFacts
from database.rowless import Rowless
from database.table_status import TableStatus
from mapping.schema import BigQueryColumn, BigQueryTable, SourceColumn, SourceTable
from operations.check import check_mapping, judge_settings
from operations.check_bigquery import judge_clock, judge_destination, judge_identity, judge_location
from operations.check_database import grant, judge_durability, judge_own_tables, judge_plan, judge_server
from operations.check_queue import judge_queue, judge_unconfigured
from operations.check_source import SourceFacts, judge_columns, judge_rights, judge_source, judge_times
from operations.findings import Finding, Severity
from operations.migrate import MigrationPlan

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
TABLE = {
    "destination": "events",
    "primary_key": "id",
    "age_column": "at",
    "columns": {"event_id": {"template": "det_{id}"}, "tid": "tid", "at": "at"},
}


def settings(table: dict[str, Any] | None = None, **others: Any) -> Settings:
    values = {
        "enabled": True,
        "project_id": "p",
        "dataset_id": "d",
        "database_timezone": "Asia/Tokyo",
        "tables": {"logs": TABLE | (table or {})},
    }
    return Settings.model_validate(values | others)


def server(**changes: Any) -> ServerFacts:
    facts: dict[str, Any] = {
        "user": "bq_sync@%",
        "database": "is22",
        "is_mariadb": True,
        "version": (10, 11),
        "zone": "JST",
        "zone_offset_seconds": 9 * 3600,
        "keeps_utc": False,
        "read_only": False,
        "max_allowed_packet": 16_777_216,
        "engines": {"bq_sync_queue": "InnoDB"},
    }
    return ServerFacts(**(facts | changes))


def column(name: str, data_type: str = "varchar", *, on_update: bool = False) -> SourceColumn:
    return SourceColumn(name, data_type, data_type, nullable=False, on_update=on_update)


def source(*more: SourceColumn, without: tuple[str, ...] = (), **changes: Any) -> SourceTable:
    columns = [
        column("id", "bigint"),
        column("tid"),
        column("at", "datetime"),
        column("synced_to_bq", "tinyint"),
        *more,
    ]
    described: dict[str, Any] = {
        "name": "logs",
        "engine": "InnoDB",
        "columns": {each.name: each for each in columns if each.name not in without},
        "primary_key": ("id",),
        "indexes": {"flag": ("synced_to_bq",)},
    }
    return SourceTable(**(described | changes))


def facts(table: SourceTable | None = None, **changes: Any) -> SourceFacts:
    described: dict[str, Any] = {"table": table or source(), "lacking": (), "filled_by_server": (), "newest": None}
    return SourceFacts(**(described | changes))


def events(**changes: Any) -> BigQueryTable:
    columns = {"event_id": "STRING", "tid": "STRING", "at": "TIMESTAMP"}
    described: dict[str, Any] = {
        "name": "events",
        "columns": {name: BigQueryColumn(name, kind) for name, kind in columns.items()},
        "partition_column": "at",
    }
    return BigQueryTable(**(described | changes))


def bad(findings: Iterable[Finding]) -> Finding:
    """The only finding that isn't ok; it has a fix, or its text ends with one."""
    (found,) = (finding for finding in findings if finding.level is not Severity.OK)
    assert found.fix is not None or ": " in found.text
    return found


def assert_well(findings: Iterable[Finding]) -> None:
    assert [finding for finding in findings if finding.level is not Severity.OK] == []


def test_a_healthy_set_up_has_nothing_to_mend() -> None:
    configured = settings()
    table = configured.tables["logs"]
    assert_well(judge_settings(configured, {}))
    assert_well(judge_server(server(), configured))
    assert_well(judge_durability(Durability(1, 1.0, True, 1), configured))
    assert_well([judge_plan(MigrationPlan("0001", "0001", (), ()))])
    assert_well(judge_own_tables(server(), {"bq_sync_queue": ()}))
    assert_well(judge_source(facts(), table))
    assert_well([judge_rights(facts(), table, server())])
    assert_well(judge_times(facts(filled_by_server=("at",), newest=NOW), table, configured, server(), NOW))
    assert_well(judge_columns(source(), table))
    assert_well(judge_destination("logs", table, events()))
    assert_well(check_mapping("logs", configured, source(), events()))
    assert_well(judge_queue("logs", TableStatus("running", owner_alive=True), OpenBatches(1, 5.0), configured))


def test_settings() -> None:
    disabled = bad(judge_settings(settings(enabled=False), {}))
    assert (disabled.level, "BQ_SYNC_ENABLED=true" in str(disabled.fix)) == (Severity.WARNING, True)
    emulator = bad(judge_settings(settings(), {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:9050"}))
    assert "BIGQUERY_EMULATOR_HOST" in str(emulator.fix)


@pytest.mark.parametrize(
    ("changes", "level", "fix"),
    [
        ({"version": (10, 5)}, Severity.ERROR, "MariaDB 10.6 or newer"),
        ({"is_mariadb": False, "version": (5, 7)}, Severity.ERROR, "MySQL 8.0 or newer"),
        ({"read_only": True}, Severity.ERROR, "primary"),
        ({"max_allowed_packet": 1_048_576}, Severity.WARNING, "1,500,000"),
    ],
)
def test_the_server(changes: dict[str, Any], level: Severity, fix: str) -> None:
    found = bad(judge_server(server(**changes), settings()))
    assert (found.level, fix in str(found.fix)) == (level, True)


def test_without_a_zone_the_server_has_to_keep_utc() -> None:
    unset = settings(database_timezone=None)
    assert "database_timezone" in str(bad(judge_server(server(), unset)).fix)
    assert_well(judge_server(server(zone="UTC", keeps_utc=True), unset))


def test_a_binary_log_that_a_crash_may_cut() -> None:
    unsafe = Durability(1, 1.0, True, 0)
    assert bad(judge_durability(unsafe, settings())).level is Severity.ERROR
    assert bad(judge_durability(unsafe, settings(on_unsafe_durability="lookup_first"))).level is Severity.WARNING
    (flushed,) = judge_durability(Durability(2, 1.0, False, 0), settings())
    assert (flushed.level, "waits 2 s" in flushed.text) == (Severity.OK, True)


@pytest.mark.parametrize("revision", [None, "0000"])
def test_what_isnt_migrated(revision: str | None) -> None:
    found = judge_plan(MigrationPlan(revision, "0001", (), ()))
    assert (found.level, "bq-sync migrate" in str(found.fix)) == (Severity.ERROR, True)


def test_own_tables() -> None:
    engine = bad(judge_own_tables(server(engines={"bq_sync_queue": "MyISAM"}), {"bq_sync_queue": ()}))
    assert engine.fix == "ALTER TABLE `bq_sync_queue` ENGINE=InnoDB"
    right = bad(judge_own_tables(server(), {"bq_sync_queue": ("INSERT", "DELETE")}))
    assert right.fix == "GRANT INSERT, DELETE ON `is22`.`bq_sync_queue` TO 'bq_sync'@'%'"


def test_a_grant_quotes_every_name() -> None:
    assert grant(server(user="o'neil@h", database="a`b"), "t", ("SELECT",)) == (
        "GRANT SELECT ON `a``b`.`t` TO 'o''neil'@'h'"
    )


@pytest.mark.parametrize(
    ("table", "level", "fix"),
    [
        (source(engine="MyISAM"), Severity.ERROR, "ENGINE=InnoDB"),
        (source(indexes={}), Severity.ERROR, "bq-sync migrate"),
        (source(triggers=("audit",)), Severity.WARNING, "synced_to_bq"),
    ],
)
def test_a_source_table(table: SourceTable, level: Severity, fix: str) -> None:
    found = bad(judge_source(facts(table), settings().tables["logs"]))
    assert (found.level, fix in str(found.fix)) == (level, True)


def test_a_table_without_a_flag_needs_no_index() -> None:
    fed_by_queue = settings({"synced_flag": None}).tables["logs"]
    assert_well(judge_source(facts(source(indexes={}, without=("synced_to_bq",))), fed_by_queue))


def test_columns_that_marking_leaves_alone_are_named() -> None:
    table = source(column("changed", "timestamp", on_update=True))
    assert any("changed" in finding.text for finding in judge_source(facts(table), settings().tables["logs"]))


@pytest.mark.parametrize(
    ("table", "names"),
    [
        (source(without=("synced_to_bq",)), "synced_to_bq"),
        (source(without=("tid",)), "tid"),
        (source(primary_key=("id", "tid")), "primary key"),
    ],
)
def test_columns_are_missed_also_without_bigquery(table: SourceTable, names: str) -> None:
    found = bad(judge_columns(table, settings().tables["logs"]))
    assert (found.level, names in found.text) == (Severity.ERROR, True)


def test_rights_on_a_source_table() -> None:
    table = settings().tables["logs"]
    update = judge_rights(facts(lacking=("UPDATE",)), table, server())
    assert (update.level, update.fix) == (Severity.ERROR, "GRANT UPDATE ON `is22`.`logs` TO 'bq_sync'@'%'")


def test_values_that_the_server_fills_in_another_zone() -> None:
    configured = settings()
    in_utc = server(zone="UTC", zone_offset_seconds=0)
    table = configured.tables["logs"]
    found = bad(judge_times(facts(filled_by_server=("at",)), table, configured, in_utc, NOW))
    assert (found.level, "at" in found.text) == (Severity.WARNING, True)
    assert_well(judge_times(facts(filled_by_server=("not_carried",)), table, configured, in_utc, NOW))


def test_a_newest_row_that_lies_ahead() -> None:
    configured = settings(database_timezone="UTC")
    found = bad(
        judge_times(facts(newest=NOW + timedelta(hours=9)), configured.tables["logs"], configured, server(), NOW)
    )
    assert "9 h ahead" in found.text


@pytest.mark.parametrize(
    ("off", "level"),
    [(59, Severity.OK), (-59, Severity.OK), (61, Severity.WARNING), (301, Severity.ERROR), (-301, Severity.ERROR)],
)
def test_the_clock(off: int, level: Severity) -> None:
    assert judge_clock(NOW + timedelta(seconds=off), NOW).level is level


def test_the_location() -> None:
    assert judge_location("p.d", "US", None).level is Severity.OK
    assert judge_location("p.d", "US", "us").level is Severity.OK
    assert judge_location("p.d", "US", "asia-northeast1").level is Severity.WARNING


def test_partitions_that_expire_before_rows_may_go() -> None:
    table = settings().tables["logs"]
    assert bad(judge_destination("logs", table, events(expiration_days=59.0))).level is Severity.ERROR
    assert_well(judge_destination("logs", table, events(expiration_days=60.0)))
    assert_well(judge_destination("logs", settings({"retention_days": None}).tables["logs"], events(expiration_days=1)))
    assert bad(judge_destination("logs", table, events(partition_column=None))).level is Severity.WARNING


def test_an_identity_that_names_the_site() -> None:
    own = settings({"columns": {"event_id": {"template": "{site_id}_{id}"}}}).tables["logs"]
    assert "name this site" in judge_identity("logs", own).text
    assert "{site_id}" in judge_identity("logs", settings().tables["logs"]).text


def test_an_identity_that_does_not_tell_two_rows_apart() -> None:
    finding = judge_identity("logs", settings({"identity": ["tid"]}).tables["logs"])
    assert (finding.level, "the primary key id" in finding.text) == (Severity.WARNING, True)
    assert finding.fix == "add event_id to `identity`, unless no two rows ever have the same tid"


def test_columns_that_dont_fit_and_columns_that_nothing_carries() -> None:
    wrong = events(columns={**events().columns, "tid": BigQueryColumn("tid", "GEOGRAPHY")})
    assert bad(check_mapping("logs", settings(), source(), wrong)).level is Severity.ERROR
    missing = bad(check_mapping("logs", settings(), source(without=("tid",)), events()))
    assert (missing.level, "no column tid" in missing.text) == (Severity.ERROR, True)
    left = bad(check_mapping("logs", settings(), source(column("more")), events()))
    assert (left.level, left.text.endswith(": more")) == (Severity.WARNING, True)
    empty = events(columns={**events().columns, "extra": BigQueryColumn("extra", "STRING")})
    assert bad(check_mapping("logs", settings(), source(), empty)).text.endswith(": extra")


def test_a_table_that_can_not_be_compared_every_day() -> None:
    finding = bad(check_mapping("logs", settings({"age_column": None}), source(), events()))
    assert finding.level is Severity.WARNING
    assert finding.text == "its rows can't be compared by days: neither by `bq-sync verify` nor every day by itself"
    assert finding.fix is not None
    assert finding.fix.startswith("set age_column")


def test_a_shipped_column_without_its_default_is_lost_in_bigquery_and_not_in_an_emulator() -> None:
    columns = {**events().columns, "ingested_at": BigQueryColumn("ingested_at", "TIMESTAMP")}
    shipped = replace(events(columns=columns), name="semantic_events")
    lost = bad(check_mapping("logs", settings(), source(), shipped))
    assert ("lost their defaults: ingested_at" in lost.text, "SET DEFAULT" in str(lost.fix)) == (True, True)
    there = list(check_mapping("logs", settings(storage_endpoint="127.0.0.1:9060"), source(), shipped))
    assert [finding.level for finding in there] == [Severity.OK, Severity.OK]
    assert "ingested_at stays NULL on an emulator" in there[1].text


@pytest.mark.parametrize(
    ("status", "batches", "names"),
    [
        (TableStatus("stopped"), OpenBatches(0, 0.0), "no worker"),
        (TableStatus("blocked", "the table is missing", owner_alive=True), OpenBatches(0, 0.0), "the table is missing"),
        (TableStatus("running", owner_alive=True, failed=Count(3)), OpenBatches(0, 0.0), "3"),
        (TableStatus("running", owner_alive=True, pending=Count(1001)), OpenBatches(0, 0.0), "1,001"),
        (TableStatus("running", owner_alive=True, oldest_pending_age_seconds=7200.0), OpenBatches(0, 0.0), "2 h"),
        (TableStatus("running", owner_alive=True), OpenBatches(1, 901.0), "15 min"),
    ],
)
def test_the_queue(status: TableStatus, batches: OpenBatches, names: str) -> None:
    found = bad(judge_queue("logs", status, batches, settings()))
    assert (found.level, names in found.text) == (Severity.WARNING, True)


def test_queue_items_that_no_configured_table_takes() -> None:
    (found,) = judge_unconfigured({"log": Count(3), "lgos": Count(12_000, is_estimate=True)})
    assert (found.level, "table_name" in str(found.fix)) == (Severity.WARNING, True)
    assert found.text.endswith(": log (3), lgos (about 12,000)")
    (many,) = judge_unconfigured({f"log{number}": Count(1) for number in range(6)})
    assert many.text.endswith("log4 (1) and others")
    assert list(judge_unconfigured({})) == []


def test_an_item_that_waits_for_its_row_is_named_and_no_worker_is_blamed() -> None:
    rowless = Rowless(1, first_item=12, first_record="99", has_flag=True)
    status = TableStatus("running", owner_alive=True, oldest_pending_age_seconds=400.0, rowless=rowless)
    found = bad(judge_queue("logs", status, OpenBatches(0, 0.0), settings()))
    assert "item 12 names record 99" in found.text
    assert "producer" in str(found.fix)


def test_an_item_that_waits_for_its_row_hides_no_table_that_is_stuck() -> None:
    rowless = Rowless(1, first_item=12, first_record="99", has_flag=True)
    status = TableStatus("running", owner_alive=True, oldest_pending_age_seconds=4_000.0, rowless=rowless)
    found = list(judge_queue("logs", status, OpenBatches(0, 0.0), settings()))
    assert [finding.text for finding in found if "the oldest for" in finding.text and finding.level is Severity.WARNING]


def test_failed_rows_are_looked_at_by_command() -> None:
    status = TableStatus("running", owner_alive=True, failed=Count(3))
    fix = str(bad(judge_queue("logs", status, OpenBatches(0, 0.0), settings())).fix)
    assert "`bq-sync failed --table logs`" in fix
    assert "`bq-sync retry --table logs`" in fix


def test_batches_without_a_worker() -> None:
    found = bad(judge_queue("logs", TableStatus("stopped"), OpenBatches(2, 3.0), settings(enabled=False)))
    assert "open batches" in found.text
