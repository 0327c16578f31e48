"""The command line: mistakes end with a message and an exit code, before anything is begun."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.main import main

DATABASE = "mysql+pymysql://user:hunter2@127.0.0.1:1/nowhere"


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BQ_SYNC_CONFIG", "BQ_SYNC_DATABASE_URL", "BQ_SYNC_ENABLED"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(autouse=True)
def no_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.logs.configure", lambda _: None)  # it belongs to the whole process
    monkeypatch.setattr("cli.logs._everywhere", {})


def bq_sync(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_version() -> None:
    done = bq_sync("--version")
    assert (done.exit_code, done.output.split()[0].strip(",")) == (0, "bq-sync")


def test_help_names_every_command() -> None:
    output = bq_sync("--help").output
    assert all(name in output for name in ("migrate", "init-bigquery", "check", "worker", "api", "run"))


@pytest.mark.parametrize("command", ["migrate", "check", "init-bigquery", "worker", "api", "run"])
def test_wrong_settings_are_all_printed(tmp_path: Path, command: str) -> None:
    file = tmp_path / "bq_sync.yaml"
    file.write_text("bq_sync: {batch_size: many, project_id: p, dataset_id: d}")
    done = bq_sync(command, BQ_SYNC_CONFIG=str(file))
    assert done.exit_code == 2
    assert done.stderr.splitlines() == [
        "bq-sync: the configuration is wrong:",
        f"  batch_size: must be a whole number (in {file}, or BQ_SYNC_BATCH_SIZE)",
        f"  tables: is missing: add it (in {file})",
    ]


@pytest.mark.parametrize("command", [["migrate"], ["api"], ["worker"], ["run"]])
def test_without_a_database_each_says_what_to_set(command: list[str]) -> None:
    done = bq_sync(*command, BQ_SYNC_ENABLED="true", BQ_SYNC_API_PORT="0")
    assert done.exit_code == 2
    assert done.stderr.startswith("bq-sync: database_url: is missing: set BQ_SYNC_DATABASE_URL=")


def test_a_database_that_doesnt_answer_is_one_line_without_password() -> None:
    done = bq_sync("migrate", BQ_SYNC_DATABASE_URL=DATABASE)
    assert done.exit_code == 1
    assert done.stderr == "bq-sync: the database at 127.0.0.1:1 can't be reached (connection refused, error 2003)\n"
    assert "hunter2" not in done.output


def test_an_unknown_table_is_named() -> None:
    done = bq_sync("worker", "--table", "is21_logs", "--table", "nothing")
    assert done.exit_code == 2
    assert "No such table: nothing. There are detection_logs, ai_summary_cache, is21_logs." in done.stderr


def test_options_that_exclude_each_other() -> None:
    assert bq_sync("migrate", "--down", "--sql").exit_code == 2
    assert bq_sync("migrate", "--down", "--history", "send").exit_code == 2
    assert bq_sync("migrate", "--yes").exit_code == 2


def test_down_without_a_terminal_has_to_be_meant() -> None:
    done = bq_sync("migrate", "--down", BQ_SYNC_DATABASE_URL=DATABASE)
    assert done.exit_code == 2
    assert "say --yes too" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--again", "--from", "2026-11-01"], "--again needs --from and --until."),
        (["--from", "2026-11-02", "--until", "2026-11-02"], "--from has to be before --until."),
        (["--load", "--most-waiting", "5"], "--load sends history alone, and not through the queue"),
        (["--chunk-rows", "5"], "--chunk-rows and --chunk-megabytes go with --load."),
        (["--from", "yesterday"], "'yesterday' does not match the formats"),
    ],
)
def test_a_backfill_that_makes_no_sense(arguments: list[str], said: str) -> None:
    done = bq_sync("backfill", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in done.stderr
