"""`bq-sync check`: compares the settings with the database and BigQuery, and tries what a worker will have to do.

Nothing is changed. Every check goes on after another's failure, as far as it can.
"""

import os
from collections.abc import Generator, Iterator, Mapping, Sequence

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from bigquery.connect import connect as connect_bigquery
from bigquery.tables import shipped_defaults
from config.database_url import URL_FORM
from config.settings import Settings, SettingsError
from database.engine import connect as connect_database
from database.facts import ServerFacts
from database.failures import explain
from database.status import Status, read_status
from database.table_status import UNPREPARED
from mapping.compile import MappingError, compile_mapping
from mapping.schema import BigQueryTable, SourceTable
from mapping.verified import side_by_side
from operations.asking import Asking
from operations.check_alerts import check_alerts, check_heartbeat
from operations.check_bigquery import BigQuerySide, check_destination, check_service, check_use, judge_identity
from operations.check_database import check_database
from operations.check_queue import check_queue, judge_unconfigured
from operations.check_retention import check_retention
from operations.check_source import check_source, judge_columns
from operations.findings import Doing, Finding, Report, Severity, error, ok, warning


def run_checks(
    settings: Settings,
    report: Report,
    doing: Doing = lambda _step: None,
    environment: Mapping[str, str] = os.environ,
) -> Severity:
    """Check everything, in about a minute at most.

    Args:
        report: is told each finding as soon as it is there.
        doing: is told what is being done, before each step that may take long.
        environment: where an emulator's address is looked for.

    Returns:
        The worst level found.
    """
    worst = Severity.OK
    for finding in _findings(settings, doing, environment):
        report(finding)
        worst = max(worst, finding.level)
    return worst


def _findings(settings: Settings, doing: Doing, environment: Mapping[str, str]) -> Iterator[Finding]:
    yield from judge_settings(settings, environment)
    yield from check_alerts(settings, doing)
    database = yield from _open_database(settings, doing)
    side = yield from _open_bigquery(settings, doing, environment)
    try:
        status = yield from _read_status(database, settings)
        for name in settings.tables:
            yield from _check_table(name, settings, database, status, side, doing)
        if status is not None:
            yield from judge_unconfigured(status.unconfigured)
        if side is not None:
            yield from check_heartbeat(side)
    finally:
        if database is not None:
            database[0].dispose()
        if side is not None:
            side.clients.close()


def judge_settings(settings: Settings, environment: Mapping[str, str]) -> Iterator[Finding]:
    """What the settings say by themselves; those that are wrong never come so far."""
    if settings.enabled:
        yield ok("settings", f"bq-sync is enabled, for {', '.join(settings.tables)}")
    else:
        fix = "when all is well, set BQ_SYNC_ENABLED=true, or enabled: true in the file"
        yield warning("settings", "bq-sync is disabled and sends nothing", fix)
    if settings.write_method == "insert_all":
        yield ok("settings", "rows are written by insert_all; docs/exactly-once.md says what that can't promise")
    if emulator := environment.get("BIGQUERY_EMULATOR_HOST"):
        fix = "unset BIGQUERY_EMULATOR_HOST and BQ_SYNC_STORAGE_ENDPOINT, unless this is a trial"
        yield warning("settings", f"rows go to an emulator at {emulator}, not to BigQuery", fix)


Database = tuple[Engine, ServerFacts]


def _open_database(settings: Settings, doing: Doing) -> Generator[Finding, None, Database | None]:
    if settings.database_url is None:
        yield error("database", "database_url isn't set", f"set BQ_SYNC_DATABASE_URL={URL_FORM}")
        return None
    engine = connect_database(settings.database_url.get_secret_value(), connections=1)
    server = yield from check_database(engine, settings, doing)
    return None if server is None else (engine, server)


def _open_bigquery(
    settings: Settings, doing: Doing, environment: Mapping[str, str]
) -> Generator[Finding, None, BigQuerySide | None]:
    doing("looking for Google credentials")
    try:
        clients = connect_bigquery(settings, environment)
    except SettingsError as problem:
        for text in problem.problems:
            yield error("BigQuery", text)
        return None
    yield ok("BigQuery", _credentials(settings, environment))
    side = BigQuerySide(settings, clients, Asking(doing))
    yield from check_service(side)
    return side


def _credentials(settings: Settings, environment: Mapping[str, str]) -> str:
    if environment.get("BIGQUERY_EMULATOR_HOST"):
        return "the emulator needs no credentials"
    if settings.credentials_path is None:
        return "Application Default Credentials are there"
    return f"the service account file {settings.credentials_path} is there"


def _read_status(database: Database | None, settings: Settings) -> Generator[Finding, None, Status | None]:
    if database is None:
        return None
    try:
        return read_status(database[0], settings)
    except SQLAlchemyError as problem:
        text = f"what waits in the tables can't be told: {explain(problem)}"
        yield error("database", text, "mend what is said above, then check again")
        return None


def _check_table(
    name: str,
    settings: Settings,
    database: Database | None,
    status: Status | None,
    side: BigQuerySide | None,
    doing: Doing,
) -> Iterator[Finding]:
    source: SourceTable | None = None
    destination: BigQueryTable | None = None
    if database is not None:
        doing(f"reading {name}")
        source = yield from check_source(database[0], name, settings, database[1])
        if source is not None:
            yield from check_retention(database[0], name, settings, database[1])
    if side is not None:
        destination = yield from check_destination(side, name)
    if source is not None and destination is not None:
        yield from check_mapping(name, settings, source, destination)
    elif source is not None:
        yield from judge_columns(source, settings.tables[name])
    yield judge_identity(name, settings.tables[name])
    if side is not None and destination is not None:
        yield from check_use(side, name, destination)
    if database is not None and status is not None and status.tables[name].state != UNPREPARED:
        yield from check_queue(database[0], name, status.tables[name], settings)


def check_mapping(name: str, settings: Settings, source: SourceTable, destination: BigQueryTable) -> Iterator[Finding]:
    """Whether the columns of both sides fit, and what is carried by none of them."""
    table = settings.tables[name]
    site_id = settings.site_id or "site"  # a stand-in: whatever it is, the same columns fit
    try:
        mapping = compile_mapping(name, table, source, destination, settings.zone, site_id)
    except MappingError as problem:
        for text in problem.problems:
            yield error(name, text.removeprefix(f"table {name}: "))
        return
    yield ok(name, f"{len(table.columns)} columns of {destination.name} are filled, and their types fit")
    try:
        side_by_side(name, table, source, destination, site_id)
    except MappingError as problem:
        for text in problem.problems:
            finding, _, fix = text.removeprefix(f"table {name}: ").partition(": ")
            yield warning(name, f"{finding}: neither by `bq-sync verify` nor every day by itself", fix)
    for text in mapping.warnings:
        yield warning(name, text.removeprefix(f"table {name}: "), "change `columns`, or leave it if that is meant")
    if mapping.unmapped_source_columns:
        text = f"source columns that aren't carried: {', '.join(mapping.unmapped_source_columns)}"
        yield warning(name, text, "add them to `columns`, unless they may stay behind")
    yield from _judge_unfilled(name, settings, destination, mapping.unmapped_destination_columns)


def _judge_unfilled(name: str, settings: Settings, table: BigQueryTable, columns: Sequence[str]) -> Iterator[Finding]:
    """About columns of BigQuery's table that nothing is carried to, and that have no default there."""
    shipped = shipped_defaults(table.name)
    defaulted = [column for column in columns if column in shipped]
    if defaulted and settings.storage_endpoint:
        yield ok(name, f"{', '.join(defaulted)} stays NULL on an emulator, which keeps no defaults; BigQuery fills it")
    elif defaulted:
        lost = f"columns of {table.name} that stay NULL, since they lost their defaults: {', '.join(defaulted)}"
        fix = "have its owner give them back: ALTER TABLE ... ALTER COLUMN ... SET DEFAULT CURRENT_TIMESTAMP()"
        yield warning(name, lost, fix)
    if others := [column for column in columns if column not in defaulted]:
        text = f"columns of {table.name} that stay NULL: {', '.join(others)}"
        yield warning(name, text, "add them to `columns`, unless they may stay empty")
