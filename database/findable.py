"""By which names waiting rows are found: what the settings name, compared with the database's own catalogue."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, tzinfo

from sqlalchemy import Connection, bindparam, text

from config.settings import TableSettings
from database.flagged import Flagged

_COLUMNS = """
SELECT table_name AS of_table, column_name AS name, data_type AS what FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name IN :names
"""

_INDEXES = """
SELECT table_name AS of_table, column_name AS name, index_name AS what FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name IN :names AND seq_in_index = 1 AND column_name IS NOT NULL
"""

Names = Mapping[str, str]  # names in lower case, since they have none in the database, and what each is


class UnpreparedError(Exception):
    """The source table lacks what its settings name; says what, and the fix."""


def find_flagged(
    connection: Connection, tables: Mapping[str, TableSettings], zone: tzinfo | None
) -> dict[str, Flagged | UnpreparedError | None]:
    """Where each table's waiting rows are found; None: the table is fed by the queue alone.

    Args:
        zone: what DATETIME columns are in; where the configuration doesn't say, the server's is UTC.
    """
    columns = _by_table(connection, _COLUMNS, tables)
    indexes = _by_table(connection, _INDEXES, tables)
    found: dict[str, Flagged | UnpreparedError | None] = {}
    for name, table in tables.items():
        try:
            found[name] = _find(name, table, zone, columns.get(name.lower(), {}), indexes.get(name.lower(), {}))
        except UnpreparedError as error:
            found[name] = error
    return found


def _find(name: str, settings: TableSettings, zone: tzinfo | None, types: Names, indexes: Names) -> Flagged | None:
    if not types:
        raise UnpreparedError(f"{name}: the database has no such table: create it, or take it out of `tables`")
    for wanted in (settings.primary_key, settings.age_column):
        if wanted is not None and wanted.lower() not in types:
            raise UnpreparedError(f"{name}: the table has no column {wanted}: correct its settings")
    if settings.synced_flag is None:
        return None
    flag = settings.synced_flag.lower()
    if flag not in types or flag not in indexes:
        lacking = "column" if flag not in types else "index on"
        raise UnpreparedError(f"{name}: the table has no {lacking} {settings.synced_flag}: run `bq-sync migrate`")
    is_utc = settings.age_column is not None and types[settings.age_column.lower()] == "timestamp"
    return Flagged(
        name=name,
        primary_key=settings.primary_key,
        flag=settings.synced_flag,
        index=indexes[flag],
        age_column=settings.age_column,
        age_zone=UTC if is_utc or zone is None else zone,  # TIMESTAMPs are UTC in our sessions
    )


def _by_table(connection: Connection, query: str, tables: Iterable[str]) -> Mapping[str, Names]:
    """What the catalogue says of each table's columns, by the table's name in lower case."""
    said: defaultdict[str, dict[str, str]] = defaultdict(dict)
    statement = text(query).bindparams(bindparam("names", expanding=True))
    for row in connection.execute(statement, {"names": list(tables)}):
        said[row.of_table.lower()][row.name.lower()] = row.what
    return said
