"""What a table's state says to whoever looks, kept in the database by its owner."""

import structlog

from actors.messages import StateChanged, TableState
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Ledger

_TROUBLE = frozenset({TableState.WAITING, TableState.BLOCKED})


class StateNote:
    """The state of one table; it is written where it changed, since nothing is written while nothing happens."""

    def __init__(self, table: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._now = StateChanged(TableState.STOPPED)
        self._written: StateChanged | None = None
        self._waiting: dict[str, StateChanged] = {}  # which actors of the pipeline wait, and for what
        self._log = structlog.get_logger(__name__).bind(table=table)

    @property
    def state(self) -> TableState:
        return self._now.state

    def note(self, lease: Lease | None, state: TableState, reason: str | None = None) -> None:
        """The table is in this state now. Where it can't be written it is as soon as it is noted again."""
        self._now = StateChanged(state, reason)
        if lease is None or self._now == self._written:
            return
        self._written = self._now
        try:
            with self._ledger.transaction(lease) as tx:
                tx.note_state(state, reason, error=state in _TROUBLE)
        except (LedgerError, LeaseLost) as error:
            self._written = None
            self._log.warning("could not write the table's state", state=state.value, reason=str(error))

    def note_running(self, lease: Lease | None) -> None:
        """The pipeline works, or one of its actors waits for something."""
        worst = next((said for said in self._waiting.values() if said.state is TableState.BLOCKED), None)
        now = worst or next(iter(self._waiting.values()), StateChanged(TableState.RUNNING))
        self.note(lease, now.state, now.reason)

    def note_actor(
        self, lease: Lease | None, actor: str, reason: str | None, state: TableState = TableState.WAITING
    ) -> None:
        """An actor waits for something, or (None) no longer does; the table runs when none waits."""
        self._waiting.pop(actor, None)
        if reason is not None:
            self._waiting[actor] = StateChanged(state, reason)
        self.note_running(lease)

    def forget_actors(self) -> None:
        """The pipeline is gone."""
        self._waiting.clear()

    def note_stopped(self, lease: Lease | None) -> None:
        """The process ends. What was wrong until then stays to be read: it has not been mended by that."""
        was = f"was {self._now.state}: {self._now.reason}" if self._now.state in _TROUBLE else None
        self.note(lease, TableState.STOPPED, was)

    def stands_by(self) -> None:
        """What is written is the owner's, another worker."""
        self._now = self._written = StateChanged(TableState.STANDBY)
