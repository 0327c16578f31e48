"""ThreadScheduler and BackgroundThread, with their real threads."""

import queue
import time
from collections.abc import Iterator

import pykka
import pytest

from actors.background import BackgroundThread
from actors.scheduler import SystemClock, ThreadScheduler

PATIENCE = 10.0  # s: for a thread to get its turn on a busy machine


class Listener:
    """A recipient that another thread tells things."""

    def __init__(self) -> None:
        self._messages: queue.Queue[object] = queue.Queue()

    def tell(self, message: object) -> None:
        self._messages.put(message)

    def next(self) -> object:
        return self._messages.get(timeout=PATIENCE)


class Actor(pykka.ThreadingActor):
    use_daemon_thread = True


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def background() -> Iterator[BackgroundThread]:
    thread = BackgroundThread("test")
    yield thread
    thread.close()


def test_messages_come_when_they_are_due_whatever_order_they_were_given_in(listener: Listener) -> None:
    scheduler = ThreadScheduler()
    began = time.monotonic()
    scheduler.after(0.10, listener, "late")
    scheduler.after(0.02, listener, "early")
    assert [listener.next(), listener.next()] == ["early", "late"]
    assert time.monotonic() - began >= 0.10


def test_messages_that_are_due_together_come_in_order(listener: Listener) -> None:
    scheduler = ThreadScheduler()
    for number in range(100):
        scheduler.after(0, listener, number)
    assert [listener.next() for _ in range(100)] == list(range(100))


def test_a_message_for_an_actor_that_is_gone_is_dropped(listener: Listener) -> None:
    scheduler = ThreadScheduler()
    gone = Actor.start()
    gone.stop()
    scheduler.after(0, gone, "for nobody")
    scheduler.after(0, listener, "for somebody")
    assert listener.next() == "for somebody"


def test_the_clock_only_goes_forward() -> None:
    clock = SystemClock()
    assert clock.monotonic() <= clock.monotonic()


def test_calls_run_one_after_another_on_a_thread_of_their_own(listener: Listener, background: BackgroundThread) -> None:
    for number in range(10):
        background.run(lambda number=number: listener.tell(number))  # type: ignore[misc]  # mypy can't infer it
    assert [listener.next() for _ in range(10)] == list(range(10))
