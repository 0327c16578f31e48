"""Asking BigQuery ends with the first question that isn't answered, and with the time."""

import pytest

from delivery.errors import DestinationError, ErrorClass, Failure
from operations.asking import Asking, NotAskedError


def failing(error_class: ErrorClass) -> str:
    raise DestinationError(Failure(error_class, "why", definite=True))


def test_every_question_is_announced() -> None:
    steps: list[str] = []
    assert Asking(steps.append).ask("BigQuery", "asking", lambda: "answer") == "answer"
    assert steps == ["asking"]


def test_a_service_that_doesnt_answer_isnt_asked_again() -> None:
    asking = Asking(lambda _step: None)
    with pytest.raises(DestinationError):
        asking.ask("BigQuery", "first", lambda: failing(ErrorClass.TRANSIENT))
    asking.stop("BigQuery", "a later reason")
    with pytest.raises(NotAskedError, match="BigQuery doesn't answer"):
        asking.ask("BigQuery", "second", lambda: "answer")
    assert asking.ask("the Storage Write API", "another", lambda: "answer") == "answer"


def test_a_refusal_is_an_answer() -> None:
    asking = Asking(lambda _step: None)
    with pytest.raises(DestinationError):
        asking.ask("BigQuery", "first", lambda: failing(ErrorClass.BLOCKED))
    assert asking.ask("BigQuery", "second", lambda: "answer") == "answer"


def test_nothing_is_asked_when_the_time_is_up() -> None:
    times = iter([0.0, 40.0, 40.1])
    asking = Asking(lambda _step: None, seconds=40.0, clock=lambda: next(times))
    assert asking.ask("BigQuery", "in time", lambda: "answer") == "answer"
    with pytest.raises(NotAskedError, match="40 s"):
        asking.ask("BigQuery", "too late", lambda: "answer")
