"""Changes of a schema, made on the server or written down for a DBA; never in the way of a busy table for long.

An ALTER TABLE needs its table for itself for an instant, and while it waits for that, everybody else waits behind
it. So it waits a second at most, lets the others through, and tries again.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TextIO

from sqlalchemy import URL, Connection, CursorResult, Engine, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from database.failures import explain, say_where
from database.identifiers import quote

Report = Callable[[str], None]

# What the server may do while others use the table, the cheapest first.
INSTANT = "ALGORITHM=INSTANT"
ONLINE = "ALGORITHM=INPLACE, LOCK=NONE"

TABLE_WAIT_SECONDS = 1
ROW_WAIT_SECONDS = 15  # longer than the server lets a frozen worker's transaction live
PAUSE_SECONDS = 2
ATTEMPTS = 60

ROWS_AT_ONCE = 1000

_LOCK_WAIT_TIMEOUT = 1205
_NOT_SUPPORTED = (1845, 1846)  # this algorithm can't do it, without and with a reason

_SESSION = (
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",  # else an UPDATE may hold up a producer's INSERT
    f"SET SESSION time_zone = '+00:00', lock_wait_timeout = {TABLE_WAIT_SECONDS},"
    f" innodb_lock_wait_timeout = {ROW_WAIT_SECONDS}, sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
)


class ChangeError(Exception):
    """A change couldn't be made. What was done before it stays; running again goes on from there."""


class Changes(Protocol):
    """Where changes go. `connection` is for looking only."""

    @property
    def connection(self) -> Connection: ...

    def explain(self, comment: str) -> None:
        """Say what the next changes are for."""
        ...

    def execute(self, statement: str) -> None: ...

    def alter(self, table: str, clauses: str, *algorithms: str) -> None:
        """ALTER TABLE by the first of these algorithms that the server can; without any, by the server's own choice.

        Raises:
            ChangeError: the table stayed busy, or the server can't do it by these algorithms.
        """
        ...

    def alter_at_once(self, table: str, clauses: Sequence[str]) -> None:
        """Several instant ALTERs of a table between which nobody writes to it, unless this program dies there."""
        ...

    def update_all(self, table: str, key: str, assignments: str) -> None:
        """Change every row, some at a time, by the table's integer key. The assignments have to be repeatable."""
        ...


class ServerChanges:
    """Makes the changes. Each statement commits by itself."""

    def __init__(self, connection: Connection, report: Report) -> None:
        self.connection = connection
        self._report = report
        for statement in _SESSION:
            self._run(statement)

    def explain(self, comment: str) -> None:
        self._report(comment)

    def execute(self, statement: str) -> None:
        self._patiently(statement)

    def alter(self, table: str, clauses: str, *algorithms: str) -> None:
        if not self._altered(table, clauses, algorithms or ("",)):
            raise ChangeError(_by_hand(table, [clauses]))

    def alter_at_once(self, table: str, clauses: Sequence[str]) -> None:
        self._patiently(f"LOCK TABLES {quote(table)} WRITE")
        try:
            for place, clause in enumerate(clauses):
                if not self._altered(table, clause, [INSTANT]):
                    raise ChangeError(_by_hand(table, clauses[place:]))
        finally:
            self._run("UNLOCK TABLES")

    def update_all(self, table: str, key: str, assignments: str) -> None:
        name, column = quote(table), quote(key)
        after = 0
        while True:
            # The last key of the next rows; NULL when there are none.
            some = f"SELECT {column} FROM {name} WHERE {column} > {after} ORDER BY {column} LIMIT {ROWS_AT_ONCE}"  # noqa: S608  quoted
            last = self._run(f"SELECT MAX({column}) FROM ({some}) AS some").scalar_one()  # noqa: S608  quoted
            if last is None:
                return
            self._run(f"UPDATE {name} SET {assignments} WHERE {column} > {after} AND {column} <= {last}")  # noqa: S608  quoted
            after = last

    def _altered(self, table: str, clauses: str, algorithms: Sequence[str]) -> bool:
        for algorithm in algorithms:
            try:
                self._patiently(_alter(table, clauses, algorithm))
            except DBAPIError as error:
                if _number(error) not in _NOT_SUPPORTED:
                    raise
            else:
                return True
        return False

    def _patiently(self, statement: str) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._run(statement)
            except DBAPIError as error:
                if _number(error) != _LOCK_WAIT_TIMEOUT:
                    raise
                self._report(f"the table is in use, trying again ({attempt} of {ATTEMPTS}): {statement}")
                time.sleep(PAUSE_SECONDS)
            else:
                return
        raise ChangeError(
            f"the table was in use for too long: find who holds it (SHOW PROCESSLIST), then migrate again: {statement}"
        )

    def _run(self, statement: str) -> CursorResult[Any]:
        # Without parameters the driver leaves a % in a name alone.
        return self.connection.execution_options(no_parameters=True).exec_driver_sql(statement)


class ScriptChanges:
    """Writes the changes down as SQL; nothing is changed."""

    def __init__(self, connection: Connection, script: TextIO) -> None:
        self.connection = connection
        self._script = script
        for statement in _SESSION:
            self.execute(statement)

    def explain(self, comment: str) -> None:
        self._script.write("".join(f"\n-- {line}" for line in comment.splitlines()) + "\n")

    def execute(self, statement: str) -> None:
        self._script.write(f"{statement};\n")

    def alter(self, table: str, clauses: str, *algorithms: str) -> None:
        self.execute(_alter(table, clauses, *algorithms[:1]))

    def alter_at_once(self, table: str, clauses: Sequence[str]) -> None:
        self.execute(f"LOCK TABLES {quote(table)} WRITE")
        for clause in clauses:
            self.alter(table, clause, INSTANT)
        self.execute("UNLOCK TABLES")

    def update_all(self, table: str, key: str, assignments: str) -> None:  # noqa: ARG002  a script has no loop
        self.execute(f"UPDATE {quote(table)} SET {assignments}")  # noqa: S608  quoted


def connect(url: URL) -> Engine:
    """An engine for changes: statements commit by themselves and may take their time."""
    engine = create_engine(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        connect_args={"connect_timeout": 5},
        hide_parameters=True,
    )
    say_where(engine)
    return engine


def said_of(error: DBAPIError) -> str:
    """A failed change in words: what went wrong, and at which statement; at none where it couldn't be connected."""
    return explain(error) if error.statement is None else f"{explain(error)}, at: {error.statement}"


def _by_hand(table: str, clauses: Sequence[str]) -> str:
    statements = "".join(f"\n  {_alter(table, each)};" for each in clauses)
    return (
        f"{table}: the server can't do this while others use the table:"
        f" run it yourself when nobody does, to its end, then migrate again:{statements}"
    )


def _alter(table: str, clauses: str, algorithm: str = "") -> str:
    return f"ALTER TABLE {quote(table)} {clauses}" + (f", {algorithm}" if algorithm else "")


def _number(error: DBAPIError) -> object:
    return error.orig.args[0] if error.orig is not None and error.orig.args else None
