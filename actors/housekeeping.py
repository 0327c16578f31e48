"""What RetentionActor works with, made for one table from settings, catalogue and BigQuery's schema."""

from datetime import UTC, datetime

from bigquery.compare import TableInBigQuery
from bigquery.confirm import BigQueryConfirming
from bigquery.connect import Clients
from config.settings import Settings, TableSettings
from database.age_columns import AgeColumns
from database.daily_checks import SqlChecks
from database.engine import Engines
from database.key_walk import SqlKeyWalk
from database.old_rows import SqlOldRows
from database.retention_reports import SqlReports
from database.source import SqlSource
from database.source_columns import SourceColumns
from delivery.daily_check import DailyCheck
from delivery.destination import Destination
from delivery.housekeeping import Housekeeping
from delivery.retention import Policy
from delivery.schedule import Daily, daily
from mapping.compile import MappingError
from mapping.identity import compile_identity, identities
from mapping.schema import BigQueryTable, SourceTable
from mapping.verified import reader, side_by_side


def open_housekeeping(
    settings: Settings,
    engines: Engines,
    clients: Clients,
    source: SourceTable,
    destination: BigQueryTable,
    look_ups: Destination,
    site_id: str,
) -> Housekeeping:
    """The table's, which has been opened with these."""
    table, zone = settings.tables[source.name], settings.zone
    columns = SourceColumns(table, source, zone, _now)
    known_by = compile_identity(source.name, table, source, destination, zone, site_id)
    policy = policy_of(settings, table)
    ages = AgeColumns(table, source, columns, zone) if policy.problem is None else None
    return Housekeeping(
        policy,
        SqlOldRows(engines, source.name, ages),
        SqlSource(engines.read, source.name, columns, known_by.source_columns, known_by.key_of),
        identities(known_by),
        BigQueryConfirming(clients, settings, destination.name, look_ups.look_up, _now),
        SqlReports(engines, source.name),
        settings.keep_completed_days,
        settings.keep_ledger_days,
        _now,
        _daily_check(settings, engines, clients, source, columns, destination, site_id),
    )


def _daily_check(
    settings: Settings,
    engines: Engines,
    clients: Clients,
    source: SourceTable,
    columns: SourceColumns,
    destination: BigQueryTable,
    site_id: str,
) -> DailyCheck | None:
    table = settings.tables[source.name]
    try:
        by = side_by_side(source.name, table, source, destination, site_id)
    except MappingError:
        return None  # `bq-sync verify` says why
    known_by = compile_identity(source.name, table, source, destination, settings.zone, site_id, by.columns)
    return DailyCheck(
        SqlKeyWalk(engines.read, source, columns),
        SqlSource(engines.read, source.name, columns, known_by.source_columns, known_by.key_of),
        TableInBigQuery(clients.rest, settings, destination, by, (), settings.lookup_max_bytes),
        reader(known_by, by),
        SqlChecks(engines, source.name),
        settings.verify_days,
        _kept_days(table.retention_days if policy_of(settings, table).problem is None else None, destination),
    )


def _kept_days(here: int | None, destination: BigQueryTable) -> int | None:
    """For how many days both sides keep rows; None: for ever."""
    there = None if destination.expiration_days is None else int(destination.expiration_days)
    return min((days for days in (here, there) if days is not None), default=None)


def policy_of(settings: Settings, table: TableSettings) -> Policy:
    """What the settings say of the table's retention."""
    problem = None
    if table.synced_flag is None:
        problem = "rows are never deleted: without synced_flag nothing in them says that they were sent"
    elif table.age_column is None:
        problem = "rows are never deleted: without age_column nothing says how old they are"
    return Policy(
        table.retention_days, settings.verify_before_delete == "bigquery", settings.retention_chunk_rows, problem
    )


def schedule_of(settings: Settings, site_id: str, table: str) -> Daily | None:
    """When the table's housekeeping is due; None: only when somebody asks."""
    if settings.retention_schedule is None:
        return None
    return daily(settings.retention_schedule, settings.zone, f"{site_id}/{table}")


def _now() -> datetime:
    return datetime.now(UTC)
