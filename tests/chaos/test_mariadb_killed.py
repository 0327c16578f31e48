"""MariaDB is killed (SIGKILL) and started again while a worker carries rows."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import Site

pytestmark = pytest.mark.chaos

KILLS = 2
AWAY_SECONDS = 1.0

# How long the quickest first batch of a stream took, from the stream's row in the ledger to the batch's completion.
FIRST_BATCH_MICROSECONDS = """
SELECT MIN(TIMESTAMPDIFF(MICROSECOND, s.created_at, b.ended_at))
FROM bq_sync_stream s JOIN bq_sync_batch b ON b.stream_id = s.id AND b.state = 'completed'
"""


@pytest.fixture(params=[1, 2], ids=["every-commit-flushed", "flushed-each-second"])
def own_mariadb(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[MariaDB]:
    """A server by its `innodb_flush_log_at_trx_commit`.

    What a killed server has handed to the operating system is never lost; with 2, the worker can't know that.
    """
    with MariaDB(tmp_path / "mariadb", innodb_flush_log_at_trx_commit=request.param) as server:
        yield server


def test_mariadb_killed(make_site: Callable[..., Site], own_mariadb: MariaDB, emulator: Emulator) -> None:
    site = make_site(own_mariadb, emulator, batch_size=50, max_batch_rows=50)
    site.fill()
    with site.producing():
        site.worker()
        for _ in range(KILLS):
            site.carried_on()
            own_mariadb.kill()
            time.sleep(AWAY_SECONDS)
            own_mariadb.start()
    site.finish()
    if site.number("SELECT @@innodb_flush_log_at_trx_commit") != 1:
        # A new stream waited for its row to be on the disk: innodb_flush_log_at_timeout, which is 1 s, and one more.
        assert site.number(FIRST_BATCH_MICROSECONDS) >= 2_000_000
