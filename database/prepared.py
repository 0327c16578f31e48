"""Whether the database has what this version of bq-sync needs of its own."""

from sqlalchemy import Connection, text

from database.schema import metadata

_COLUMNS = """
SELECT table_name AS table_name, column_name AS column_name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name LIKE 'bq\\_sync\\_%'
"""


def lacking(connection: Connection) -> list[str]:
    """The tables of ours that aren't there, and the columns that tables of an older version lack, as `table.column`."""
    there: dict[str, set[str]] = {}
    for row in connection.execute(text(_COLUMNS)):
        there.setdefault(row.table_name, set()).add(row.column_name)
    missing = sorted(metadata.tables.keys() - there)
    for name in sorted(metadata.tables.keys() & there):
        columns = metadata.tables[name].columns.keys()
        missing += [f"{name}.{column}" for column in columns if column not in there[name]]
    return missing
