"""CommandReader: carries what operators ask for to the actors, whichever process the request came in by."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import structlog

from actors.messages import Flush, Tick
from actors.parts import Recipient, Scheduler, SupervisedActor
from delivery.source import SourceError

EVERY_SECONDS = 3.0  # a command that nobody takes is withdrawn after 10 s


class Command(Protocol):
    """A command that nobody has taken."""

    @property
    def id(self) -> int: ...

    @property
    def table(self) -> str: ...

    @property
    def kind(self) -> str: ...


class CommandReader(SupervisedActor):
    """One per worker. It holds nothing: a command is told again and again until its owner takes it.

    `waiting` reads the commands of these tables that nobody has taken; it may raise SourceError.
    """

    def __init__(
        self,
        owners: Mapping[str, Recipient],
        waiting: Callable[[Sequence[str]], Sequence[Command]],
        scheduler: Scheduler,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        super().__init__(failed)
        self._owners = owners
        self._waiting = waiting
        self._scheduler = scheduler
        self._log = structlog.get_logger(__name__)

    def on_receive(self, message: object) -> None:
        match message:
            case Tick():
                self._scheduler.after(EVERY_SECONDS, self.actor_ref, Tick())
                self._read()

    def _read(self) -> None:
        try:
            commands = self._waiting(tuple(self._owners))
        except SourceError as error:
            self._log.debug("could not read commands", reason=str(error))  # each table's owner says so louder
            return
        for command in commands:
            if command.kind == "flush":
                self._owners[command.table].tell(Flush(command.id))
