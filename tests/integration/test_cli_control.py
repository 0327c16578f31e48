"""`bq-sync flush`, `retention`, `pause` and `resume` on a real database, with and without a worker."""

import json
import signal
import threading
import time
from collections.abc import Callable

import pytest
from click.testing import Result
from sqlalchemy import Engine, text

from tests.integration.api_worker import TABLES, make_tables, worker
from tests.integration.command_line import CommandLine, owned, quick

pytestmark = pytest.mark.integration


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    make_tables(engine)
    return engine


def asked(engine: Engine) -> dict[str, tuple[str, str]]:
    """What each table's worker was asked for, and what has become of it."""
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT table_name, kind, state FROM bq_sync_command"))
        return {row.table_name: (row.kind, row.state) for row in rows}


def paused(engine: Engine) -> dict[str, bool]:
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT table_name, paused FROM bq_sync_table"))
        return {row.table_name: bool(row.paused) for row in rows}


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_flush_that_is_done(bq_sync: CommandLine, prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda command: f'{{"flushedCount": {len(command.table) * 500}}}'):
        done = bq_sync("flush")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.splitlines() == ["logs       done, 2,000 rows sent", "summaries  done, 4,500 rows sent"]


def test_a_flush_of_one_table_asks_no_other(bq_sync: CommandLine, prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda _: '{"flushedCount": 1}'):
        done = bq_sync("flush", "--table", "logs", "--table", "logs")
    assert (done.exit_code, done.stdout) == (0, "logs  done, 1 row sent\n")
    assert asked(prepared) == {"logs": ("flush", "done")}


def test_a_flush_without_a_worker_is_withdrawn(
    bq_sync: CommandLine, prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    done = bq_sync("flush", "--table", "logs")
    assert (done.exit_code, done.stderr) == (6, "")
    assert done.stdout == "logs  no worker took it: start `bq-sync worker`\n"
    assert asked(prepared) == {"logs": ("flush", "withdrawn")}


def test_where_bq_sync_is_disabled_that_is_said_too(
    bq_sync: CommandLine, prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    done = bq_sync("flush", "--table", "logs", BQ_SYNC_ENABLED="false")
    assert done.exit_code == 6
    assert "bq-sync is disabled and sends nothing" in done.stderr


def test_a_flush_that_goes_on_longer_than_asked_to_wait(
    bq_sync: CommandLine, prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(command: object) -> str | None:
        return '{"flushedCount": 5}' if getattr(command, "table", "") == "logs" else None

    monkeypatch.setattr("cli.control.replace", lambda patience, done: type(patience)(1, 1, 0.01))  # not 10 s
    with worker(prepared, *TABLES, end=end):
        done = bq_sync("flush", "--wait", "10")
    assert done.exit_code == 5
    assert done.stdout.splitlines() == [
        "logs       done, 5 rows sent",
        "summaries  still running: see `bq-sync status`",
    ]


def test_waiting_for_less_than_a_worker_needs_to_take_it_is_refused(bq_sync: CommandLine) -> None:
    done = bq_sync("flush", "--wait", "3")
    assert done.exit_code == 2
    assert "10" in done.stderr


def test_a_paused_table_isnt_flushed(bq_sync: CommandLine, prepared: Engine) -> None:
    assert bq_sync("pause", "--table", "logs").exit_code == 0
    done = bq_sync("flush")
    assert done.exit_code == 1
    assert done.stderr == "bq-sync: paused: logs; resume them first: bq-sync resume --table logs\n"
    assert asked(prepared) == {}


def test_pausing_without_a_worker_holds_for_the_next_one(bq_sync: CommandLine, prepared: Engine) -> None:
    done = bq_sync("pause")
    assert (done.exit_code, done.stdout) == (0, "logs       paused\nsummaries  paused\n")
    assert paused(prepared) == {"logs": True, "summaries": True}
    done = bq_sync("resume", "--table", "logs")
    assert (done.exit_code, done.stdout) == (0, "logs  resumed\n")
    assert paused(prepared) == {"logs": False, "summaries": True}


def test_a_worker_that_doesnt_follow_yet(
    bq_sync: CommandLine, prepared: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick(monkeypatch)
    with owned(prepared, "logs"):
        done = bq_sync("pause")
    assert (done.exit_code, done.stdout) == (5, "logs       pausing\nsummaries  paused\n")
    assert "It holds" in done.stderr


def test_a_worker_that_follows(bq_sync: CommandLine, prepared: Engine) -> None:
    followed = threading.Event()

    def follow() -> None:
        note = text("UPDATE bq_sync_table SET state = 'paused' WHERE paused")
        while not followed.wait(0.01):
            with prepared.begin() as connection:
                connection.execute(note)

    worker = threading.Thread(target=follow)
    worker.start()
    with owned(prepared, *TABLES):
        done = bq_sync("pause")
    followed.set()
    worker.join()
    assert (done.exit_code, done.stdout) == (0, "logs       paused\nsummaries  paused\n")


def test_retention_shows_its_report(bq_sync: CommandLine, prepared: Engine) -> None:
    arguments = []

    def end(command: object) -> str:
        arguments.append(getattr(command, "arguments", None))
        report = {
            "dryRun": True,
            "deleted": 0,
            "wouldDelete": 1200,
            "abandoned": 0,
            "problem": None,
            "cutoff": "2026-09",
        }
        refused = {"refused": {"failed": 3}, "examples": {"failed": [7, 8, 9]}, "notes": []}
        return json.dumps(report | refused)

    with worker(prepared, *TABLES, end=end):
        done = bq_sync("retention", "--dry-run", "--table", "logs")
    assert arguments == [{"dryRun": True}]
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "logs  done",
        "  dryRun: yes",
        "  deleted: 0",
        "  wouldDelete: 1,200",
        "  cutoff: 2026-09",
        "  refused failed: 3",
        "  examples failed: 7, 8, 9",
    ]


def test_retention_says_how_far_it_is(bq_sync: CommandLine, prepared: Engine) -> None:
    def said(report: dict[str, object], state: str = "taken", table: str = "logs") -> None:
        with prepared.begin() as connection:
            turn = text("UPDATE bq_sync_command SET state = :state, result = :result WHERE table_name = :table")
            connection.execute(turn, {"state": state, "result": json.dumps(report), "table": table})

    with worker(prepared, *TABLES, end=lambda _: None):
        asking = bq_sync.start("retention", "--wait", "60")
        assert asking.stderr is not None
        until(lambda: asked(prepared) == dict.fromkeys(TABLES, ("retention", "taken")))
        said({"dryRun": False, "deleted": 1200, "wouldDelete": 0})
        assert asking.stderr.readline() == "logs  1,200 rows deleted so far\n"
        said({"dryRun": True, "deleted": 0, "wouldDelete": 1}, table="summaries")
        assert asking.stderr.readline() == "summaries  1 row would be deleted so far\n"
        said({"dryRun": False, "deleted": 4400, "wouldDelete": 0})
        assert asking.stderr.readline() == "logs  4,400 rows deleted so far\n"
        said({"deleted": 5000}, "done")
        said({"wouldDelete": 2}, "done", "summaries")
        report, rest = asking.communicate(timeout=60)
    assert (asking.returncode, rest) == (0, "")
    assert report.splitlines() == ["logs       done", "  deleted: 5,000", "summaries  done", "  wouldDelete: 2"]


def interrupted(bq_sync: CommandLine, prepared: Engine, *arguments: str) -> str:
    """What it says on Ctrl-C, pressed once it has asked."""
    asking = bq_sync.start(*arguments)
    until(lambda: bool(asked(prepared)))
    asking.send_signal(signal.SIGINT)
    _, said = asking.communicate(timeout=60)
    assert asking.returncode == 1
    return said


def test_ctrl_c_withdraws_what_nobody_has_taken_and_says_what_goes_on(bq_sync: CommandLine, prepared: Engine) -> None:
    said = interrupted(bq_sync, prepared, "retention", "--dry-run", "--table", "logs")
    assert said.startswith("bq-sync: no longer waiting; a worker that has taken the dry run ends it")
    assert asked(prepared) == {"logs": ("retention", "withdrawn")}


def test_ctrl_c_leaves_what_was_taken_to_the_worker(bq_sync: CommandLine, prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda _: None):
        asking = bq_sync.start("flush", "--table", "logs")
        until(lambda: asked(prepared).get("logs") == ("flush", "taken"))
        asking.send_signal(signal.SIGINT)
        _, said = asking.communicate(timeout=60)
    assert (asking.returncode, "the flush goes on where a worker has taken it" in said) == (1, True)
    assert asked(prepared) == {"logs": ("flush", "taken")}


def test_retention_that_ended_with_a_problem(bq_sync: CommandLine, prepared: Engine) -> None:
    with worker(prepared, *TABLES, end=lambda _: '{"deleted": 7, "problem": "no age_column: set it"}'):
        done = bq_sync("retention", "--table", "logs")
    assert done.exit_code == 1
    assert done.stdout.splitlines() == ["logs  done", "  deleted: 7", "  problem: no age_column: set it"]


COMMANDS = (["flush"], ["retention"], ["pause"], ["resume"], ["failed"], ["retry", "--all"], ["retry", "7"])


def each(bq_sync: CommandLine, **environment: str) -> dict[str, Result]:
    commands = (*COMMANDS, ["clear-failed", "--all", "--yes"])
    return {" ".join(command): bq_sync(*command, **environment) for command in commands}


def test_a_database_that_isnt_prepared(bq_sync: CommandLine) -> None:
    for command, done in each(bq_sync).items():
        assert (command, done.exit_code, done.stdout) == (command, 1, "")
        assert done.stderr.startswith("bq-sync: the database has no bq_sync_batch, ")
        assert done.stderr.endswith(": run `bq-sync migrate`\n")


def test_a_wrong_password_and_a_server_that_isnt_there(bq_sync: CommandLine, engine: Engine) -> None:
    wrong = engine.url.set(password="hunter2").render_as_string(hide_password=False)
    for url, said in ((wrong, "refuses user or password"), ("mysql+pymysql://u:hunter2@127.0.0.1:1/d", "127.0.0.1:1")):
        for command, done in each(bq_sync, BQ_SYNC_DATABASE_URL=url).items():
            assert (command, done.exit_code, done.stdout) == (command, 1, "")
            assert said in done.stderr
            assert "hunter2" not in done.stderr


def test_an_unknown_table_and_a_missing_database_are_wrong_usage(bq_sync: CommandLine) -> None:
    for command in ("flush", "retention", "pause", "resume", "failed", "retry", "clear-failed"):
        yes = ["--yes"] if command == "clear-failed" else []
        done = bq_sync(command, "--table", "nothing", *yes)
        assert (command, done.exit_code) == (command, 2)
        assert "No such table: nothing. There are logs, summaries." in done.stderr
        done = bq_sync(command, "--table", "logs", *yes, BQ_SYNC_DATABASE_URL="")
        assert (command, done.exit_code) == (command, 2)
        assert "set BQ_SYNC_DATABASE_URL=" in done.stderr
