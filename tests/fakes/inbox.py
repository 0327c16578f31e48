"""Whoever is told things, and a way to run actors without threads."""

import queue
from typing import Any, TypeVar

import pykka

T = TypeVar("T")

PATIENCE = 10.0  # s: for a thread to get its turn on a busy machine


class Inbox:
    """A recipient that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[object] = []

    def tell(self, message: object) -> None:
        self.messages.append(message)

    def take(self, kind: type[T]) -> list[T]:
        """Remove and return the messages of this kind, in order."""
        taken = [message for message in self.messages if isinstance(message, kind)]
        self.messages = [message for message in self.messages if not isinstance(message, kind)]
        return taken

    def take_one(self, kind: type[T]) -> T:
        """Remove and return the only message of this kind."""
        (message,) = self.take(kind)
        return message


class Listener:
    """A recipient that another thread tells things, and a test waits for."""

    def __init__(self) -> None:
        self._messages: queue.Queue[object] = queue.Queue()

    def tell(self, message: object) -> None:
        self._messages.put(message)

    def next(self) -> object:
        """The next message, as soon as it is there; queue.Empty where none comes."""
        return self._messages.get(timeout=PATIENCE)

    def nothing(self) -> bool:
        """Whether nothing has come until now."""
        return self._messages.empty()


def pump(*actors: pykka.ThreadingActor) -> int:
    """Let actors that were constructed, but not started, handle what they were told, until nothing is left.

    An actor's own ref puts messages into its inbox whether its thread runs or not (pykka 4); here the test is the
    thread. What an actor's code raises, the test sees. Returns how many messages there were.
    """
    messages = 0
    while handled := sum(_handle_all(actor) for actor in actors):
        messages += handled
    return messages


def pump_one(*actors: pykka.ThreadingActor) -> bool:
    """Let the first actor that was told something handle one message; False where none was."""
    return any(_handle_one(actor) for actor in actors)


def _handle_all(actor: Any) -> int:
    handled = 0
    while _handle_one(actor):
        handled += 1
    return handled


def _handle_one(actor: Any) -> bool:
    if actor.actor_inbox.empty():
        return False
    actor.on_receive(actor.actor_inbox.get().message)
    return True
