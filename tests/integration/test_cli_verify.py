"""`bq-sync verify` as operators run it: what it prints, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from cli.main import main
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site
from tests.integration.verifying import carried, ids, in_bigquery, visits_site

pytestmark = pytest.mark.integration


class CommandLine:
    """`bq-sync verify` for a site."""

    def __init__(self, site: Site, directory: Path) -> None:
        self._file = directory / "bq_sync.yaml"
        settings = site.settings.model_dump(mode="json", exclude_unset=True)
        self._file.write_text(yaml.safe_dump({"bq_sync": settings}))
        self._environment = {
            "BQ_SYNC_CONFIG": str(self._file),
            "BQ_SYNC_DATABASE_URL": site.url,
            "NO_COLOR": "1",
            **site.emulator.environment(),
        }

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["verify", "--hurry", *arguments], env=self._environment)


@pytest.fixture
def site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    with visits_site(mariadb, emulator) as site:
        carried(site, 100)
        yield site


@pytest.fixture
def verify(site: Site, tmp_path: Path) -> CommandLine:
    return CommandLine(site, tmp_path)


def test_all_is_there(verify: CommandLine) -> None:
    done = verify()
    assert (done.exit_code, done.stderr) == (0, "")
    first, second, *_ = done.stdout.splitlines()
    assert first == "visits: all is there, by the counts of each day"
    assert second.split() == ["all", "days:", "100", "rows", "here,", "100", "in", "BigQuery"]
    deep = verify("--deep")
    assert deep.stdout.startswith("visits: all is there\n")
    assert (
        "comparing 100 rows of 5 days; BigQuery reads 0 bytes for that" in deep.stderr
    )  # an emulator reads for nothing


def test_what_differs_is_named_and_mended(site: Site, verify: CommandLine) -> None:
    in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids(range(30, 60))})")
    in_bigquery(site, "UPDATE visits SET score = 7, detail = NULL WHERE visit_id = 'vis_29'")
    site.run("ALTER TABLE visits AUTO_INCREMENT = 1000")
    found = verify("--from", "2026-03-01", "--until", "2026-03-04")
    assert found.exit_code == 7
    assert found.stdout.startswith("visits: DIFFERENT\n  2026-03-01 to 2026-03-03: 72 rows here, 42 in BigQuery\n")
    assert "  marked as sent, but not in BigQuery: 30 rows\n    vis_30 t1 f1 (id 30)\n" in found.stdout
    assert "    and 10 more: --json names all" in found.stdout
    assert "  other values in BigQuery: 1 row\n    vis_29 t1 f1 (id 29): score, detail\n" in found.stdout

    mended = verify("--repair", "--json")
    (table,) = json.loads(mended.stdout)["tables"]
    assert (mended.exit_code, table["askedAgain"], table["counts"]["missing"]) == (7, 30, 30)
    assert [row["key"] for row in table["rows"] if row["damage"] == "missing"] == [*range(30, 60)]
    with site.working():
        site.wait_until_drained()
    assert verify().exit_code == 0


def test_ids_that_come_again_are_told_with_the_fix(site: Site, verify: CommandLine) -> None:
    site.run("DELETE FROM visits WHERE id > 50", "ALTER TABLE visits AUTO_INCREMENT = 51")
    found = verify()
    assert found.exit_code == 7
    assert "the next row gets id 51, but BigQuery has ids up to 100" in found.stdout
    assert "ALTER TABLE visits AUTO_INCREMENT = 101" in found.stdout


def test_what_can_not_be_compared_ends_with_one(site: Site, verify: CommandLine) -> None:
    site.client.delete_table(f"{site.settings.project_id}.{site.settings.dataset_id}.visits")
    failed = verify("--json")
    assert failed.exit_code == 1
    document = json.loads(failed.stdout)
    assert document["equal"] is False
    assert "the table or dataset doesn't exist" in document["tables"][0]["problem"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--from", "yesterday"], "'yesterday' does not match the format"),
        (["--from", "2026-03-02", "--until", "2026-03-01"], "--from has to be before --until"),
        (["--table", "vists"], "No such table: vists. There are visits."),
        (["--max-bytes", "5"], "5 is not in the range"),
    ],
)
def test_a_wrong_command_line_is_told(verify: CommandLine, arguments: list[str], problem: str) -> None:
    done = verify(*arguments)
    assert done.exit_code == 2
    assert problem in " ".join(done.stderr.replace("│", " ").split())


def test_days_before_the_first_are_refused(verify: CommandLine) -> None:
    refused = verify("--until", "0001-01-01")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "--until" in refused.stderr
