"""What retention deletes, and what a camera server feels of it: `python -m bench.retention [--rows 100000]`.

On a private MariaDB and emulator: rows that are 90 days old are sent, and some of them are made such that they have to
stay (`KEPT`). Then a producer inserts rows one by one, each in its own transaction, as long as a run takes that deletes
the others, and without retention for a while before it and after it. Printed are the inserts' latencies in
milliseconds, beside each other, how long the run took, and whether exactly the right rows went; it fails where not.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud import bigquery
from sqlalchemy import Engine, text

from bench.site import Site, site
from database.commands import CommandKind, CommandState, outcomes, request
from delivery.retention_report import EXAMPLES, Refusal
from delivery.rows import Key
from sandbox.camera import Camera

TABLE = "detection_logs"
KEPT_SHARE = 200  # of so many old rows one is made such that it stays, for each way

_ITEM = "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) SELECT 'detection_logs', id, '{}' FROM kept"
_FLAG = "UPDATE detection_logs SET synced_to_bq = {} WHERE id IN (SELECT id FROM kept)"


@dataclass(frozen=True, slots=True)
class Kept:
    """A way in which old rows have to stay: how they are made so, and what the report calls it."""

    reason: Refusal
    statements: tuple[str, ...] = ()  # of the ids in `kept`
    in_bigquery: bool = True


KEPT: Mapping[str, Kept] = {
    "removed": Kept(Refusal.NOT_IN_BIGQUERY, in_bigquery=False),
    # A pending item waits for one of its row that is on its way, which never arrives.
    "pending": Kept(Refusal.WAITS, (_ITEM.format("syncing"), _ITEM.format("pending"))),
    "failed": Kept(Refusal.FAILED, (_ITEM.format("failed"),)),
    "unsynced": Kept(Refusal.NOT_SYNCED, (_ITEM.format("failed"), _FLAG.format("0"))),
    "history": Kept(Refusal.HISTORY, (_FLAG.format("NULL"),)),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000, help="old rows")
    parser.add_argument("--rate", type=float, default=50.0, help="inserts a second")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long it is measured without retention")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-retention-") as directory:
        measured = measure(Path(directory), arguments.rows, arguments.rate, arguments.seconds)
    print(json.dumps(measured, indent=2))
    if measured["wrong"]:
        sys.exit("not exactly the right rows went, or the report doesn't say so")


def measure(directory: Path, rows: int, rate: float, seconds: float) -> dict[str, object]:
    with site(directory, retention_schedule="never") as measured:
        engine = measured.engine
        Camera(engine).insert(TABLE, rows)
        with engine.begin() as connection:
            connection.execute(text(f"UPDATE {TABLE} SET detected_at = detected_at - INTERVAL 90 DAY"))  # noqa: S608  ours
        measured.start("worker")
        progress = measured.progress()
        while progress.waiting():
            time.sleep(1)
        old = keys(engine)
        kept = keep_some(measured, old)
        without = latencies(engine, rate, for_seconds(seconds / 2))
        with engine.begin() as connection:
            asked = request(connection, CommandKind.RETENTION, [TABLE])
        began = time.monotonic()
        during = latencies(engine, rate, lambda: not _done(engine, asked))
        took = time.monotonic() - began
        with engine.connect() as connection:
            (outcome,) = outcomes(connection, asked)
        without += latencies(engine, rate, for_seconds(seconds / 2))
        left = keys(engine)
    return {
        "rows": rows,
        "kept": {way: len(those) for way, those in kept.items()},
        "wrong": [
            *wrong_rows(old, kept, left, len(without) + len(during)),
            *wrong_report(old, kept, outcome.result),
        ],
        "run_seconds": round(took, 1),
        "report": dict(outcome.result),
        "insert_ms_without": _summary(without),
        "insert_ms_during": _summary(during),
        "ratio": {name: round(_summary(during)[name] / _summary(without)[name], 2) for name in ("p50", "p99")},
    }


def keys(engine: Engine) -> list[Key]:
    """The ids of the rows that are there."""
    with engine.connect() as connection:
        return list(connection.scalars(text(f"SELECT id FROM {TABLE} ORDER BY id")))  # noqa: S608  ours


def keep_some(measured: Site, old: Sequence[Key]) -> Mapping[str, set[Key]]:
    """Make some of the old rows such that they have to stay; which, for each way. They lie spread among the others."""
    kept = {way: set(old[place::KEPT_SHARE]) for place, way in enumerate(KEPT)}
    for way, those in kept.items():
        with measured.engine.begin() as connection:
            connection.execute(text("CREATE TEMPORARY TABLE kept (id BIGINT PRIMARY KEY)"))
            connection.execute(text("INSERT INTO kept VALUES (:id)"), [{"id": key} for key in those])
            for statement in KEPT[way].statements:
                connection.execute(text(statement))
            connection.execute(text("DROP TEMPORARY TABLE kept"))
        if not KEPT[way].in_bigquery:
            remove(measured, those)
    return kept


def remove(measured: Site, those: set[Key]) -> None:
    """Delete the rows from BigQuery, as somebody does by hand."""
    settings = measured.settings
    name = f"{settings.project_id}.{settings.dataset_id}.{settings.tables[TABLE].destination}"
    ids = bigquery.ArrayQueryParameter("ids", "STRING", [f"det_{key}" for key in those])
    client = measured.emulator.client()
    client.query_and_wait(
        f"DELETE FROM `{name}` WHERE event_id IN UNNEST(@ids)",  # noqa: S608  ours
        job_config=bigquery.QueryJobConfig(query_parameters=[ids]),
    )
    client.close()


def wrong_rows(old: Sequence[Key], kept: Mapping[str, set[Key]], left: Sequence[Key], inserted: int) -> Sequence[str]:
    """What isn't as it has to be of the rows: of the old ones those that had to stay are left, and all young ones."""
    still = set(left) & set(old)
    wrong = [f"{len(lost)} of {way} went" for way, those in kept.items() if (lost := those - still)]
    if stayed := still.difference(*kept.values()):
        wrong.append(f"{len(stayed)} stayed that had to go")
    if len(left) - len(still) != inserted:
        wrong.append(f"{len(left) - len(still)} young rows are there, of {inserted}")
    return wrong


def wrong_report(old: Sequence[Key], kept: Mapping[str, set[Key]], report: Mapping[str, Any]) -> Sequence[str]:
    """What isn't as it has to be of the report: how many rows went, and how many and which stayed for each reason."""
    wrong = [] if report["finished"] else [f"the run ended with: {report['problem']}"]
    gone = len(old) - sum(map(len, kept.values()))
    if report["deleted"] != gone:
        wrong.append(f"the report says that {report['deleted']} rows went, not {gone}")
    expected = {KEPT[way].reason: those for way, those in kept.items()}
    if (said := report["refused"]) != {reason: len(those) for reason, those in expected.items()}:
        wrong.append(f"the report says that these stayed: {said}")
    for reason, those in expected.items():
        named = report["examples"].get(reason, [])
        if len(set(named) & those) != min(EXAMPLES, len(those)):
            wrong.append(f"the report names others for {reason}")
    return wrong


def for_seconds(seconds: float) -> Callable[[], bool]:
    """Holds for so long."""
    end = time.monotonic() + seconds
    return lambda: time.monotonic() < end


def latencies(engine: Engine, rate: float, going_on: Callable[[], bool]) -> list[float]:
    """How many milliseconds each insert took, COMMIT included, while it holds; it is asked once a second."""
    camera, taken = Camera(engine), list[float]()
    stopped = threading.Event()

    def watch() -> None:
        while going_on():
            time.sleep(1)
        stopped.set()

    threading.Thread(target=watch, daemon=True).start()
    next_at = time.monotonic()
    while not stopped.is_set():
        began = time.perf_counter()
        camera.insert(TABLE, 1)
        taken.append(1000 * (time.perf_counter() - began))
        next_at = max(next_at + 1 / rate, time.monotonic())
        time.sleep(max(0.0, next_at - time.monotonic()))
    return taken


def _done(engine: Engine, asked: str) -> bool:
    with engine.connect() as connection:
        return all(outcome.state is CommandState.DONE for outcome in outcomes(connection, asked))


def _summary(taken: Sequence[float]) -> dict[str, float]:
    ordered = sorted(taken)
    of = {name: ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in _SHARES.items()}
    return {"inserts": len(ordered), **{name: round(value, 2) for name, value in of.items()}}


_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


if __name__ == "__main__":
    main()
