"""What bq-sync makes of a bad line, and of its share of a good one: `python -m bench.slow_line [--seconds 120]`.

On a private MariaDB and emulator, with a proxy before the emulator. First over a line of 500 kbit/s that loses a fifth
of all connections soon after they were made, and the others every 15 s on average: how much of the line is used, the
longest time without a row arriving, the most attempts that a batch needed, the memory of the worker. Then over a fast
line, by either write method, plain and compressed: how much is sent in relation to `max_upload_kbps`.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from random import Random

from sqlalchemy import Engine, text

from bench.processes import rss_mb
from bench.site import Site, site
from sandbox.camera import Camera
from sandbox.proxy import Proxy

BAD_LINE, LIMIT = "line", "limit"
METHODS = ("storage_write", "insert_all")
ROWS = 40_000  # more than arrive meanwhile, plain
GZIPPED_ROWS_PER_SECOND = 700  # more than go over the good line in their time
CONNECTION_SECONDS = 15.0  # that a connection lives, on average
SAMPLE_SECONDS = 0.05
QUIET_SECONDS = 0.3  # between two batches that have the line in turn
WARM_UP = 0.25  # share of the time, in which batches grow to their size


@dataclass(frozen=True)
class Sample:
    """The bytes that had reached BigQuery's side of the proxy by a time."""

    at: float
    sent: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=120.0, help="how long each is measured")
    parser.add_argument("--kbps", type=float, default=500.0, help="of the bad line")
    parser.add_argument("--loss", type=float, default=0.2, help="share of new connections that it loses")
    parser.add_argument("--limit", type=int, default=500, help="max_upload_kbps on the good line")
    parser.add_argument("--only", choices=[BAD_LINE, LIMIT], help="one of the two")
    parser.add_argument("--seed", type=int, default=1, help="of what the bad line does, and when")
    arguments = parser.parse_args()
    for method in METHODS if arguments.only != LIMIT else ():
        made = bad_line(arguments.seconds, arguments.kbps, arguments.loss, Random(arguments.seed), method)
        print(json.dumps({f"bad line, {method}": made}, indent=2), flush=True)
    for method, compression in product(METHODS, ("none", "gzip")) if arguments.only != BAD_LINE else ():
        kept = share_of_good_line(arguments.seconds, arguments.limit, method, compression)
        print(json.dumps({f"max_upload_kbps, {method}, {compression}": kept}, indent=2), flush=True)


def bad_line(seconds: float, kbps: float, loss: float, random: Random, method: str) -> dict[str, object]:
    with _site(write_method=method) as (measured, rest, write):
        for proxy in (rest, write):
            proxy.kbps, proxy.loss = kbps, loss
        worker = measured.start("worker")
        began = progressed = time.monotonic()
        next_cut = began + random.expovariate(1 / CONNECTION_SECONDS)
        arrived, longest, most_mb = 0, 0.0, 0.0
        while (now := time.monotonic()) < began + seconds:
            if now >= next_cut:
                for proxy in (rest, write):
                    proxy.cut()
                    proxy.restore()
                next_cut = now + random.expovariate(1 / CONNECTION_SECONDS)
            if (flagged := _flagged(measured.engine)) > arrived:
                arrived, progressed = flagged, now
            longest = max(longest, now - progressed)
            most_mb = max(most_mb, rss_mb(worker.pid))
            time.sleep(0.5)
        return {
            "seconds": seconds,
            "rows": arrived,
            "used_kbps": round((rest.sent + write.sent) * 8 / 1000 / seconds, 1),
            "lost_connections": rest.lost + write.lost,
            "longest_seconds_without_a_row": round(longest, 1),
            "batches": _batches(measured.engine),
            "most_attempts": _most_attempts(worker.log),
            "rss_mb": most_mb,
        }


def share_of_good_line(seconds: float, limit: int, method: str, compression: str) -> dict[str, object]:
    rows = max(ROWS, int(GZIPPED_ROWS_PER_SECOND * seconds)) if compression == "gzip" else ROWS
    with _site(rows, max_upload_kbps=limit, write_method=method, compression=compression) as (measured, rest, write):
        measured.start("worker")
        samples = []
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            samples.append(Sample(now, rest.sent + write.sent))
            time.sleep(SAMPLE_SECONDS)
        begun = _begun(samples)
        first = next(sample for sample in begun if sample.at > samples[0].at + WARM_UP * seconds)
        kbps = (begun[-1].sent - first.sent) * 8 / 1000 / (begun[-1].at - first.at)
        return {
            "limit_kbps": limit,
            "sent_kbps": round(kbps, 1),
            "ratio": round(kbps / limit, 3),
            "measured_over_seconds": round(begun[-1].at - first.at, 1),
            "rows": _flagged(measured.engine),
            "rows_left": rows - _flagged(measured.engine),  # none: the line wasn't used all the time
            "batches": _batches(measured.engine),
        }


@contextmanager
def _site(rows: int = ROWS, **settings: object) -> Iterator[tuple[Site, Proxy, Proxy]]:
    """A site with so many rows, whose worker reaches BigQuery through proxies, one for queries and one for appends."""
    with (
        tempfile.TemporaryDirectory(prefix="bq-sync-line-") as directory,
        site(Path(directory), retention_schedule="never", **settings) as measured,
        Proxy("127.0.0.1", measured.emulator.rest_port) as rest,
        Proxy("127.0.0.1", measured.emulator.grpc_port) as write,
    ):
        measured.reach_bigquery_through(rest, write)
        Camera(measured.engine).insert_mixed(rows)
        yield measured, rest, write


def _begun(samples: Sequence[Sample]) -> list[Sample]:
    """How much had been sent when each batch began: the last sample of each time in which nothing was."""
    begun, quiet_since = [], samples[0].at
    for sample, following in pairwise(samples):
        if following.sent == sample.sent:
            continue
        if sample.at - quiet_since >= QUIET_SECONDS:
            begun.append(sample)
        quiet_since = following.at
    return begun


def _flagged(engine: Engine) -> int:
    with engine.connect() as connection:
        query = " + ".join(
            f"(SELECT COUNT(*) FROM {name} WHERE synced_to_bq = 1)"  # noqa: S608 -- our own tables
            for name in ("detection_logs", "ai_summary_cache", "is21_logs")
        )
        return int(connection.execute(text(f"SELECT {query}")).scalar_one())


def _batches(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        counts = connection.execute(text("SELECT state, COUNT(*) FROM bq_sync_batch GROUP BY state"))
        return {str(state): int(count) for state, count in counts}


def _most_attempts(log: Path) -> int:
    """Of one batch, by the worker's log."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return 1 + max((int(line.get("attempt", 0)) for line in lines if line.get("event") == "append failed"), default=0)


if __name__ == "__main__":
    main()
