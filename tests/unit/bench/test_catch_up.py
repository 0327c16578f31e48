"""What is made of what was measured: ratios to the floors and to the fastest peer."""

from bench.carrying import Carried
from bench.catch_up import against_floors, against_peer, tail_note
from bench.figures import Figure, at_least, at_most
from bench.processes import Ran

WORKER = Carried(
    rows=1000,
    seconds=5.0,
    tail_seconds=0.5,
    worker_cpu_seconds=4.0,
    database_cpu_seconds=1.5,
    emulator_cpu_seconds=1.0,
    peak_mb=200.0,
)


def test_a_worker_has_a_rate_and_keeps_cores_busy() -> None:
    assert (WORKER.rate, WORKER.busy_cores) == (200.0, 1.3)


def test_the_slowest_floor_is_the_one_that_counts() -> None:
    assert against_floors(WORKER, {"reading": 800.0, "marking": 400.0}) == [
        Figure("floor: reading", 800.0, "rows/s"),
        Figure("floor: marking", 400.0, "rows/s"),
        Figure("worker to the slowest floor", 0.5, "", at_least(0.7)),
    ]


def test_the_fastest_backend_is_the_one_that_counts_also_for_its_memory() -> None:
    loads = {"slow": Ran(0, 20.0, 9.0, 100.0, ""), "fast": Ran(0, 4.0, 3.0, 500.0, "")}
    assert against_peer(WORKER, loads)[-2:] == [
        Figure("worker's rate to the fastest dlt's", 0.8, "", at_least(1)),
        Figure("worker's memory to that dlt's", 0.4, "", at_most(0.5)),
    ]


def test_without_a_peer_nothing_is_said_of_it() -> None:
    assert against_peer(WORKER, {}) == []


def test_a_rest_that_waited_for_its_interval_is_named() -> None:
    assert tail_note(WORKER) == []
    waited = Carried(1000, 15.0, 10.0, 4.0, 1.5, 1.0, 200.0)
    assert [note.rpartition(" without ")[2] for note in tail_note(waited)] == ["them 200 rows/s."]
