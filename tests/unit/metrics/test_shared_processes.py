"""What real processes share: sums that are right and never fall, whatever ends one of them."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.metrics.measuring import Measuring, Samples, value

Start = Callable[[str], Measuring]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


@pytest.fixture
def start(directory: Path) -> Iterator[Start]:
    started: list[Measuring] = []

    def begin(kind: str) -> Measuring:
        started.append(Measuring(directory, kind))
        return started[-1]

    yield begin
    for process in started:
        process.end()


def sent(samples: Samples) -> float | None:
    return value(samples, "bq_sync_rows_total", table="detection_logs", outcome="sent")


def waiting(samples: Samples) -> float | None:
    return value(samples, "bq_sync_mailbox_messages", table="detection_logs", actor="Poller")


def test_one_scrape_adds_up_all_processes_and_a_killed_one_takes_nothing_with_it(start: Start, directory: Path) -> None:
    first, second, api = start("worker"), start("worker"), start("api")
    assert first.is_shared
    first.sent(3)
    second.sent(4)
    first.waiting(5)
    second.waiting(6)
    before = api.scrape()
    assert (sent(before), waiting(before)) == (7, 11)

    second.kill()
    during = api.scrape()
    assert sent(during) == 7
    assert waiting(during) == 5  # nobody waits in a process that is gone
    assert value(during, "bq_sync_process_up", process="worker-1") == 0
    assert value(during, "bq_sync_process_up", process="worker-0") == 1
    files = set(directory.iterdir())

    again = start("worker")
    again.sent(10)
    after = api.scrape()
    assert sent(after) == 17
    assert value(after, "bq_sync_process_starts_total", kind="worker") == 3
    assert value(after, "bq_sync_process_up", process="worker-1") == 1
    assert files <= set(directory.iterdir())
    assert not list(directory.glob("*worker-2*"))


def test_files_dont_pile_up_with_restarts(start: Start, directory: Path) -> None:
    api = start("api")
    for _ in range(3):
        worker = start("worker")
        worker.sent(1)
        worker.kill()
    assert sent(api.scrape()) == 3
    assert sorted(path.name for path in directory.glob("*worker*")) == [
        "counter_worker-0.db",
        "histogram_worker-0.db",
        "worker-0.lock",
    ]


def test_a_broken_file_costs_its_own_counters_and_nothing_else(start: Start, directory: Path) -> None:
    left, other, api = start("worker"), start("worker"), start("api")
    left.sent(3)
    other.sent(4)
    left.kill()
    path = directory / "counter_worker-0.db"
    path.write_bytes(path.read_bytes()[:300])
    assert sent(api.scrape()) == 4
    assert path.with_suffix(".broken").exists()


def test_a_broken_file_is_no_hindrance_to_the_next_process(start: Start, directory: Path) -> None:
    left = start("worker")
    left.sent(3)
    left.kill()
    path = directory / "histogram_worker-0.db"
    path.write_bytes(path.read_bytes()[:1000])
    again = start("worker")
    again.sent(1)
    assert sent(again.scrape()) == 4


def test_files_of_another_version_are_not_gone_on_with(start: Start, directory: Path) -> None:
    left = start("worker")
    left.sent(3)
    left.kill()
    lock = directory / "worker-0.lock"
    lock.write_text(lock.read_text().rsplit(maxsplit=1)[0] + " of-another-version\n")
    api = start("api")
    assert sent(api.scrape()) == 0
    again = start("worker")
    again.sent(1)
    assert sent(api.scrape()) == 1


def test_a_directory_that_cant_be_used_leaves_a_process_to_itself(start: Start, directory: Path) -> None:
    directory.mkdir(mode=0o755)
    worker, api = start("worker"), start("api")
    worker.sent(3)
    assert not worker.is_shared
    assert sent(worker.scrape()) == 3
    assert value(api.scrape(), "bq_sync_metrics_shared") == 0
    assert value(api.scrape(), "bq_sync_process_up", process="api-0") == 1
