"""Which rights the user lacks, asked of the server itself.

EXPLAIN needs the rights of the statement that it explains, and does nothing else. So roles, rights on columns and
whatever the server adds to GRANT one day are judged by who decides: SHOW GRANTS would have to be understood.
"""

from collections.abc import Collection, Mapping

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from database.identifiers import quote

# ER_TABLEACCESS_DENIED_ERROR and ER_COLUMNACCESS_DENIED_ERROR; any other error says nothing about rights.
_DENIED = (1142, 1143)


def lacking_rights(connection: Connection, table: str, needed: Mapping[str, Collection[str]]) -> tuple[str, ...]:
    """The rights that the user lacks on a table.

    Args:
        needed: by right: for SELECT and UPDATE the columns, which have to be there; INSERT and DELETE have none.
    """
    return tuple(
        right for right, columns in needed.items() if _is_denied(connection, _statement(right, table, columns))
    )


def _statement(right: str, table: str, columns: Collection[str]) -> str:
    name = quote(table)
    match right:
        case "SELECT":
            return f"SELECT {', '.join(map(quote, columns))} FROM {name} WHERE FALSE"  # noqa: S608  quoted
        case "UPDATE":
            assignments = ", ".join(f"{quote(column)} = {quote(column)}" for column in columns)
            return f"UPDATE {name} SET {assignments} WHERE FALSE"  # noqa: S608  quoted
        case "INSERT":
            return f"INSERT INTO {name} () VALUES ()"  # noqa: S608  quoted
        case "DELETE":
            return f"DELETE FROM {name} WHERE FALSE"  # noqa: S608  quoted
        case _:
            raise ValueError(f"no statement needs the right {right}")


def _is_denied(connection: Connection, statement: str) -> bool:
    try:
        # PyMySQL takes a percent sign for a parameter's place.
        connection.exec_driver_sql(f"EXPLAIN {statement}".replace("%", "%%")).close()
    except DBAPIError as error:
        if error.connection_invalidated or error.orig is None:
            raise
        return error.orig.args[0] in _DENIED
    return False
