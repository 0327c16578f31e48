"""ThreadScheduler, with its real thread."""

import time

import pykka
import pytest

from actors.scheduler import SystemClock, ThreadScheduler
from tests.fakes.inbox import Listener


class Actor(pykka.ThreadingActor):
    use_daemon_thread = True


@pytest.fixture
def listener() -> Listener:
    return Listener()


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
