"""What the log says of a table's work: each thing once, with the figures that somebody at night needs."""

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from delivery.errors import ErrorClass, Failure
from tests.fakes.destination import UNAVAILABLE, Answered
from tests.fakes.ledger import FailAt
from tests.unit.actors.test_pipeline import World

Lines = list[Any]


@pytest.fixture
def lines() -> Iterator[Lines]:
    with capture_logs() as kept:
        yield kept


def of_event(lines: Lines, event: str) -> Lines:
    return [line for line in lines if line["event"] == event]


def test_a_completed_batch_says_how_it_went(lines: Lines) -> None:
    world = World()
    world.db.add_item(1, payload='{"label": "some"}', age_seconds=7)
    world.advance(1)
    (line,) = of_event(lines, "batch completed")
    assert (line["table"], line["batch"], line["rows"]) == ("logs", 1, 1)
    assert line["bytes"] > 0
    assert line["seconds"] == 0.0
    assert 7 <= line["lag"] <= 8


def test_a_failed_append_is_said_once_with_its_attempt_and_when_the_next_is_made(lines: Lines) -> None:
    world = World()
    world.bigquery.faults.extend([Answered(UNAVAILABLE), Answered(UNAVAILABLE)])
    world.db.add_rows(1, 2, 3)
    world.advance(60)
    failed = of_event(lines, "append failed")
    assert [(line["table"], line["batch"], line["rows"], line["attempt"]) for line in failed] == [
        ("logs", 1, 3, 1),
        ("logs", 1, 3, 2),
    ]
    assert all(line["retry_in"] > 0 and line["reason"] == UNAVAILABLE.reason for line in failed)
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["append failed"] * 2


def test_what_blocks_a_table_is_said_once_with_the_batch_that_met_it(lines: Lines) -> None:
    world = World()
    world.bigquery.faults.append(Answered(Failure(ErrorClass.BLOCKED, "PERMISSION_DENIED", definite=True)))
    world.db.add_rows(1)
    world.advance(1)
    (line,) = [line for line in lines if line["log_level"] in ("warning", "error")]
    assert (line["event"], line["table"], line["batch"]) == ("not carrying rows", "logs", 1)
    assert (line["state"], line["reason"], line["attempt"], line["retry_in"]) == (
        "blocked",
        "PERMISSION_DENIED",
        1,
        300,
    )


def test_a_database_that_fails_is_said_once(lines: Lines) -> None:
    world = World()
    world.advance(1)
    world.ledger.faults.append(FailAt(0))
    world.db.add_rows(1)
    world.advance(60)
    (line,) = [line for line in lines if line["log_level"] in ("warning", "error")]
    assert (line["event"], line["table"], line["attempt"]) == ("could not write to the ledger", "logs", 1)
    assert line["retry_in"] > 0
