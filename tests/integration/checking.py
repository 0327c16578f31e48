"""What the tests of `check` and `init-bigquery` share."""

from collections.abc import Iterable

from sqlalchemy import Engine

from config.settings import Settings, load
from operations.check import run_checks
from operations.findings import Finding, Severity
from operations.migrate import migrate_up
from sandbox.camera_tables import create_tables
from sandbox.emulator import Emulator


def environment(emulator: Emulator, dataset: str, database_url: str, **more: str) -> dict[str, str]:
    """The variables that point bq-sync, as shipped, at the test's database and dataset."""
    return {
        **emulator.environment(),
        "BQ_SYNC_DATASET_ID": dataset,
        "BQ_SYNC_DATABASE_URL": database_url,
        "BQ_SYNC_ENABLED": "true",
        **more,
    }


def prepare(engine: Engine, settings: Settings) -> None:
    """The sample camera server's tables, with all that bq-sync adds."""
    create_tables(engine)
    migrate_up(engine, settings, "send", lambda _line: None)


def check(variables: dict[str, str], settings: Settings | None = None) -> list[Finding]:
    """The findings; the returned level is their worst."""
    findings: list[Finding] = []
    level = run_checks(settings or load(variables), findings.append, environment=variables)
    assert level is max(finding.level for finding in findings)
    return findings


def errors(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    """Where and text of the errors."""
    return [(finding.where, finding.text) for finding in findings if finding.level is Severity.ERROR]


def find(findings: Iterable[Finding], where: str, words: str) -> Finding:
    """The one finding there that has these words."""
    (found,) = (finding for finding in findings if finding.where == where and words in finding.text)
    return found
