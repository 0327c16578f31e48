"""What `bq-sync verify --deep` finds in a large table, and what it takes: `python -m bench.verify [--rows 1000000]`.

On a private MariaDB and emulator: rows of 50 days are sent, 50 of them are damaged in BigQuery by hand, in six ways,
and the command is run as operators run it, once for the counts alone, once for all values. Printed are how long each
took, how much memory (the process's largest resident set), and whether exactly the damaged rows were named.
"""

import argparse
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud.bigquery import Client
from sqlalchemy import Engine, text

from bench.site import PROGRAM, Site, site
from sandbox.camera import Camera

TABLE = "detection_logs"
DIFFERENT_ROWS = 10_000  # made one by one; the others are copies of them, at other times
FIRST_EXTRA = 90_000_000  # ids that no row here has


@dataclass(frozen=True, slots=True)
class Run:
    """A command that ended."""

    code: int
    seconds: float
    megabytes: float
    printed: str


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--gently", action="store_true", help="leave the database room, as verify does without --hurry")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bq-sync-verify-") as directory:
        measured = measure(Path(directory), arguments.rows, random.Random(arguments.seed), hurry=not arguments.gently)
    print(json.dumps(measured, indent=2))


def measure(directory: Path, rows: int, chance: random.Random, *, hurry: bool) -> dict[str, object]:
    with site(directory, batch_size=10_000) as measured:
        keys = fill(measured.engine, rows)
        began = time.monotonic()
        worker = measured.start("worker")
        progress = measured.progress()
        while progress.waiting():
            time.sleep(1)
        sent_in = time.monotonic() - began
        worker.terminate()
        with closing(measured.emulator.client()) as client:
            dataset = f"{measured.settings.project_id}.{measured.settings.dataset_id}"
            damaged = damage(client, dataset, chance.sample(keys, 42))
        arguments = ["verify", "--table", TABLE, "--json", *(["--hurry"] if hurry else [])]
        counted = run(measured, arguments)
        compared = run(measured, [*arguments, "--deep"])
    report = json.loads(compared.printed)["tables"][0]
    found = {(row["damage"], row["id"][0]) for row in report["rows"]}
    return {
        "rows": len(keys),
        "sent_seconds": round(sent_in, 1),
        "counts": _summary(counted) | {"days_that_differ": len(json.loads(counted.printed)["tables"][0]["days"])},
        "deep": _summary(compared) | {"compared": report["compared"], "counts": report["counts"]},
        "damaged": len(damaged),
        "found_exactly_these": found == damaged,
        "not_found": sorted(damaged - found),
        "found_besides": sorted(found - damaged)[:20],
    }


def fill(engine: Engine, rows: int) -> list[int]:
    """At least so many rows of the last days, 20,000 a day, the newest first; their keys, which have gaps."""
    Camera(engine).insert(TABLE, min(rows, DIFFERENT_ROWS))
    columns = (
        "tid, fid, camera_lacis_id, severity, detection_type, bboxes, suspicious, tags, vehicle_ocr, face_features"
    )
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {TABLE} SET detected_at = detected_at - INTERVAL id * 4 SECOND"))  # noqa: S608  ours
    for copy in range(1, -(-rows // DIFFERENT_ROWS)):
        with engine.begin() as connection:
            connection.execute(
                text(
                    f"INSERT INTO {TABLE} ({columns}, snapshot_url, detected_at)"  # noqa: S608  ours
                    f" SELECT {columns}, snapshot_url, detected_at - INTERVAL :hours HOUR FROM {TABLE}"
                    " WHERE id <= :rows ORDER BY id"
                ),
                {"hours": 12 * copy, "rows": DIFFERENT_ROWS},
            )
    with engine.connect() as connection:
        return list(connection.scalars(text(f"SELECT id FROM {TABLE}")))  # noqa: S608  ours


def damage(client: Client, dataset: str, keys: Sequence[int]) -> set[tuple[str, str]]:
    """Damage 42 rows and add 8; what should be found, and their ids."""
    chosen = [f"det_{key}" for key in keys]
    missing, doubled, changed, moved, truncated = chosen[:9], chosen[9:17], chosen[17:26], chosen[26:34], chosen[34:]
    extra = [f"det_{FIRST_EXTRA + number}" for number in range(8)]
    changes = {
        "DELETE FROM semantic_events WHERE event_id IN (IDS)": missing,
        "INSERT INTO semantic_events SELECT * FROM semantic_events WHERE event_id IN (IDS)": doubled,
        "UPDATE semantic_events SET severity = IFNULL(severity, 0) + 1 WHERE event_id IN (IDS)": changed,
        "UPDATE semantic_events SET detected_at = TIMESTAMP_ADD(detected_at, INTERVAL 9 HOUR)"
        " WHERE event_id IN (IDS)": moved,
        "UPDATE semantic_events SET detection_detail = JSON '{}' WHERE event_id IN (IDS)": truncated,
        "INSERT INTO semantic_events (event_id, tid, fid, detected_at)"
        " SELECT id, owner.tid, owner.fid, CAST(CURRENT_DATE() AS TIMESTAMP)"
        " FROM UNNEST([IDS]) AS id, (SELECT tid, fid FROM semantic_events LIMIT 1) AS owner": extra,
    }
    for statement, ids in changes.items():
        named = statement.replace("semantic_events", f"`{dataset}.semantic_events`")
        client.query_and_wait(named.replace("IDS", ", ".join(map(repr, ids))), wait_timeout=300)
    return {
        *(("missing", id_) for id_ in missing),
        *(("duplicate", id_) for id_ in doubled),
        *(("different", id_) for id_ in changed + moved + truncated),
        *(("extra", id_) for id_ in extra),
    }


def run(measured: Site, arguments: Sequence[str]) -> Run:
    """Run `bq-sync`, and measure it."""
    output = measured.directory / "printed"
    environment: Mapping[str, str] = {**os.environ, **measured.environment}
    began = time.monotonic()
    with output.open("w") as printed:
        pid = os.posix_spawn(
            PROGRAM,
            [str(PROGRAM), *arguments],
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, printed.fileno(), 1), (os.POSIX_SPAWN_DUP2, sys.stderr.fileno(), 2)],
        )
        _, status, usage = os.wait4(pid, 0)
    return Run(os.waitstatus_to_exitcode(status), time.monotonic() - began, usage.ru_maxrss / 1024, output.read_text())


def _summary(of: Run) -> dict[str, Any]:
    return {"exit_code": of.code, "seconds": round(of.seconds, 1), "megabytes": round(of.megabytes)}


if __name__ == "__main__":
    main()
