"""A table's lease as its owner has it, taken with the lock or found gone: facts 1 and 8 of docs/exactly-once.md."""

from collections.abc import Callable

import structlog

from actors.owned import Locks
from delivery.errors import LeaseLost
from delivery.lease import Lease, new_token
from delivery.ledger import Ledger


class Tenure:
    """Of one table and process.

    Attributes:
        lease: ours, as far as anybody has told; None: we stand by.
        lookup_first: the database went back in time: every waiting row has to be looked up before it is sent.

    Args:
        grant: makes a lease the table's (`database.leases.grant`).
    """

    def __init__(
        self, table: str, locks: Locks, grant: Callable[[Lease], None], ledger: Ledger, *, lookup_first: bool
    ) -> None:
        self._table = table
        self._locks = locks
        self._grant = grant
        self._ledger = ledger
        self._log = structlog.get_logger(__name__).bind(table=table)
        self._lost_connection: int | None = None  # whose lock we held when the lease was found to be gone
        self._last_completed: int | None = None  # batch, under a lease of ours
        self._asked_for: list[Lease] = []  # since ours was known last: the table's may be any of these
        self.lease: Lease | None = None
        self.lookup_first = lookup_first

    def take(self) -> Lease | None:
        """A new lease: every transaction under an older one is refused from here on. None: the lock is another's.

        Raises:
            LedgerError, LeaseLost: nothing is ours.
        """
        connection_id = self._locks.take(self._table)
        if connection_id is None:
            return None
        if connection_id == self._lost_connection or self._was_restored(connection_id):
            # The lock was ours all the time, so no other owner can have changed the token: a backup was restored.
            self._log.warning("the database went back in time: every waiting row is looked up before it is sent")
            self.lookup_first = True
        lease = Lease(self._table, new_token(), connection_id)
        self._asked_for.append(lease)
        self._grant(lease)
        self.lease, self._asked_for = lease, []
        return lease

    def completed(self, batch_id: int) -> None:
        """The ledger holds this batch as completed."""
        self._last_completed = batch_id

    def recovered(self) -> None:
        """What had to be looked up first is noted in the database by now."""
        self.lookup_first, self._lost_connection = False, None

    def lose(self) -> None:
        """The database knows our lease no longer. If our lock is still there, a backup was restored under it."""
        self._lost_connection = self.lease.connection_id if self.lease is not None else None
        self.lease = None

    def leave(self) -> None:
        """Whoever took the table over has it now."""
        self.lease = self._last_completed = None

    def end(self) -> None:
        """Another worker may take the table at once."""
        if self.lease is not None:
            self.lease = None
            self._locks.release(self._table)

    def is_paused(self, lease: Lease) -> bool:
        """Whether an operator wants nothing sent, asked under the lease.

        If so, what has to be looked up first is noted in the database already: this process may end before a resume.

        Raises:
            LedgerError, LeaseLost: nobody can tell.
        """
        with self._ledger.transaction(lease) as tx:
            paused = tx.is_paused()
            if paused and self.lookup_first:
                tx.begin_lookups()
            return paused

    def _was_restored(self, connection_id: int) -> bool:
        """Whether the lease that was ours until now is gone. Nobody may have said so: the pipeline ended otherwise."""
        if self.lease is None or self.lease.connection_id != connection_id:
            return False
        return not any(self._holds(lease) for lease in (self.lease, *self._asked_for))

    def _holds(self, lease: Lease) -> bool:
        """Whether the lease is still the table's, and the ledger still knows what it knew under it."""
        try:
            with self._ledger.transaction(lease) as tx:
                return self._last_completed is None or tx.are_completed((self._last_completed,))
        except LeaseLost:
            return False
