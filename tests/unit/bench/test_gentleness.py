"""What is made of a producer's commits: medians of rounds, ratios to those without bq-sync, and the goals."""

from dataclasses import replace

from bench.gentleness import BESIDE, CATCHING_UP, FAST, WITHOUT, Phase, Written, report, summary
from bench.producer import Commit

COUNTED = {
    "Innodb_row_lock_waits": 2,
    "Innodb_row_lock_time": 90,
    "carried": 220,
    "Innodb_os_log_written": 4_000,
}
COMMITS = [Commit(float(second), second + 0.01, second) for second in range(10)] + [Commit(10.0, 10.1, 10)]
WRITTEN = {"": Written(rows=10, redo=3_000, binlog=0, all=9_000)}


def phase(name: str, commits: int, p99_ms: float) -> Phase:
    made = summary(FAST, name, COMMITS, COUNTED, 11.0)
    return replace(made, commits=commits, seconds=10.0, p99_ms=p99_ms, long=0)


def figures(*phases: Phase) -> dict[str, tuple[float, bool | None]]:
    return {figure.name: (figure.value, figure.reached) for figure in report(phases, 7, WRITTEN).figures}


def test_a_phase_is_what_the_producer_and_the_server_counted() -> None:
    made = summary(FAST, CATCHING_UP, COMMITS, COUNTED, 11.0)
    assert (made.commits, round(made.seconds, 3), round(made.p50_ms), round(made.p99_ms)) == (11, 10.1, 10, 100)
    assert (made.long, made.waits, made.long_waits) == (1, 2, 1)
    assert made.carried == 20  # a second, in the 11 s that were counted


def test_medians_of_the_rounds_are_compared() -> None:
    rounds = [
        phase(WITHOUT, 1000, 1.0),
        phase(WITHOUT, 10, 100.0),  # a round in which the machine did something else
        phase(WITHOUT, 1000, 1.0),
        *[phase(CATCHING_UP, 960, 1.2)] * 3,
    ]
    found = figures(*rounds)
    assert found[f"{FAST}, {CATCHING_UP}: throughput, of that without"] == (0.96, True)
    assert found[f"{FAST}, {CATCHING_UP}: p99, of that without"] == (1.2, True)


def test_what_is_lost_beside_the_emulator_alone_is_the_emulators() -> None:
    found = figures(phase(WITHOUT, 1000, 1.0), phase(CATCHING_UP, 900, 1.0), phase(BESIDE, 800, 1.0))
    value, _ = found["of what it loses beside the emulator, the emulator's share"]
    assert round(value) == 50
