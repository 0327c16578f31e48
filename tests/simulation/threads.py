"""The threads of a simulated process, each of which can be stopped right before any of its side effects.

A thread is a greenlet: whatever it is in the middle of, the rest of the world can go on. Which thread goes next, and
how far, is decided from outside, so that the same decisions always make the same history.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

import greenlet
import pykka

from tests.simulation.violation import Violation

FOREVER = 1_000_000  # side effects: more than anything does without waiting
RESTLESS = 3_000  # turns of threads: who takes more, without time passing, is in a loop


class Inbox:
    """An actor's, for a single thread."""

    def __init__(self) -> None:
        self._messages: deque[Any] = deque()
        self.put = self._messages.append
        self.get = self._messages.popleft

    def qsize(self) -> int:
        return len(self._messages)


class ActorThread:
    """What pykka does with an actor: one message after another; after `stop` those that are there already."""

    def __init__(self, actor: pykka.ThreadingActor) -> None:
        self._actor: Any = actor
        self._inbox: Any = actor.actor_inbox
        self._left: int | None = None

    @property
    def is_ready(self) -> bool:
        return self._left != 0 and self._inbox.qsize() > 0

    @property
    def has_ended(self) -> bool:
        return self._left == 0

    def work(self) -> None:
        """Handle the next message."""
        if self._left is not None:
            self._left -= 1
        self._actor.on_receive(self._inbox.get().message)

    def stop(self) -> None:
        if self._left is None:
            self._left = self._inbox.qsize()


class CallsThread:
    """`actors.background`: one call after another; after `close` those that it has already."""

    def __init__(self) -> None:
        self._calls: deque[Callable[[], None]] = deque()
        self._closed = False

    @property
    def is_ready(self) -> bool:
        return bool(self._calls)

    @property
    def has_ended(self) -> bool:
        return self._closed and not self._calls

    def work(self) -> None:
        self._calls.popleft()()

    def run(self, call: Callable[[], None]) -> None:
        if not self._closed:
            self._calls.append(call)

    def close(self) -> None:
        self._closed = True


Thread = ActorThread | CallsThread


class Threads:
    """All threads of one process, by their roles. The ports call `side_effect` before each of theirs."""

    def __init__(self) -> None:
        self._threads: list[tuple[str, Thread]] = []
        self._suspended: dict[Thread, Any] = {}
        self._budget = 0  # side effects until the process stops where it is

    def add(self, role: str, thread: Thread) -> None:
        self._threads.append((role, thread))

    def forget_ended(self) -> None:
        """Let go of threads that never work again."""
        self._threads = [(r, t) for r, t in self._threads if t in self._suspended or not t.has_ended]

    def end(self) -> None:
        """Let go of everything that a thread is in the middle of: a greenlet that is suspended is never collected."""
        for running in self._suspended.values():
            running.throw()
        self._suspended.clear()

    def side_effect(self) -> None:
        """Stop here until there is leave to go on."""
        while self._budget <= 0:
            greenlet.getcurrent().parent.switch()
        self._budget -= 1

    def run(self, budget: int = FOREVER, first: str | None = None, held: str | None = None) -> None:
        """Let the threads work until there is nothing to do, or `budget` side effects are done.

        `first` has its turn before the others; `held` has none.
        """
        self._budget = budget
        turns = 0
        while self._budget > 0 and (thread := self._next(first, held)) is not None:
            turns += 1
            if turns > RESTLESS:
                raise Violation("it never comes to rest")
            running = self._suspended.pop(thread, None) or greenlet.greenlet(thread.work)
            running.switch()
            if not running.dead:
                self._suspended[thread] = running

    def _next(self, first: str | None, held: str | None) -> Thread | None:
        ready = None
        for role, thread in self._threads:
            if role != held and (thread in self._suspended or thread.is_ready):
                if first is None or role == first:
                    return thread
                ready = ready or thread
        return ready
