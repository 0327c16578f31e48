"""BackgroundThread, with its real thread."""

from collections.abc import Iterator
from functools import partial

import pykka
import pytest

from actors.background import BackgroundThread
from tests.fakes.inbox import Listener


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def background(listener: Listener) -> Iterator[BackgroundThread]:
    thread = BackgroundThread("test", failed=listener.tell)
    yield thread
    thread.close()


def test_calls_run_one_after_another(listener: Listener, background: BackgroundThread) -> None:
    for number in range(10):
        background.run(partial(listener.tell, number))
    assert [listener.next() for _ in range(10)] == list(range(10))


def test_an_error_that_nobody_foresaw_is_told_and_the_thread_goes_on(
    listener: Listener, background: BackgroundThread
) -> None:
    error = RuntimeError("a bug")

    def fail() -> None:
        raise error

    background.run(fail)
    background.run(partial(listener.tell, "the next call"))
    assert [listener.next(), listener.next()] == [error, "the next call"]


def test_an_answer_for_an_actor_that_is_gone_is_dropped(listener: Listener, background: BackgroundThread) -> None:
    def answer() -> None:
        raise pykka.ActorDeadError("gone")

    background.run(answer)
    background.run(partial(listener.tell, "the next call"))
    assert listener.next() == "the next call"
