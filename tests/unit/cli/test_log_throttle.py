"""What repeats is printed once a minute, and what is news at once."""

import io
import json
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from cli.log_throttle import MOST_LINES, MOST_REASONS, Summary, Throttle


class Log:
    """A logger of its own behind the two filters, with a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._stream = io.StringIO()
        handler = logging.StreamHandler(self._stream)
        self.throttle = Throttle(lambda: self.now)
        handler.addFilter(self.throttle)
        handler.addFilter(Summary(lambda: self.now))
        formatter = structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                lambda _, __, event: {name: value for name, value in event.items() if name != "exc_info"},
                structlog.processors.JSONRenderer(),
            ],
        )
        handler.setFormatter(formatter)
        self.library = logging.getLogger("tests.throttled")
        self.library.propagate = False
        self.library.setLevel(logging.INFO)
        self.library.handlers[:] = [handler]
        processors: list[Any] = [structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
        self.ours = structlog.wrap_logger(self.library, processors, structlog.stdlib.BoundLogger)

    def printed(self) -> list[dict[str, Any]]:
        """What was printed since the last look."""
        lines = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        self._stream.seek(0)
        self._stream.truncate()
        return lines


@pytest.fixture
def log() -> Iterator[Log]:
    log = Log()
    yield log
    log.library.handlers.clear()


def test_a_warning_is_printed_once_a_minute_and_says_how_many_were_left_out(log: Log) -> None:
    for _ in range(18):
        log.ours.warning("not carrying rows", table="a", reason="down")
        log.now += 3
    assert log.printed() == [{"event": "not carrying rows", "table": "a", "reason": "down"}]
    log.now = 1060
    log.ours.warning("not carrying rows", table="a", reason="down")
    assert [line["left_out"] for line in log.printed()] == [17]
    log.now += 60
    log.ours.warning("not carrying rows", table="a", reason="down")
    assert log.printed() == [{"event": "not carrying rows", "table": "a", "reason": "down"}]


def test_another_table_event_or_reason_is_news(log: Log) -> None:
    log.ours.warning("waits", table="a", reason="down")
    log.ours.warning("waits", table="a", reason="down")
    log.ours.warning("waits", table="b", reason="down")
    log.ours.error("blocked", table="a", problems=["one"])
    log.ours.error("blocked", table="a", problems=["one"])
    log.ours.error("blocked", table="a", problems=["one", "two"])
    log.ours.warning("waits", table="a", reason="refused")
    lines = log.printed()
    assert [(line["event"], line["table"]) for line in lines] == [
        ("waits", "a"),
        ("waits", "b"),
        ("blocked", "a"),
        ("blocked", "a"),
        ("waits", "a"),
    ]
    assert [line.get("left_out") for line in lines] == [None, None, None, 1, 1]


def test_the_kind_of_an_error_is_news_and_its_message_is_not(log: Log) -> None:
    for error in (ValueError("1"), ValueError("2"), KeyError("3")):
        log.ours.error("an actor died", exc_info=error)
        log.library.error("failed", exc_info=error)
    assert len(log.printed()) == 4


def test_a_reason_that_is_worded_anew_each_time_is_no_flood(log: Log) -> None:
    for number in range(100):
        log.ours.warning("waits", table="a", reason=f"attempt {number}")
    assert len(log.printed()) == MOST_REASONS
    log.now += 60
    log.ours.warning("waits", table="a", reason="attempt 100")
    assert [line["left_out"] for line in log.printed()] == [100 - MOST_REASONS]


def test_the_libraries_are_throttled_by_the_words_around_their_values(log: Log) -> None:
    for port in range(5):
        log.library.warning("retrying port %d", port)
    log.now += 60
    log.library.warning("retrying port %d", 7)
    assert log.printed() == [{"event": "retrying port 0"}, {"event": "retrying port 7", "left_out": 4}]


def test_what_ends_the_process_and_what_is_no_trouble_is_always_printed(log: Log) -> None:
    for _ in range(3):
        log.ours.critical("ended by an unforeseen error")
        log.ours.info("the API listens")
    assert len(log.printed()) == 6


def test_it_remembers_a_bounded_number_of_lines(log: Log) -> None:
    for number in range(MOST_LINES):
        log.library.warning(f"written out {number}")
    log.now += 60
    log.library.warning("one more")
    assert len(log.throttle._lines) == 1


def test_the_first_batch_is_printed_at_once_and_the_others_once_a_minute_together(log: Log) -> None:
    for batch in range(1, 31):
        log.ours.info("batch completed", table="a", batch=batch, rows=100, bytes=2000, seconds=0.4, lag=9.0)
        log.now += 2.1
    first, together = log.printed()
    assert first == {
        "event": "batch completed", "table": "a", "batch": 1, "rows": 100, "bytes": 2000, "seconds": 0.4, "lag": 9.0
    }  # fmt: skip
    assert together == {
        "event": "batches completed", "table": "a", "batches": 29, "rows": 2900, "bytes": 58000, "within": 60.9,
        "lag": 9.0,
    }  # fmt: skip


def test_each_table_has_sums_of_its_own(log: Log) -> None:
    for table in ("a", "b", "a", "b"):
        log.ours.info("batch completed", table=table, rows=1)
    assert [line["table"] for line in log.printed()] == ["a", "b"]


def test_a_batch_after_a_quiet_hour_is_printed_as_it_is(log: Log) -> None:
    log.ours.info("batch completed", table="a", rows=1)
    log.now += 3600
    log.ours.info("batch completed", table="a", rows=2)
    assert [line["rows"] for line in log.printed()] == [1, 2]


def test_threads_count_together(log: Log) -> None:
    threads = [
        threading.Thread(target=lambda: [log.ours.warning("waits", table="a") for _ in range(200)]) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.now += 60
    log.ours.warning("waits", table="a")
    assert [line.get("left_out") for line in log.printed()] == [None, 799]
