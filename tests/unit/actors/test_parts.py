"""What every actor is built on, with real actors."""

import pykka
import pytest

from actors.messages import ChildFailed, FromPipeline
from actors.parts import Link, PipelineActor, Upstream
from tests.fakes.inbox import Listener


class Echo(PipelineActor):
    """Tells its upstream what it is told, and dies of errors."""

    def on_receive(self, message: object) -> None:
        if isinstance(message, Exception):
            raise message
        self.upstream.tell(message)


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_what_comes_from_a_pipeline_says_from_which(listener: Listener) -> None:
    actor = Link(Echo.start(Upstream(listener, generation=3), "logs"))
    actor.tell("hello")
    assert listener.next() == FromPipeline(3, "hello")
    actor.stop()


def test_an_actor_that_dies_tells_its_owner(listener: Listener) -> None:
    error = RuntimeError("a bug")
    Link(Echo.start(listener, "logs")).tell(error)
    assert listener.next() == ChildFailed("Echo", error)


def test_what_is_told_to_an_actor_that_is_gone_is_dropped(listener: Listener) -> None:
    ref = Echo.start(listener, "logs")
    ref.stop()
    with pytest.raises(pykka.ActorDeadError):
        ref.tell("hello")
    actor = Link(ref)
    actor.tell("hello")
    actor.stop()
