"""What operators ask of a table, from the command in the database to the message, and back to its result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import structlog

from actors.messages import Flush, RunRetention
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Ledger

Order = Flush | RunRetention


class Command(Protocol):
    """A command as the database has it."""

    @property
    def id(self) -> int: ...

    @property
    def kind(self) -> str: ...

    @property
    def arguments(self) -> Mapping[str, object]: ...


def order_of(command: Command) -> Order:
    """The message that asks for it.

    Raises:
        ValueError: there is no such kind; somebody newer wrote it.
    """
    match command.kind:
        case "flush":
            return Flush(command.id)
        case "retention":
            return RunRetention(command.id, dry_run=bool(command.arguments.get("dryRun", False)))
    raise ValueError(f"command {command.id} is of an unknown kind: {command.kind}")


@dataclass(frozen=True, slots=True)
class _Taken:
    order: Order
    sent_before: int


class TakenCommands:
    """The commands that one table's owner took, each until its result is written down.

    Attributes:
        sent: how many rows this process has sent; its owner counts.
    """

    def __init__(self, table: str, ledger: Ledger) -> None:
        self._ledger = ledger
        self._taken: dict[int, _Taken] = {}
        self.sent = 0
        self._log = structlog.get_logger(__name__).bind(table=table)

    @property
    def orders(self) -> tuple[Order, ...]:
        return tuple(taken.order for taken in self._taken.values())

    def take(self, lease: Lease, order: Order) -> bool:
        """Make the command ours; False where it was withdrawn meanwhile, is ours already, or couldn't be taken now."""
        command_id = order.command_id
        if command_id in self._taken:
            return False
        try:
            with self._ledger.transaction(lease) as tx:
                if not tx.take_command(command_id):
                    return False
        except (LedgerError, LeaseLost) as error:
            self._log.warning("could not take a command", command=command_id, reason=str(error))
            if isinstance(error, LeaseLost) or not error.outcome_unknown:
                return False
        self._taken[command_id] = _Taken(order, self.sent)
        return True

    def adopt(self, lease: Lease) -> None:
        """Take on what another owner, or we before, took and didn't finish; only rows sent from now on are counted.

        Raises:
            LedgerError, LeaseLost: nothing was taken on.
        """
        with self._ledger.transaction(lease) as tx:
            for command in tx.taken_commands():
                self._taken.setdefault(command.id, _Taken(order_of(command), self.sent))

    def sent_since(self, command_id: int) -> int:
        """How many rows were sent since it was taken."""
        return self.sent - self._taken[command_id].sent_before

    def finish(self, lease: Lease, command_id: int, result: Mapping[str, object]) -> bool:
        """Write its result down; False where that has to be tried again."""
        if command_id not in self._taken:
            return True
        try:
            with self._ledger.transaction(lease) as tx:
                tx.finish_command(command_id, result)
        except (LedgerError, LeaseLost) as error:
            self._log.warning("could not write down a command's result", command=command_id, reason=str(error))
            return False
        del self._taken[command_id]
        return True

    def leave(self) -> None:
        """Whoever owns the table now takes them on."""
        self._taken.clear()
