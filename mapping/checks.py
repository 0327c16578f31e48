"""What is wrong with a table's settings, seen beside catalogue and BigQuery schema; each in a sentence with its fix."""

import difflib
import re
from collections.abc import Collection, Iterator

from bq_sync_enqueuer.enqueuer import RECORD_ID_LENGTH

from config.settings import TableSettings
from mapping.schema import BigQueryTable, SourceColumn, SourceTable
from mapping.values import TYPES

_DECLARED = re.compile(r"\((\d+)\)")  # how long a text may be
_AGES = {"datetime", "timestamp", "date"}
_FALSE = re.compile(r"0+|b'0+'|false")  # as a column's default stands in the catalogue
_NO_IDENTITY = {"JSON", "FLOAT64"}  # can't be compared, or not reliably


def source_problems(settings: TableSettings, source: SourceTable) -> Iterator[str]:
    """About the columns that bq-sync itself uses: the key, the flag, the row's age."""
    yield from _key_problems(settings, source)
    for setting, name, fix in (
        ("synced_flag", settings.synced_flag, "run `bq-sync migrate`, or set synced_flag: null"),
        ("synced_at", settings.synced_at, "add it to the source table, or set synced_at: null"),
        ("age_column", settings.age_column, "name the column that says how old a row is"),
    ):
        if name is not None and name not in source.columns:
            yield f"{setting} names {name}, which the source table doesn't have: {nearest(name, source.columns)}{fix}"
    flag = source.columns.get(settings.synced_flag or "")
    if flag is not None and not (flag.is_integer or flag.data_type == "bit"):
        yield f"synced_flag names {flag.name} of type {flag.column_type}: it has to be BOOLEAN"
    elif flag is not None:
        yield from _default_problems(source, flag)
    marked = source.columns.get(settings.synced_at or "")
    if marked is not None and marked.data_type not in {"datetime", "timestamp"}:
        yield f"synced_at names {marked.name} of type {marked.column_type}: it has to be DATETIME or TIMESTAMP"
    age = source.columns.get(settings.age_column or "")
    if age is not None and age.data_type not in _AGES:
        yield f"age_column names {age.name} of type {age.column_type}: it has to be DATETIME, TIMESTAMP or DATE"


def _default_problems(source: SourceTable, flag: SourceColumn) -> Iterator[str]:
    """About what the flag reads in rows that come; NOT NULL without a default, whoever inserts them has to say it."""
    if source.is_unfinished(flag):
        yield f"synced_flag names {flag.name}, which isn't finished: run `bq-sync migrate`, which was adding it"
    elif flag.default is None and flag.nullable:
        yield _set_default(source, flag, "NULL: rows that come would be taken for history, and never sent")
    elif flag.default is not None and not _FALSE.fullmatch(flag.default):
        yield _set_default(source, flag, f"{flag.default}: rows that come wouldn't be found")


def _set_default(source: SourceTable, flag: SourceColumn, problem: str) -> str:
    fix = f"ALTER TABLE {source.name} ALTER COLUMN {flag.name} SET DEFAULT 0"
    return f"synced_flag names {flag.name}, whose default is {problem}: {fix}"


def _key_problems(settings: TableSettings, source: SourceTable) -> Iterator[str]:
    if len(source.primary_key) != 1:
        actual = f"({', '.join(source.primary_key)})" if source.primary_key else "missing"
        yield f"the source table's primary key is {actual}: only tables with a primary key of one column can be synced"
        return
    if source.primary_key != (settings.primary_key,):
        actual = source.primary_key[0]
        yield f"the source table's primary key is {actual}, not {settings.primary_key}: set primary_key: {actual}"
        return
    key = source.columns[settings.primary_key]
    if not (key.is_integer or key.is_string):
        yield f"the primary key {key.name} is of type {key.column_type}: it has to be an integer, CHAR or VARCHAR"
    declared = _DECLARED.search(key.column_type)
    if key.is_string and declared is not None and int(declared[1]) > RECORD_ID_LENGTH:
        yield (
            f"the primary key {key.name} is of type {key.column_type}: the queue takes keys of up to {RECORD_ID_LENGTH}"
            f" characters: if all are shorter, make it a VARCHAR({RECORD_ID_LENGTH})"
        )


def destination_problems(settings: TableSettings, destination: BigQueryTable) -> Iterator[str]:
    """About BigQuery's columns: what the settings name has to be there, and what has to be filled has to be named."""
    for name in settings.columns:
        column = destination.columns.get(name)
        if column is None:
            fix = nearest(name, destination.columns) + "add it there, or take it out of `columns`"
            yield f"column {name}: BigQuery's table {destination.name} has no such column: {fix}"
        elif column.type not in TYPES:
            yield f"column {name}: BigQuery's type {column.type} isn't supported: take the column out of `columns`"
    for column in destination.columns.values():
        if column.mode == "REQUIRED" and not column.has_default and column.name not in settings.columns:
            yield f"column {column.name}: is REQUIRED in BigQuery and has no default: map it in `columns`"
    for name in settings.identity_columns:
        column = destination.columns.get(name)
        if column is not None and (column.mode == "REPEATED" or column.type in _NO_IDENTITY):
            kind = "an array" if column.mode == "REPEATED" else column.type
            yield f"column {name}: {kind} can't identify a row: take it out of identity"


def nearest(name: str, names: Collection[str]) -> str:
    """A hint at a name that may be meant, to stand before the fix; empty where none is near."""
    folded = {known.casefold(): known for known in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.7)
    return f"did you mean {folded[near[0]]}? else " if near else ""
