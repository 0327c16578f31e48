"""`bq-sync backfill` as operators run it: what it prints, and its exit codes."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from operations.control import Patience
from sandbox.child import Child
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.backfilling import history, ids, sent
from tests.integration.command_line import CHECKOUT
from tests.integration.pipeline import NOTES_TABLE, Site, notes_site

pytestmark = pytest.mark.integration


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    with notes_site(mariadb, emulator) as site:
        yield site


class CommandLine:
    def __init__(self, site: Site, directory: Path) -> None:
        file = self.file = directory / "bq_sync.yaml"
        settings = {
            "enabled": True,
            "project_id": site.settings.project_id,
            "dataset_id": site.settings.dataset_id,
            "database_timezone": "UTC",
            "tables": {"notes": dict(NOTES_TABLE)},
        }
        file.write_text(yaml.safe_dump({"bq_sync": settings}))
        self.environment = {"BQ_SYNC_CONFIG": str(file), "BQ_SYNC_DATABASE_URL": site.url}
        self.environment |= site.emulator.environment()

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["backfill", *arguments], env=self.environment)

    def start(self, log: Path, *arguments: str) -> Child:
        command = [sys.executable, "-c", "from cli.main import main; main()", "backfill", *arguments]
        child = Child("the backfill", command, log, environment=self.environment, directory=CHECKOUT)
        child.start()
        return child


@pytest.fixture
def backfill(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    monkeypatch.setattr("cli.backfill.PATIENCE", Patience(taken=0))
    return CommandLine(site, tmp_path)


def last_line(done: Result) -> str:
    """Before it stands what the worker in this process logs."""
    return done.stdout.splitlines()[-1]


def test_history_is_sent(site: Site, backfill: CommandLine) -> None:
    keys = history(site, 30)
    dry = backfill("--dry-run")
    with site.working():
        site.wait_until(lambda: site.state("notes") == "running", "a worker runs")
        done, again = backfill("--table", "notes"), backfill()
    assert (dry.exit_code, dry.stdout) == (0, "notes  30 rows would be sent, 0 were there already\n")
    assert (done.exit_code, last_line(done)) == (0, "notes  30 rows sent, 0 were there already")
    assert (again.exit_code, last_line(again)) == (0, "notes  0 rows sent, 0 were there already")
    assert sent(site) == ids(*keys)


def test_history_is_loaded(site: Site, backfill: CommandLine) -> None:
    keys = history(site, 30)
    done = backfill("--load", "--chunk-rows", "20")
    assert (done.exit_code, done.stdout) == (0, "notes  30 rows sent, 0 were there already\n")
    assert sent(site) == ids(*keys)


def test_rows_that_fail_are_an_exit_code(site: Site, backfill: CommandLine) -> None:
    history(site, 2, label=None)
    done = backfill("--load")
    assert done.exit_code == 1
    assert done.stdout.splitlines()[1] == "notes  2 rows failed: see `bq-sync failed --table notes`"


def test_without_a_worker(site: Site, backfill: CommandLine) -> None:
    history(site, 2)
    done = backfill("--table", "notes")
    assert (done.exit_code, done.stdout) == (6, "")
    assert done.stderr == "bq-sync: no worker owns notes: start `bq-sync worker`\n"


def test_beside_a_worker_nothing_is_loaded(site: Site, backfill: CommandLine) -> None:
    history(site, 2)
    with site.working():
        site.wait_until(lambda: site.state("notes") == "running", "a worker runs")
        done = backfill("--load")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("bq-sync: notes: a worker owns notes: stop the worker of this table first")


def test_ctrl_c_says_that_it_can_go_on(site: Site, backfill: CommandLine, tmp_path: Path) -> None:
    keys = history(site, 200)
    with site.working():
        site.wait_until(lambda: site.state("notes") == "running", "a worker runs")
        child = backfill.start(tmp_path / "log", "--most-waiting", "10")
        site.wait_until(lambda: len(sent(site)) > 10, "some are sent")
        os.kill(child.pid, signal.SIGINT)
        assert child.wait(30) == 1
        assert "the same command goes on from there" in child.log_tail(5)
        backfill()
    assert sent(site) == ids(*keys)


def test_what_befalls_one_table_is_no_other_ones(site: Site, backfill: CommandLine) -> None:
    keys = history(site, 3)
    settings = yaml.safe_load(backfill.file.read_text())
    first = {"absent": {**NOTES_TABLE, "destination": "notes"}, **settings["bq_sync"]["tables"]}
    settings["bq_sync"]["tables"] = first
    backfill.file.write_text(yaml.safe_dump(settings, sort_keys=False))
    done = backfill("--load")
    assert done.exit_code == 1
    assert "the database has no such table" in done.stderr
    assert done.stdout == "notes  3 rows sent, 0 were there already\n"
    assert sent(site) == ids(*keys)


def test_a_table_that_has_no_history_is_passed_over_unless_it_is_named(site: Site, backfill: CommandLine) -> None:
    settings = yaml.safe_load(backfill.file.read_text())
    settings["bq_sync"]["tables"]["notes"]["synced_flag"] = None
    backfill.file.write_text(yaml.safe_dump(settings))
    assert backfill().exit_code == 0
    named = backfill("--table", "notes")
    assert (named.exit_code, named.stdout) == (1, "")
    assert "notes has no synced_flag" in named.stderr
