"""A line of 0.5 Mbit/s that loses a fifth of all connections and soon breaks the others; a part of a good line."""

import re
import time
from collections.abc import Callable

import pytest

from sandbox.child import Child
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.proxy import Proxy
from tests.chaos.one_site import FULL, START_SECONDS, Site, replayable, until

pytestmark = pytest.mark.chaos

LINE_KBPS = 500
LOSS = 0.2
LIFE_SECONDS = (0.5, 4.0)  # of a connection
BREAKS = 100 if FULL else 5  # until connections live on

MORE = 10 if FULL else 1
ROWS = {"detection_logs": 200 * MORE, "ai_summary_cache": 20 * MORE, "is21_logs": 100 * MORE}  # a KB each
LARGEST = 25  # rows a batch
LARGEST_BYTES = 40_000  # that they may have
SHARE_KBPS = 800  # of the good line: max_upload_kbps

QUIET_SECONDS = 60.0  # the longest without any progress: some backoffs in a row, on a busy machine
ATTEMPTS = 6  # the most for one batch: three of unknown outcome, and some that were refused

FLAGGED = " + ".join(f"(SELECT COUNT(*) FROM {table} WHERE synced_to_bq = 1)" for table in ROWS)


@pytest.mark.timeout(900 if FULL else 180)
def test_progress_never_stops(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> None:
    random = replayable()
    site = make_site(mariadb, emulator, batch_size=LARGEST, max_batch_rows=LARGEST)
    for table, rows in ROWS.items():
        site.insert(table, rows)
    with (
        Proxy("127.0.0.1", emulator.rest_port, random) as rest,
        Proxy("127.0.0.1", emulator.grpc_port, random) as write,
    ):
        for line in (rest, write):
            line.kbps, line.loss = LINE_KBPS, LOSS
        site.through(rest=rest, write=write)
        worker = site.worker()
        until(lambda: write.sent > 0, START_SECONDS, "rows are on their way", site.logs)
        began = progressed = time.monotonic()
        next_break = began + random.uniform(*LIFE_SECONDS)
        done, longest, breaks = 0, 0.0, 0
        while site.waiting():
            now = time.monotonic()
            if now >= next_break and breaks < BREAKS:
                write.cut()
                write.restore()
                breaks += 1
                next_break = now + random.uniform(*LIFE_SECONDS)
            if (flagged := site.number(f"SELECT {FLAGGED}")) != done:
                assert flagged > done
                done, progressed = flagged, now
            longest = max(longest, now - progressed)
            assert longest < QUIET_SECONDS, site.logs()
            time.sleep(0.1)
        seconds, sent = time.monotonic() - began, write.sent
        site.finish()
        print(f"{sent} bytes in {seconds:.1f} s; {breaks} breaks, {rest.lost + write.lost} lost connections")
        print(f"{longest:.1f} s without progress, {attempts(worker)} attempts for one batch")
    assert attempts(worker) <= ATTEMPTS


def test_all_tables_share_what_is_ours(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> None:
    """How near they come to it is measured by `bench.slow_line`; on a busy machine they stay below."""
    site = make_site(mariadb, emulator, batch_size=LARGEST, max_batch_rows=LARGEST, max_upload_kbps=SHARE_KBPS)
    for table, rows in {"detection_logs": 400, "ai_summary_cache": 10, "is21_logs": 300}.items():
        site.insert(table, rows)
    with Proxy("127.0.0.1", emulator.grpc_port) as write:
        site.through(write=write)
        site.worker()
        until(lambda: write.sent > 0, START_SECONDS, "rows are on their way", site.logs)
        began = time.monotonic()
        site.drain()
        seconds, sent = time.monotonic() - began, write.sent
        site.finish()
    print(f"{sent} bytes in {seconds:.1f} s")
    assert sent < 1.1 * seconds * SHARE_KBPS * 1000 / 8 + LARGEST_BYTES


def attempts(worker: Child) -> int:
    """The most that one batch needed."""
    failed = re.findall(r"append failed .*attempt=(\d+)", worker.log_text())
    return 1 + max(map(int, failed), default=0)
