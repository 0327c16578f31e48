"""`bq-sync status` on a real database: every state that a table may be in, for people and for scripts."""

import json
import os
import pty
import signal

import pytest
from sqlalchemy import Engine, text

from tests.integration.api_worker import make_tables
from tests.integration.command_line import CommandLine, fail_items, owned

pytestmark = pytest.mark.integration


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    make_tables(engine)
    return engine


def execute(engine: Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))


def note(engine: Engine, table: str, state: str, reason: str | None = None, paused: bool = False) -> None:
    with engine.begin() as connection:
        connection.execute(
            text(
                "REPLACE INTO bq_sync_table (table_name, state, reason, paused, synced_rows, last_sync_at)"
                " VALUES (:table, :state, :reason, :paused, 1234567, UTC_TIMESTAMP(6) - INTERVAL 3 MINUTE)"
            ),
            {"table": table, "state": state, "reason": reason, "paused": paused},
        )


def row(output: str, table: str) -> list[str]:
    """The cells of that table's line."""
    line = next(line for line in output.splitlines() if line.startswith(table))
    return [cell.strip() for cell in line.split("  ") if cell.strip()]


def test_all_is_well(bq_sync: CommandLine, prepared: Engine) -> None:
    note(prepared, "logs", "running")
    note(prepared, "summaries", "running")
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert (done.exit_code, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].startswith("healthy at 20")
    assert lines[1] == ""
    assert lines[2].split() == ["TABLE", "STATE", "WAITING", "OLDEST", "FAILED", "SENT", "LAST", "SYNC"]
    assert row(done.stdout, "logs") == ["logs", "running", "0", "-", "0", "1,234,567", "3 min ago"]
    assert len(lines) == 5
    assert lines[2].index("SENT") + len("SENT") == lines[3].index("1,234,567") + len("1,234,567")


def test_reasons_stand_on_top_and_beside_their_table(bq_sync: CommandLine, prepared: Engine) -> None:
    execute(prepared, "INSERT INTO logs (synced_to_bq) SELECT FALSE FROM seq_1_to_1500")
    note(prepared, "logs", "blocked", "BigQuery refuses the column x: fix the mapping")
    note(prepared, "summaries", "paused", paused=True)
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert done.exit_code == 4
    lines = done.stdout.splitlines()
    assert lines[0].startswith("unhealthy at 20")
    assert lines[1:3] == [
        "  logs is blocked: BigQuery refuses the column x: fix the mapping",
        "  1,500 rows pending, more than 1,000",
    ]
    assert row(done.stdout, "logs")[:3] == ["logs", "blocked", "1,500"]
    assert row(done.stdout, "summaries")[:2] == ["summaries", "paused"]
    assert lines[4:] == lines[-3:]  # what is said on top isn't said again


def test_why_a_table_waits_stands_below_it(bq_sync: CommandLine, prepared: Engine) -> None:
    note(prepared, "logs", "waiting", "BigQuery can't be reached")
    with owned(prepared, "logs", "summaries"):
        lines = bq_sync("status").stdout.splitlines()
    assert lines[0].startswith("healthy")
    assert lines[4] == "    BigQuery can't be reached"


def test_what_waits_is_about_so_much_and_degraded_has_a_code_of_its_own(bq_sync: CommandLine, prepared: Engine) -> None:
    execute(prepared, "INSERT INTO logs (synced_to_bq) SELECT FALSE FROM seq_1_to_20000", "ANALYZE TABLE logs")
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert done.exit_code == 3
    assert row(done.stdout, "logs")[2].startswith("about ")


def test_the_state_is_what_the_table_does_now(bq_sync: CommandLine, prepared: Engine) -> None:
    def shown(noted: str, *, paused: bool, alive: bool) -> str:
        note(prepared, "logs", noted, paused=paused)
        with owned(prepared, *(["logs"] if alive else [])):
            return row(bq_sync("status").stdout, "logs")[1]

    assert shown("running", paused=False, alive=False) == "no worker"
    assert shown("running", paused=True, alive=False) == "paused, no worker"
    assert shown("running", paused=True, alive=True) == "pausing"
    assert shown("paused", paused=False, alive=True) == "resuming"
    assert shown("waiting", paused=False, alive=True) == "waiting"


def test_failed_rows_and_an_error_that_is_over(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 2)
    note(prepared, "logs", "running")
    execute(
        prepared,
        "UPDATE bq_sync_table SET last_error = 'a\x1b[31m lock', last_error_at = UTC_TIMESTAMP(6) - INTERVAL 1 HOUR",
    )
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert row(done.stdout, "logs")[4] == "2"
    assert "    last error, 60 min ago: a\N{REPLACEMENT CHARACTER}[31m lock" in done.stdout.splitlines()


def test_json_is_what_the_api_answers_with_health(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 2)
    done = bq_sync("status", "--json")
    assert done.exit_code == 4
    answer = json.loads(done.stdout)
    assert answer["health"]["status"] == "unhealthy"
    assert "no worker is running for logs, summaries" in answer["health"]["reasons"][0]
    assert (answer["siteId"], answer["queueStats"]["failed"]) == ("box", 2)
    logs = answer["tableStats"]["logs"]
    assert (logs["state"], logs["workerAlive"]) == ("no worker", False)


def test_an_item_waits_for_its_row_and_one_for_its_table(bq_sync: CommandLine, prepared: Engine) -> None:
    late = "UTC_TIMESTAMP(6) - INTERVAL 90 SECOND"
    execute(
        prepared,
        f"INSERT INTO bq_sync_queue (id, table_name, record_id, created_at) VALUES (5, 'logs', '4711', {late})",
        "INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('lgos', '1')",
    )
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert done.exit_code == 3
    assert "    item 5 names record 4711, which isn't in the table; such an item waits 10 min" in done.stdout
    assert "table_name isn't configured: lgos (1)" in done.stdout


def test_how_retention_went(bq_sync: CommandLine, prepared: Engine) -> None:
    report = {"dryRun": False, "finished": True, "problem": None, "deleted": 8640, "refused": {"waits": 3}}
    execute(
        prepared,
        "INSERT INTO bq_sync_command (table_name, kind, state, ended_at, result) VALUES ('logs', 'retention', 'done',"
        f" UTC_TIMESTAMP(6) - INTERVAL 3 HOUR, '{json.dumps(report | {'examples': {}})}')",
    )
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status")
    assert "    retention, 3 h ago: 8,640 rows deleted, 3 old rows stayed" in done.stdout.splitlines()


def test_what_is_never_sent(bq_sync: CommandLine, prepared: Engine) -> None:
    execute(
        prepared,
        "INSERT INTO bq_sync_queue (table_name, record_id, operation, sync_status)"
        " VALUES ('logs', '1', 'UPDATE', 'abandoned')",
    )
    with owned(prepared, "logs", "summaries"):
        lines = bq_sync("status").stdout.splitlines()
    assert lines[4] == "    1 item abandoned (given up, or UPDATE or DELETE): never sent"


def test_of_one_table_alone(bq_sync: CommandLine, prepared: Engine) -> None:
    with owned(prepared, "logs"):
        done = bq_sync("status", "--table", "logs")
        assert (done.exit_code, len(done.stdout.splitlines())) == (0, 4)
        assert row(done.stdout, "logs")[1] == "stopped"
        assert bq_sync("status", "--table", "summaries").exit_code == 4
        assert list(json.loads(bq_sync("status", "--table", "logs", "--json").stdout)["tableStats"]) == ["logs"]
    unknown = bq_sync("status", "--table", "lgos")
    assert (unknown.exit_code, "There are logs, summaries" in unknown.stderr) == (2, True)


def test_a_database_that_isnt_prepared(bq_sync: CommandLine) -> None:
    done = bq_sync("status")
    assert done.exit_code == 4
    assert "run `bq-sync migrate`" in done.stdout
    assert row(done.stdout, "logs")[1] == "unprepared"


def test_a_wrong_password(bq_sync: CommandLine, prepared: Engine) -> None:
    url = prepared.url.set(password="hunter2").render_as_string(hide_password=False)
    done = bq_sync("status", BQ_SYNC_DATABASE_URL=url)
    assert (done.exit_code, done.stdout.splitlines()[0]) == (4, "unhealthy")
    assert "refuses user or password: check BQ_SYNC_DATABASE_URL" in done.stdout
    assert "hunter2" not in done.output
    asked = json.loads(bq_sync("status", "--json", BQ_SYNC_DATABASE_URL=url).stdout)
    assert asked.keys() == {"health"}


def test_disabled_is_said_unless_a_worker_proves_otherwise(bq_sync: CommandLine, prepared: Engine) -> None:
    done = bq_sync("status", BQ_SYNC_ENABLED="false")
    assert (done.exit_code, done.stdout.split()[0]) == (3, "degraded")
    assert "bq-sync is disabled and sends nothing" in done.stdout
    with owned(prepared, "logs", "summaries"):
        done = bq_sync("status", BQ_SYNC_ENABLED="false")
    assert (done.exit_code, done.stdout.split()[0]) == (0, "healthy")


def test_a_process_of_its_own_has_no_colours_in_a_pipe(bq_sync: CommandLine, prepared: Engine) -> None:
    stdout, stderr = bq_sync.start("status").communicate(timeout=60)
    assert stdout.startswith("unhealthy at")
    assert "\x1b" not in stdout
    assert stderr == ""


def test_watching_in_a_pipe_prints_anew_and_ends_on_ctrl_c(bq_sync: CommandLine, prepared: Engine) -> None:
    watching = bq_sync.start("status", "--watch", "1", "--json")
    assert watching.stdout is not None
    first = json.loads(watching.stdout.readline())
    fail_items(prepared, "logs", 3)
    later = json.loads(watching.stdout.readline())
    assert (first["queueStats"]["failed"], later["queueStats"]["failed"]) == (0, 3)
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0
    assert watching.communicate()[1] == ""


def test_watching_on_a_terminal_redraws_in_place(bq_sync: CommandLine, prepared: Engine) -> None:
    ours, theirs = pty.openpty()
    watching = bq_sync.start("status", "--watch", stdout=theirs, TERM="xterm")
    os.close(theirs)
    seen = ""
    while seen.count("summaries  ") < 2:
        seen += os.read(ours, 10_000).decode()
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0
    os.close(ours)
    assert watching.communicate()[1] == ""
    assert seen.count("\x1b[H") >= 2
    assert "\x1b[31m" in seen


def test_a_watch_goes_on_while_the_database_is_away(bq_sync: CommandLine) -> None:
    watching = bq_sync.start("status", "--watch", "1", BQ_SYNC_DATABASE_URL="mysql+pymysql://u:p@127.0.0.1:1/d")
    assert watching.stdout is not None
    lines = [watching.stdout.readline() for _ in range(6)]
    watching.send_signal(signal.SIGINT)
    assert watching.wait(30) == 0
    watching.communicate()
    assert lines.count("unhealthy\n") == 2
