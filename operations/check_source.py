"""What `bq-sync check` says about one source table: its shape, the user's rights on it, its times."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings, TableSettings
from database.catalogue import read_source_table
from database.facts import (
    ServerFacts,
    columns_filled_by_server,
    newest_time,
)
from database.failures import explain
from database.grants import lacking_rights
from database.identifiers import quote
from mapping.checks import source_problems
from mapping.origins import reads
from mapping.schema import SourceTable
from operations.check_database import grant
from operations.durations import in_words
from operations.findings import Finding, error, ok, warning

AHEAD = timedelta(minutes=5)  # more than clocks differ by


@dataclass(frozen=True, slots=True)
class SourceFacts:
    """One source table.

    Attributes:
        lacking: rights that the user lacks on it.
        filled_by_server: the DATETIME columns that the server itself may set.
        newest: the time of the row with the greatest key, by its DATETIME age column.
    """

    table: SourceTable
    lacking: tuple[str, ...]
    filled_by_server: tuple[str, ...]
    newest: datetime | None


def check_source(
    engine: Engine, name: str, settings: Settings, server: ServerFacts
) -> Generator[Finding, None, SourceTable | None]:
    """The findings; returns the table, None where it can't be read."""
    try:
        with engine.connect() as connection:
            facts = read_source(connection, name, settings)
    except SQLAlchemyError as problem:
        yield error(name, f"the source table can't be read: {explain(problem)}", "mend that, then check again")
        return None
    if facts is None:
        yield error(
            name,
            "the database has no such table, or the user has no right on it",
            "create it, grant the user its rights, or take it out of `tables`",
        )
        return None
    yield from judge_source(facts, settings.tables[name])
    yield judge_rights(facts, settings.tables[name], server)
    yield from judge_times(facts, settings.tables[name], settings, server, datetime.now(UTC))
    return facts.table


def read_source(connection: Connection, name: str, settings: Settings) -> SourceFacts | None:
    """Ask the database. None: it has no such table."""
    table = settings.tables[name]
    source = read_source_table(connection, name)
    if source is None:
        return None
    lacking = lacking_rights(connection, name, _rights(source, table))
    newest = newest_time(connection, source, table, settings.zone or UTC) if "SELECT" not in lacking else None
    return SourceFacts(source, lacking, columns_filled_by_server(connection, name), newest)


def _rights(source: SourceTable, settings: TableSettings) -> dict[str, list[str]]:
    """The columns that each right is needed on, as far as they are there."""
    own = [each for each in (settings.synced_flag, settings.synced_at) if each is not None]
    # Marking a row assigns its ON UPDATE columns to themselves, so that they keep their values.
    marked = [*own, *(column.name for column in source.columns.values() if column.on_update)] if own else []
    read = [settings.primary_key, *([settings.age_column] if settings.age_column else []), *own, *_reads(settings)]
    rights = {"SELECT": _there(source, read), "UPDATE": _there(source, marked)}
    return {right: columns for right, columns in rights.items() if columns}


def _there(source: SourceTable, names: list[str]) -> list[str]:
    return [name for name in dict.fromkeys(names) if name in source.columns]


def _reads(settings: TableSettings) -> Iterator[str]:
    for origin in settings.columns.values():
        yield from reads(origin)


def judge_source(facts: SourceFacts, table: TableSettings) -> Iterator[Finding]:
    """Engine, flag, index and what happens when a row is marked."""
    source, name = facts.table, facts.table.name
    if source.engine.lower() != "innodb":
        fix = f"ALTER TABLE {quote(name)} ENGINE=InnoDB, while nothing writes to it"
        yield error(name, f"its engine is {source.engine}, which has no transactions", fix)
    if table.synced_flag is None:
        yield ok(name, "the source table is there; it is fed by the queue alone, without a flag")
        return
    flag = table.synced_flag.lower()
    there = next((column for column in source.columns if column.lower() == flag), None)
    if there is None:
        return  # `judge_columns` says so
    if source.index_on(there) is not None:
        yield ok(name, f"the source table is there, with its flag {there} and an index on it")
    else:
        yield error(name, f"no index begins with the flag {there}", "run `bq-sync migrate`, which adds one")
    if source.triggers:
        yield warning(
            name,
            f"UPDATE triggers ({', '.join(source.triggers)}) run when a row is marked as sent",
            f"see that they do nothing where only {there} changes",
        )
    kept = [column.name for column in source.columns.values() if column.on_update]
    if kept:
        yield ok(name, f"marking a row leaves its ON UPDATE columns ({', '.join(kept)}) as they are")


def judge_columns(source: SourceTable, settings: TableSettings) -> Iterator[Finding]:
    """What the settings name and the table doesn't have; for when BigQuery's schema isn't known.

    Compiling the mapping finds the same and more.
    """
    for problem in source_problems(settings, source):
        yield error(source.name, problem)
    for column in dict.fromkeys(_reads(settings)):
        if column not in source.columns:
            fix = "correct its name in `columns`, or take it out"
            yield error(source.name, f"the source table has no column {column}, which `columns` names", fix)


def judge_rights(facts: SourceFacts, settings: TableSettings, server: ServerFacts) -> Finding:
    name = facts.table.name
    if facts.lacking:
        return error(
            name, f"the user lacks {', '.join(facts.lacking)} on the table", grant(server, name, facts.lacking)
        )
    marks = settings.synced_flag is not None and settings.synced_flag in facts.table.columns
    return ok(name, "the user may read the table" + (" and mark its rows" if marks else ""))


def judge_times(
    facts: SourceFacts, table: TableSettings, settings: Settings, server: ServerFacts, now: datetime
) -> Iterator[Finding]:
    """Whether DATETIME values can be in the zone that the settings say."""
    name = facts.table.name
    zone = settings.database_timezone or "UTC"
    offset = now.astimezone(settings.zone or UTC).utcoffset() or timedelta()
    used = {*_reads(table), table.age_column}
    filled = [column for column in facts.filled_by_server if column in used]
    if filled and offset != timedelta(seconds=server.zone_offset_seconds):
        yield warning(
            name,
            f"the server may fill in {', '.join(filled)} itself, in its own zone {server.zone}, but they are read as"
            f" {zone}",
            "see what zone the values are in: set database_timezone to it, or have the camera server write them",
        )
    if facts.newest is not None and facts.newest - now > AHEAD:
        yield warning(
            name,
            f"the newest row's {table.age_column} lies {in_words((facts.newest - now).total_seconds())} ahead"
            f" when it is read as {zone}",
            "set database_timezone to the zone that the values are in; if it is right, set the camera server's clock",
        )
