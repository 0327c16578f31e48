"""CommandReader: carries what operators want to the actors, whichever process it was asked of."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Protocol

import structlog

from actors import commands
from actors.commands import order_of
from actors.messages import Pause, Resume, Tick
from actors.parts import Recipient, Scheduler, SupervisedActor
from delivery.source import SourceError

EVERY_SECONDS = 3.0  # a command that nobody takes is withdrawn after 10 s


class Command(commands.Command, Protocol):
    """A command that nobody has taken."""

    @property
    def table(self) -> str: ...


class Orders(Protocol):
    """What is wanted of some tables now: which of them are paused, and the commands that nobody has taken."""

    @property
    def paused(self) -> Collection[str]: ...

    @property
    def commands(self) -> Sequence[Command]: ...


class CommandReader(SupervisedActor):
    """One per worker. It holds nothing: whatever is wanted is told again and again, so that nobody can miss it.

    `read` reads what is wanted of these tables; it may raise SourceError.
    """

    def __init__(
        self,
        owners: Mapping[str, Recipient],
        read: Callable[[Sequence[str]], Orders],
        scheduler: Scheduler,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__(failed)
        self._owners = owners
        self._read = read
        self._scheduler = scheduler
        self._log = structlog.get_logger(__name__)

    def on_receive(self, message: object) -> None:
        match message:
            case Tick():
                self._scheduler.after(EVERY_SECONDS, self.actor_ref, Tick())
                self._tell()

    def _tell(self) -> None:
        try:
            orders = self._read(tuple(self._owners))
        except SourceError as error:
            self._log.debug("could not read commands", reason=str(error))  # each table's owner says so louder
            return
        for table, owner in self._owners.items():
            owner.tell(Pause() if table in orders.paused else Resume())
        for command in orders.commands:
            self._owners[command.table].tell(order_of(command))
