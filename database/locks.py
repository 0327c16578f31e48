"""The advisory locks that say which worker may own a table: all of a worker's locks on one connection of their own."""

import hashlib
import threading
from collections.abc import Callable

import structlog
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from database.failures import explain
from delivery.errors import LedgerError

PING_SECONDS = (
    3  # well under database.engine.SESSION_SECONDS, after which the server frees the locks of a frozen worker
)

log = structlog.get_logger(__name__)


def lock_name(database: str, table: str) -> str:
    """The server-wide name of a table's lock: hashed, since names are short and shared by all databases."""
    return "bq_sync:" + hashlib.sha256(f"{database}\0{table}".encode()).hexdigest()[:40]


class Locks:
    """Locks by table name, held as long as this process and its connection live.

    A thread that does nothing else pings the connection; when that fails, every lock is gone and `on_lost` is told.

    Args:
        engine: opens the connection (`database.engine.connect_unpooled`).
        on_lost: called with the connection's id and the reason, from the pinging thread or within `take`; it mustn't
            call back.
    """

    def __init__(self, engine: Engine, on_lost: Callable[[int, str], None]) -> None:
        self._engine = engine
        self._on_lost = on_lost
        self._mutex = threading.Lock()
        self._connection: Connection | None = None
        self._connection_id = 0
        self._closed = threading.Event()
        threading.Thread(target=self._keep_alive, name="locks", daemon=True).start()

    def take(self, table: str) -> int | None:
        """Take the table's lock, or keep it, without waiting.

        Returns:
            The id of the connection that holds it; None when somebody else does.

        Raises:
            LedgerError: the database didn't answer; locks held until now may be lost.
        """
        with self._mutex:
            try:
                connection = self._connection = self._connection or self._engine.connect()
                name = {"name": self._name(table)}
                own, holder = connection.execute(text("SELECT CONNECTION_ID(), IS_USED_LOCK(:name)"), name).one()
                mine = self._connection_id = int(own)
                # Asked first, since GET_LOCK counts: a lock taken twice has to be freed twice.
                if holder == mine or (
                    holder is None and connection.scalar(text("SELECT GET_LOCK(:name, 0)"), name) == 1
                ):
                    return mine
                return None
            except SQLAlchemyError as error:
                if self._connection is not None:
                    self._drop()
                    self._on_lost(self._connection_id, explain(error))  # the other tables' locks were on it too
                raise LedgerError(explain(error), outcome_unknown=True) from error

    def release(self, table: str) -> None:
        """Free the table's lock, so that another worker gets it at once."""
        with self._mutex:
            if self._connection is not None:
                try:
                    self._connection.scalar(text("SELECT RELEASE_LOCK(:name)"), {"name": self._name(table)})
                except SQLAlchemyError:
                    self._drop()  # the server frees what a closed connection held

    def close(self) -> None:
        """Free all locks without waiting for the server."""
        self._closed.set()
        if self._mutex.acquire(timeout=0.2):  # a ping may hang: the process ends anyway, and its connection with it
            self._drop()
            self._mutex.release()

    def _name(self, table: str) -> str:
        return lock_name(self._engine.url.database or "", table)

    def _keep_alive(self) -> None:
        while not self._closed.wait(PING_SECONDS):
            with self._mutex:
                lost = self._ping()
            if lost:
                log.warning("lost the connection that holds the locks", reason=lost)
                self._on_lost(self._connection_id, lost)

    def _ping(self) -> str | None:
        if self._connection is None:
            return None
        try:
            # COM_PING costs the server next to nothing, and is no statement.
            self._connection.connection.driver_connection.ping(reconnect=False)  # type: ignore[union-attr]  # PyMySQL's own
        except Exception as error:  # noqa: BLE001  whatever a broken socket raises, the locks are gone
            self._drop()
            return f"the connection that holds the locks is gone ({type(error).__name__})"
        return None

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()
