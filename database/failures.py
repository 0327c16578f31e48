"""What went wrong with the database, in words that hold no row values, statements or passwords."""

import re

from sqlalchemy import URL, Engine, event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

# Server and client error numbers whose meaning an operator should be told; the server's own text may quote row values.
_MEANINGS = {
    1021: "the database's disk is full",
    1040: "the database has too many connections",
    1044: "the user may not use this database: grant it the rights that the README lists",
    1045: "the database refuses user or password: check BQ_SYNC_DATABASE_URL",
    1049: "the database doesn't exist: check BQ_SYNC_DATABASE_URL",
    1054: "a column is missing in the database: run `bq-sync migrate`, or `bq-sync check` where a table was changed",
    1114: "a table of the database is full: is the database's disk full?",
    1142: "the database user lacks a right on a table: grant it the rights that the README lists",
    1143: "the database user lacks a right on a column: grant it the rights that the README lists",
    1146: "a table is missing in the database: run `bq-sync migrate`, or `bq-sync check` where it is a source table",
    1205: "a lock wasn't free in time",
    1206: "the database has no room for more locks",
    1213: "a deadlock: the database chose this transaction to give way",
    1290: "the database is read-only",
    1644: "a trigger refuses a row as it is: see troubleshooting.md",
    1836: "the database is read-only",
    1053: "the database is shutting down",
    1927: "the connection to the database was killed",
    2002: "the database can't be reached",
    2003: "the database can't be reached",
    2006: "the connection to the database is gone",
    2013: "the connection to the database was lost",
    2014: "the connection to the database is out of step",
    2055: "the connection to the database was lost",
    4031: "the database closed the connection: it was idle for too long",
}


# "... command denied to user ... for table `d`.`t`", as MariaDB and MySQL word it; names only, no values.
_DENIED = re.compile(r"^(?P<right>[A-Z ,]+) command denied to user .* for (?P<what>(?:table|column) .{1,300})$")

# The constraint's and the table's names, as MariaDB (4025) and MySQL (3819) word it.
_CHECKED = re.compile(
    r"^(?:CONSTRAINT (?P<constraint>.{1,200}) failed for .{1,200}|Check constraint (?P<check>.{1,200}) is violated\.)$"
)

_UNREACHABLE = (2002, 2003)


def place_of(url: URL) -> str:
    """Where the server is: host and port, or its socket; nothing secret."""
    socket = url.query.get("unix_socket")
    host = f"[{url.host}]" if url.host and ":" in url.host else url.host
    return socket if isinstance(socket, str) else f"{host}:{url.port or 3306}"


def say_where(engine: Engine) -> None:
    """Let errors of connecting carry where that was tried; `explain` says it."""

    @event.listens_for(engine, "handle_error")
    def add_place(context: ExceptionContext) -> None:
        if context.connection is None and context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.add_detail(place_of(engine.url))


def explain(error: SQLAlchemyError) -> str:
    """The error in a few words; its number where we have no words for it."""
    if isinstance(error, PoolTimeout):
        return "no connection to the database was free in time"
    if isinstance(error, DBAPIError) and error.orig is not None:
        number = error.orig.args[0] if error.orig.args else None
        if number in _UNREACHABLE and error.detail:
            return f"the database at {error.detail[0]} can't be reached ({_cause(error.orig)}, error {number})"
        if denied := _DENIED.match(str(error.orig.args[1])) if number in (1142, 1143) else None:
            right, what = denied["right"], denied["what"]
            return f"the database user lacks the right {right} on {what}: grant it as the README says (error {number})"
        if checked := _CHECKED.match(str(error.orig.args[1])) if number in (3819, 4025) else None:
            name = checked["constraint"] or checked["check"]
            return f"a CHECK constraint ({name}) refuses a row as it is: see troubleshooting.md (error {number})"
        if isinstance(number, int) and number in _MEANINGS:
            return f"{_MEANINGS[number]} (error {number})"
        if isinstance(number, int) and number:
            return f"the database answered with error {number} ({type(error.orig).__name__})"
        return f"the connection to the database broke ({type(error.orig).__name__})"
    return f"the database library failed ({type(error).__name__})"


def _cause(error: BaseException) -> str:
    """Why the connection could not be made, as the operating system says it."""
    cause = getattr(error, "original_exception", None)  # PyMySQL's, of a failed connect
    said = cause.strerror if isinstance(cause, OSError) else None
    return said.lower() if said else "no answer" if isinstance(cause, TimeoutError) else "no connection"
