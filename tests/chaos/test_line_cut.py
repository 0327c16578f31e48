"""The line to BigQuery, or to the database, is cut in each way that lines are, for longer than anybody waits."""

import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from sandbox.child import Child
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.proxy import Proxy
from tests.chaos.one_site import FULL, START_SECONDS, Site, until

pytestmark = pytest.mark.chaos

CUT_SECONDS = 120.0 if FULL else 0.0  # after the worker has noticed
PATIENCE = START_SECONDS + CUT_SECONDS  # a backoff may be as long as the cut was

FAULTS: dict[str, Callable[[Proxy], None]] = {
    "reset": Proxy.cut,
    "black hole": lambda line: line.cut(black_hole=True),
    "answers lost": Proxy.drop_answers,
    "half-closed": Proxy.half_close,
}

# How the worker says that it has noticed.
APPEND_FAILED = "append failed"
IN_DOUBT = "not carrying rows"
LOCKS_LOST = "lost the connection that holds the locks"


@pytest.fixture
def lines(mariadb: MariaDB, emulator: Emulator) -> Iterator[dict[str, Proxy]]:
    """To the database, and to BigQuery's two APIs."""
    with (
        Proxy("127.0.0.1", mariadb.port) as database,
        Proxy("127.0.0.1", emulator.rest_port) as rest,
        Proxy("127.0.0.1", emulator.grpc_port) as write,
    ):
        yield {"database": database, "rest": rest, "write": write}


@pytest.mark.timeout(1800 if FULL else 180)
@pytest.mark.parametrize(
    ("method", "cut", "noticed", "faults"),
    [
        pytest.param(
            "storage_write",
            ("rest", "write"),
            APPEND_FAILED,
            FAULTS if FULL else ("black hole", "answers lost", "half-closed"),
            id="bigquery",
        ),
        # Not a black hole: nothing fences off a request that arrives when its time was over.
        pytest.param("insert_all", ("rest",), IN_DOUBT, ["answers lost"], id="insert_all"),
        pytest.param(
            "storage_write",
            ("database",),
            LOCKS_LOST,
            FAULTS if FULL else ("answers lost", "half-closed"),
            id="database",
        ),
    ],
)
def test_cut_and_restored(
    make_site: Callable[..., Site],
    mariadb: MariaDB,
    emulator: Emulator,
    lines: dict[str, Proxy],
    method: str,
    cut: Sequence[str],
    noticed: str,
    faults: Sequence[str],
) -> None:
    site = make_site(mariadb, emulator, batch_size=25, max_batch_rows=50, write_method=method, lookup_settle_seconds=2)
    site.through(**lines)
    site.fill()
    worker = site.worker("--hasty")
    for fault in faults:
        site.carried_on()
        seconds = notices(site, worker, noticed, fault, [lines[name] for name in cut])
        time.sleep(CUT_SECONDS)
        for name in cut:
            lines[name].restore()
        after = goes_on(site, fault)
        print(f"{fault}: noticed after {seconds:.1f} s; the next batch was done {after:.1f} s after its end")
    site.finish()


def notices(site: Site, worker: Child, words: str, fault: str, cut: Sequence[Proxy]) -> float:
    """Cut the lines, and wait until the worker says these words once more; how long that took."""
    before = heard(worker, words)

    def noticed() -> bool:
        site.add_a_row()  # who has nothing to send notices nothing
        for line in cut:
            FAULTS[fault](line)  # once more: a connection that nobody uses just then may end unnoticed
        return heard(worker, words) > before

    return until(noticed, START_SECONDS, f"{fault} is noticed", site.logs)


def goes_on(site: Site, fault: str) -> float:
    """Wait until the next batch of detections is done; how long that took."""
    before = site.batches("completed")
    site.add_a_row()
    return until(lambda: site.batches("completed") > before, PATIENCE, f"{fault} is got over", site.logs)


def heard(worker: Child, words: str) -> int:
    """How often the worker has said so."""
    return worker.log_text().count(words)
