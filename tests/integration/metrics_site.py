"""A box as it runs: worker and API as processes of their own, over a real database and the emulator."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from sandbox.child import Child, free_port
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import NOTES, NOTES_SCHEMA, NOTES_TABLE, Site, make_site, migrate, settings_of
from tests.unit.metrics.measuring import Samples, parse

CHECKOUT = Path(__file__).parents[2]
PROGRAM = [sys.executable, "-c", "from cli.main import main; main()"]

CONFIGURATION = """
bq_sync:
  enabled: true
  project_id: {project}
  dataset_id: {dataset}
  database_timezone: UTC
  interval_seconds: 0.1
  tables:
    notes:
      {columns}
      destination: notes
    memos:
      {columns}
      destination: memos     # which nobody has made
"""
COLUMNS = """primary_key: id
      age_column: written_at
      columns: {note_id: {template: "note_{id}"}, label: label, detail: detail, written_at: written_at}"""

# What the daily comparison, whose time hasn't come, would have found.
FOUND: dict[str, object] = {"problem": None, "rowsHere": 10, "rowsInBigQuery": 9, "daysThatDiffer": 1, "days": []}
CHECKED = "UPDATE bq_sync_table SET checked_at = UTC_TIMESTAMP(6), last_check = :check WHERE table_name = 'notes'"

SETTLED = """
SELECT (SELECT COUNT(*) FROM bq_sync_queue WHERE sync_status = 'failed'),
       (SELECT COUNT(*) FROM bq_sync_batch WHERE state IN ('begun', 'appended'))
"""


class Box:
    """`notes` is carried; `memos` is blocked, since BigQuery has no such table."""

    def __init__(self, site: Site, directory: Path) -> None:
        self.site = site
        self.port = free_port()
        file = directory / "bq_sync.yaml"
        configured = site.settings
        file.write_text(
            CONFIGURATION.format(project=configured.project_id, dataset=configured.dataset_id, columns=COLUMNS)
        )
        self._directory = directory
        self._environment = {
            "BQ_SYNC_CONFIG": str(file),
            "BQ_SYNC_DATABASE_URL": site.url,
            "BQ_SYNC_API_PORT": str(self.port),
            "BQ_SYNC_METRICS_DIRECTORY": str(directory / "metrics"),
            **site.emulator.environment(),
        }
        self.worker, self.api = self.process("worker"), self.process("api")

    def process(self, command: str) -> Child:
        log = self._directory / f"{command}.log"
        return Child(command, [*PROGRAM, command], log, environment=self._environment, directory=CHECKOUT)

    def text(self, accept: str = "text/plain") -> str:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/metrics", headers={"accept": accept}, timeout=20)
        assert answer.status_code == 200, self.api.log_tail()
        return answer.text

    def scrape(self) -> Samples:
        return parse(self.text())

    def answers(self) -> bool:
        assert self.api.running, self.api.log_tail()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/api/bq-sync/status", timeout=20).is_success
        except httpx.HTTPError:
            return False


@contextmanager
def running_box(mariadb: MariaDB, emulator: Emulator, directory: Path) -> Iterator[Box]:
    """Worker and API run, ten notes have arrived, and one has failed."""
    tables = {"notes": NOTES_TABLE, "memos": {**NOTES_TABLE, "destination": "memos"}}
    with make_site(mariadb, emulator, settings_of(tables), NOTES, NOTES.replace("notes", "memos")) as site:
        site.create("notes", NOTES_SCHEMA, "written_at")
        migrate(site)
        site.run(*["INSERT INTO notes (label) VALUES ('one')"] * 10, "INSERT INTO notes (label) VALUES (NULL)")
        box = Box(site, directory)
        try:
            box.worker.start()
            box.api.start()
            site.wait_until(lambda: len(site.sent("notes")) == 10 and site.state("memos") == "blocked", "notes sent")
            site.wait_until(lambda: site.read(SETTLED) == [(1, 0)], "all settled")
            site.run(CHECKED, check=json.dumps({"from": "2026-01-01", "until": "2026-01-07", **FOUND}))
            site.wait_until(box.answers, "the API answers")
            yield box
        finally:
            box.worker.kill()
            box.api.kill()
