"""Who owns a table, or the site, and may write: fact 1 of docs/exactly-once.md, on MariaDB / MySQL."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, Engine, text
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import SQLAlchemyError

from database import schema
from database.failures import explain
from database.locks import lock_name
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease

# A shared lock: transactions of one owner run beside each other, and a take-over's UPDATE waits until they have ended.
# LOCK IN SHARE MODE, since MariaDB doesn't know FOR SHARE.
_DEMAND = text(
    "SELECT token = :token AND IS_USED_LOCK(:lock) <=> :connection"
    " FROM bq_sync_lease WHERE name = :name LOCK IN SHARE MODE"
)
_HOLDS_LOCK = text("SELECT IS_USED_LOCK(:lock) <=> :connection")


@contextmanager
def begin(engine: Engine, lease: Lease) -> Iterator[Connection]:
    """A transaction that is committed only while the lease holds. Raises what `Ledger.transaction` does."""
    with _connection(engine) as connection:
        try:
            _demand(connection, lease)
            yield connection
        except SQLAlchemyError as error:
            _roll_back(connection)
            raise LedgerError(explain(error), outcome_unknown=False) from error
        except BaseException:
            _roll_back(connection)
            raise
        try:
            connection.commit()
        except SQLAlchemyError as error:
            connection.invalidate()
            raise LedgerError(explain(error), outcome_unknown=True) from error


def grant(engine: Engine, lease: Lease) -> None:
    """Make the lease the table's: from here on no transaction under an older one can commit.

    Waits for transactions that the last owner has open; the server ends those of a frozen one (database.engine).

    Only who holds the lock by then gets it: one that was frozen after it took the lock, and wakes up beside its
    successor, takes nothing from that.

    Raises:
        LedgerError: not granted as far as is known; grant a new one.
    """
    with _granting(engine, lease) as connection:
        connection.execute(insert(schema.table).prefix_with("IGNORE").values(table_name=lease.table))


def grant_site(engine: Engine, lease: Lease) -> None:
    """The same for what is done once for a site: its lease is of no table, so nothing is noted of one."""
    with _granting(engine, lease):
        pass


@contextmanager
def _granting(engine: Engine, lease: Lease) -> Iterator[Connection]:
    try:
        with engine.begin() as connection:
            statement = insert(schema.lease).values(name=lease.table, token=lease.token)
            connection.execute(statement.on_duplicate_key_update(token=lease.token))
            if not connection.scalar(_HOLDS_LOCK, _lock_of(connection, lease)):
                raise LedgerError(
                    f"the lock of {lease.table} was lost before its lease was taken", outcome_unknown=False
                )
            yield connection
    except SQLAlchemyError as error:
        raise LedgerError(explain(error), outcome_unknown=True) from error


@contextmanager
def _connection(engine: Engine) -> Iterator[Connection]:
    try:
        connection = engine.connect()
    except SQLAlchemyError as error:
        raise LedgerError(explain(error), outcome_unknown=False) from error
    with connection:
        yield connection


def _demand(connection: Connection, lease: Lease) -> None:
    if not connection.scalar(_DEMAND, {"token": lease.token, "name": lease.table, **_lock_of(connection, lease)}):
        raise LeaseLost(f"another worker has taken {lease.table} over, or the database has forgotten that it is ours")


def _lock_of(connection: Connection, lease: Lease) -> dict[str, object]:
    name = lock_name(connection.engine.url.database or "", lease.table)
    return {"lock": name, "connection": lease.connection_id}


def _roll_back(connection: Connection) -> None:
    # All of it: InnoDB itself undoes only the statement that hit a lock wait timeout or a full disk.
    try:
        connection.rollback()
    except SQLAlchemyError:
        connection.invalidate()
