"""The ledger on MariaDB / MySQL: transactions under a table's lease. Implements `delivery.ledger`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from sqlalchemy import Engine, Executable

from database.leases import begin
from database.transaction import Flagging, SqlTransaction
from delivery.lease import Lease
from delivery.rows import Key


def _nothing_to_flag(keys: Sequence[Key]) -> Iterable[Executable]:
    raise AssertionError(f"this ledger has no source table to mark {len(keys)} rows in")


class SqlLedger:
    """Writes to one table's items, batches, streams and state, each time only while the lease holds.

    `flagging` marks source rows (`database.source_columns.SourceColumns.flagging`); without it there are none to mark.
    """

    def __init__(self, engine: Engine, flagging: Flagging = _nothing_to_flag) -> None:
        self._engine = engine
        self._flagging = flagging

    @contextmanager
    def transaction(self, lease: Lease) -> Iterator[SqlTransaction]:
        """See `delivery.ledger.Ledger.transaction`."""
        with begin(self._engine, lease) as connection:
            yield SqlTransaction(connection, lease.table, self._flagging)
