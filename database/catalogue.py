"""What the database's own catalogue, information_schema, says about source tables."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, literal_column, select, table, text
from sqlalchemy.sql import quoted_name

from database.identifiers import quote
from mapping.schema import SourceColumn, SourceTable

COUNTED_ROWS = 10_000  # more are estimated

_ENGINE = """
SELECT COALESCE(engine, table_type) AS engine FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = :name
"""

_COLUMNS = """
SELECT column_name AS name, data_type AS data_type, column_type AS column_type, is_nullable AS nullable,
       column_default AS default_value, column_comment AS comment, character_set_name AS character_set,
       collation_name AS collation, extra AS extra, generation_expression AS expression
FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = :name ORDER BY ordinal_position
"""

_INDEXES = """
SELECT index_name AS name, column_name AS column_name FROM information_schema.statistics
WHERE table_schema = DATABASE() AND table_name = :name ORDER BY index_name, seq_in_index
"""

_TRIGGERS = """
SELECT trigger_name AS name FROM information_schema.triggers
WHERE event_object_schema = DATABASE() AND event_object_table = :name AND event_manipulation = 'UPDATE'
ORDER BY trigger_name
"""

_SIZE = """
SELECT COALESCE(table_rows, 0) AS table_rows, COALESCE(data_length, 0) AS data_length FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name = :name
"""

# At the end of a line of SHOW CREATE TABLE; MySQL writes behind one that isn't enforced that it isn't.
_JSON_CHECK = re.compile(r"CHECK \(\(?json_valid\(`(?P<column>[^`]+)`\)\)?\),?$", re.IGNORECASE | re.MULTILINE)


def read_source_table(connection: Connection, name: str) -> SourceTable | None:
    """The table in the connection's database; None where there is no such table (or no right to see it).

    A view's `engine` is VIEW. Triggers are only seen with the right TRIGGER on the table.

    Raises:
        SQLAlchemyError: also where the user may read some of its columns, but not the table.
    """
    engine = connection.scalar(text(_ENGINE), {"name": name})
    if engine is None:
        return None
    indexes: dict[str, tuple[str, ...]] = {}
    for row in _rows(connection, _INDEXES, name):
        # MySQL has indexes on expressions, whose column is NULL.
        indexes[row.name] = (*indexes.get(row.name, ()), row.column_name or "")
    primary_key = indexes.pop("PRIMARY", ())
    json_columns = frozenset() if engine == "VIEW" else _json_columns(connection, name)
    return SourceTable(
        name=name,
        engine=engine,
        columns={row.name: _column(row, json_columns) for row in _rows(connection, _COLUMNS, name)},
        primary_key=primary_key,
        indexes=indexes,
        triggers=tuple(row.name for row in _rows(connection, _TRIGGERS, name)),
    )


@dataclass(frozen=True, slots=True)
class TableSize:
    """How much a table holds. Above COUNTED_ROWS the rows are the catalogue's estimate; the bytes always are."""

    rows: int
    rows_are_estimated: bool
    bytes: int

    def __str__(self) -> str:
        about = "about " if self.rows_are_estimated else ""
        return f"{about}{self.rows:,} rows, about {self.bytes:,} bytes"


def table_size(connection: Connection, name: str) -> TableSize:
    """The size of a table's rows, without its indexes."""
    some: Select[Any] = (
        select(literal_column("1")).select_from(table(quoted_name(name, quote=True))).limit(COUNTED_ROWS + 1)
    )
    counted = connection.execute(select(func.count()).select_from(some.subquery())).scalar_one()
    estimated, size = connection.execute(text(_SIZE), {"name": name}).one()
    if counted <= COUNTED_ROWS:
        return TableSize(counted, rows_are_estimated=False, bytes=size)
    return TableSize(max(counted, estimated), rows_are_estimated=True, bytes=size)


def _rows(connection: Connection, query: str, name: str) -> Sequence[Row[Any]]:
    return connection.execute(text(query), {"name": name}).all()


def _column(row: Row[Any], json_columns: frozenset[str]) -> SourceColumn:
    data_type = row.data_type.lower()
    return SourceColumn(
        name=row.name,
        data_type=data_type,
        column_type=row.column_type,
        nullable=row.nullable == "YES",
        default=None if row.default_value == "NULL" else row.default_value,  # MariaDB writes it out, a text in quotes
        comment=row.comment,
        holds_json=data_type == "json" or row.name in json_columns,
        generated=bool(row.expression),
        on_update="on update" in row.extra.lower(),
        character_set=row.character_set,
        collation=row.collation,
    )


def _json_columns(connection: Connection, name: str) -> frozenset[str]:
    """The columns that a constraint keeps valid JSON: MariaDB's JSON type is LONGTEXT with such a constraint.

    MariaDB's view of constraints shows them to nobody whose rights are on tables alone, and such a user would have JSON
    carried as text; SHOW CREATE TABLE shows them to all who may read the table.
    """
    # Without parameters a percent sign in the name stands for itself.
    show = f"SHOW CREATE TABLE {quote(name)}"
    ((_, created),) = connection.exec_driver_sql(show, execution_options={"no_parameters": True})
    return frozenset(match["column"] for match in _JSON_CHECK.finditer(created))
