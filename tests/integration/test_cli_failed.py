"""`bq-sync failed`, `retry` and `clear-failed` on a real database."""

import json
import os
import pty

import pytest
from sqlalchemy import Engine, text

from tests.integration.api_worker import make_tables
from tests.integration.command_line import CommandLine, fail_items, statuses

pytestmark = pytest.mark.integration


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    make_tables(engine)
    return engine


def ids(engine: Engine, table: str = "logs") -> list[int]:
    """Of the items of that table, the newest first."""
    with engine.connect() as connection:
        query = text("SELECT id FROM bq_sync_queue WHERE table_name = :table ORDER BY id DESC")
        return list(connection.scalars(query, {"table": table}))


def test_nothing_failed(bq_sync: CommandLine, prepared: Engine) -> None:
    for command in (["failed"], ["retry", "--all"], ["clear-failed", "--all", "--yes"]):
        done = bq_sync(*command)
        assert (done.exit_code, done.stdout, done.stderr) == (0, "nothing failed\n", "")
    assert json.loads(bq_sync("failed", "--json").stdout) == {"failed": [], "next": None}


def test_each_with_its_error_the_newest_first(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 2)
    fail_items(prepared, "summaries", 1, error="period_start: \x1b]0;is no time\x07")
    done = bq_sync("failed")
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ID", "TABLE", "RECORD", "SINCE"]
    assert lines[1].split()[:3] == [str(ids(prepared, "summaries")[0]), "summaries", "r1"]
    assert lines[2] == "    period_start: \N{REPLACEMENT CHARACTER}]0;is no time\N{REPLACEMENT CHARACTER}"
    assert [line.split()[2] for line in lines[3::2]] == ["r2", "r1"]
    only = bq_sync("failed", "--table", "summaries").stdout.splitlines()
    assert len(only) == 3


def test_ten_thousand_page_by_page(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 10_000)
    there = ids(prepared)
    done = bq_sync("failed", "--limit", "2500")
    shown = [int(line.split()[0]) for line in done.stdout.splitlines()[1::2]]
    assert shown == there[:2500]
    assert f"bq-sync failed --limit 2500 --before {there[2499]}" in done.stderr
    seen: list[int] = []
    before: list[str] = []
    while True:
        page = json.loads(bq_sync("failed", "--json", "--limit", "4000", *before).stdout)
        seen += [item["id"] for item in page["failed"]]
        if page["next"] is None:
            break
        before = ["--before", str(page["next"])]
    assert seen == there
    assert json.loads(bq_sync("failed", "--json", "--limit", "10000").stdout)["next"] is None
    assert bq_sync("retry", "--all").stdout == "10,000 rows will be tried again\n"
    assert statuses(prepared) == {"pending": 10_000}


def test_retrying_by_id_and_by_table(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 3)
    fail_items(prepared, "summaries", 2)
    first = ids(prepared)[0]
    done = bq_sync("retry", str(first), str(first))
    assert (done.exit_code, done.stdout) == (0, "1 row will be tried again\n")
    assert statuses(prepared) == {"pending": 1, "failed": 4}
    assert bq_sync("retry", "--table", "logs").stdout == "2 rows will be tried again\n"
    assert statuses(prepared) == {"pending": 3, "failed": 2}


def test_an_id_that_isnt_there_or_hasnt_failed_changes_nothing(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 2)
    second, first = ids(prepared)
    assert bq_sync("retry", str(first)).exit_code == 0
    for command in (["retry"], ["clear-failed", "--yes"]):
        done = bq_sync(*command, str(second), "999999")
        assert done.exit_code == 1
        assert done.stderr == "bq-sync: the queue has no item 999999; nothing was changed\n"
        done = bq_sync(*command, str(second), str(first))
        assert done.exit_code == 1
        assert f"{first} is pending; nothing was changed" in done.stderr
    assert statuses(prepared) == {"pending": 1, "failed": 1}


def test_giving_up(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 3)
    fail_items(prepared, "summaries", 2)
    done = bq_sync("clear-failed", "--yes", str(ids(prepared)[0]))
    assert (done.exit_code, done.stdout) == (0, "1 row given up\n")
    assert bq_sync("clear-failed", "--yes", "--table", "logs").stdout == "2 rows given up\n"
    assert statuses(prepared) == {"abandoned": 3, "failed": 2}


@pytest.mark.parametrize(("answer", "code", "left"), [("n", 1, {"failed": 2}), ("y", 0, {"abandoned": 2})])
def test_giving_up_on_a_terminal_asks_first(
    bq_sync: CommandLine, prepared: Engine, answer: str, code: int, left: dict[str, int]
) -> None:
    fail_items(prepared, "logs", 2)
    ours, theirs = pty.openpty()
    asking = bq_sync.start("clear-failed", "--all", stdin=theirs)
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    said, _ = asking.communicate(timeout=60)
    os.close(ours)
    assert "Give up all 2 failed rows of logs, summaries? They will never be sent. [y/N]" in said
    assert asking.returncode == code
    assert statuses(prepared) == left


def test_where_nothing_failed_nobody_is_asked(bq_sync: CommandLine, prepared: Engine) -> None:
    ours, theirs = pty.openpty()
    asking = bq_sync.start("clear-failed", "--all", stdin=theirs)
    os.close(theirs)
    said, _ = asking.communicate(timeout=60)
    os.close(ours)
    assert (asking.returncode, said) == (0, "nothing failed\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["retry", "abc"], "'abc' is no id: take those that `bq-sync failed` shows."),
        (["retry", "0"], "'0' is no id"),
        (["retry", "1", "--all"], "Say only one of them: their ids, or --table, or --all."),
        (["retry"], "Say which rows: their ids, or --table, or --all."),
        (["failed", "--before", "-1"], "'-1' is no id"),
    ],
)
def test_a_wrong_command_line_says_what_would_be_right(bq_sync: CommandLine, arguments: list[str], said: str) -> None:
    done = bq_sync(*arguments)
    assert done.exit_code == 2
    assert said in done.stderr


def test_without_a_terminal_it_has_to_be_meant(bq_sync: CommandLine, prepared: Engine) -> None:
    fail_items(prepared, "logs", 1)
    done = bq_sync("clear-failed", "--all", said="y\n")
    assert done.exit_code == 2
    assert "say --yes too" in done.stderr
    assert statuses(prepared) == {"failed": 1}


@pytest.mark.parametrize("which", [[], ["7", "--all"], ["--table", "logs", "--all"], ["0"], ["seven"], [str(2**63)]])
def test_it_says_which_rows_once(bq_sync: CommandLine, which: list[str]) -> None:
    assert bq_sync("retry", *which).exit_code == 2
    assert bq_sync("clear-failed", "--yes", *which).exit_code == 2
