"""What every actor is built on: where messages go, and what happens when an actor dies."""

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Any, Protocol

import pykka
import structlog

from actors.messages import ChildFailed, FromPipeline

log = structlog.get_logger(__name__)


class Recipient(Protocol):
    """Whatever takes messages: an actor's ref, or a stand-in for it in tests."""

    def tell(self, message: object) -> None: ...


class Clock(Protocol):
    """What time it is."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; it only goes forward."""
        ...

    def time(self) -> float:
        """Unix time, by a clock that somebody may set: nothing but a measure or a pace may rest on it."""
        ...


class Scheduler(Protocol):
    """Messages for later: the only way for an actor to wait."""

    def after(self, seconds: float, recipient: Recipient, message: object) -> None: ...


class Link:
    """A running actor as its neighbours know it. What is told to one that is gone is dropped.

    Its TableOwner hears of its end, and drops the pipeline; until then the others must not die of it too.
    """

    def __init__(self, actor: pykka.ActorRef[Any]) -> None:
        self._actor = actor

    def tell(self, message: object) -> None:
        with suppress(pykka.ActorDeadError):
            self._actor.tell(message)

    def waiting(self) -> int:
        """How many messages it hasn't taken yet."""
        return int(self._actor.actor_inbox.qsize())  # type: ignore[attr-defined]  # a threading actor's is a Queue

    def stop(self) -> None:
        """Let the actor end after the messages that it has."""
        self._actor.stop(block=False)


class Upstream:
    """The way back from a pipeline to its TableOwner, who ignores what comes from a pipeline it has dropped."""

    def __init__(self, owner: Recipient, generation: int) -> None:
        self._owner = owner
        self._generation = generation

    def tell(self, message: object) -> None:
        self._owner.tell(FromPipeline(self._generation, message))


class SupervisedActor(pykka.ThreadingActor):
    """An actor whose death by an unforeseen error is told: pykka itself supervises nothing.

    It has no `on_start`: an error there would stop it without `on_failure`. `failed` is given its name and the error.
    `table`: whose actor it is, if one table's.
    """

    use_daemon_thread = True  # a stop doesn't wait for a thread that the network holds

    def __init__(self, failed: Callable[[str, BaseException], None], table: str | None = None) -> None:
        super().__init__()
        self._report_failure = failed
        self._death_log = log if table is None else log.bind(table=table)

    def on_failure(
        self,
        exception_type: type[BaseException] | None,  # noqa: ARG002  pykka's signature
        exception_value: BaseException | None,
        traceback: TracebackType | None,  # noqa: ARG002  pykka's signature
    ) -> None:
        self._death_log.error("an actor died", actor=type(self).__name__, exc_info=exception_value)
        self._report_failure(type(self).__name__, exception_value or RuntimeError("unknown error"))


class PipelineActor(SupervisedActor):
    """An actor of one table's pipeline. When it dies, TableOwner drops the pipeline and recovers."""

    def __init__(self, upstream: Recipient, table: str) -> None:
        super().__init__(lambda name, error: upstream.tell(ChildFailed(name, error)), table)
        self.upstream = upstream
