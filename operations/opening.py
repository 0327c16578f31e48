"""One table as settings, database and BigQuery describe it at this moment: all that carries it is made of this."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from bigquery.connect import Clients
from bigquery.metadata import read_table
from config.settings import Settings, TableSettings, WriteMethod
from database.catalogue import read_source_table
from database.durability import Durability, read_durability
from database.engine import Engines
from database.failures import explain
from database.server import keeps_utc
from database.site import site_id
from database.source_columns import SourceColumns
from delivery.source import SourceError
from mapping.compile import MappingError, compile_mapping
from mapping.schema import BigQueryTable, SourceTable
from mapping.table import TableMapping


class UnfitError(Exception):
    """The table can't be carried as things are; `problems` has a line for each thing that somebody has to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True, slots=True)
class Opened:
    """Both sides of a table, the mapping between them, and whose rows they are."""

    table: TableSettings
    source: SourceTable
    columns: SourceColumns
    destination: BigQueryTable
    mapping: TableMapping
    site: str
    durability: Durability


def open_both_sides(
    settings: Settings, name: str, engines: Engines, clients: Clients, write_method: WriteMethod | None = None
) -> Opened:
    """Read catalogue and schema.

    Args:
        write_method: what rows are encoded for; None: the configured one.

    Raises:
        UnfitError: with all that has to be mended first.
        SourceError, DestinationError: the database or BigQuery doesn't answer.
    """
    table = settings.tables[name]
    source, durability, site = _read_database(settings, name, engines)
    destination = read_table(clients.rest, settings, table.destination)
    try:
        mapping = compile_mapping(
            name, table, source, destination, settings.zone, site, write_method or settings.write_method
        )
    except MappingError as error:
        raise UnfitError(error.problems) from error
    columns = SourceColumns(table, source, settings.zone, lambda: datetime.now(UTC))
    return Opened(table, source, columns, destination, mapping, site, durability)


def _read_database(settings: Settings, name: str, engines: Engines) -> tuple[SourceTable, Durability, str]:
    problems = []
    try:
        with engines.read.connect() as connection:
            source = read_source_table(connection, name)
            durability = read_durability(connection)
            if settings.zone is None and not keeps_utc(connection):
                problems.append(
                    "database_timezone is not set, and the server's zone isn't UTC: set it, such as Asia/Tokyo"
                )
        site = site_id(engines.write, settings.site_id)
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error
    if source is None:
        problems.append(f"{name}: the database has no such table: create it, or take it out of `tables`")
    elif source.engine.lower() != "innodb":
        problems.append(f"{name}: its engine is {source.engine}, which has no transactions: convert it to InnoDB")
    if durability.may_undo_commits and settings.on_unsafe_durability == "refuse":
        problems.append(
            "the server has a binary log with sync_binlog other than 1, so that a crash may undo any number of commits:"
            " set sync_binlog = 1, or on_unsafe_durability: lookup_first"
        )
    if problems or source is None:
        raise UnfitError(problems)
    return source, durability, site
