"""What `bq-sync check` says about the deletion of old rows."""

import pytest

from database.facts import ServerFacts
from database.referring import ReferringKey
from operations.check_retention import RetentionFacts, judge_retention, judge_settings
from operations.findings import Severity
from tests.integration.pipeline import NOTES_TABLE, settings_of

SERVER = ServerFacts("bq_sync@127.0.0.1", "is22", True, (10, 11), "UTC", 0, True, False, 16_000_000, {})


def judged(facts: RetentionFacts, **settings: object) -> list[tuple[Severity, str, str | None]]:
    configured = settings_of({"notes": NOTES_TABLE}, **settings)
    return [(each.level, each.text, each.fix) for each in judge_retention("notes", facts, configured, SERVER)]


def test_that_rows_are_deleted_is_said_aloud() -> None:
    ((level, text, _),) = judged(RetentionFacts(may_delete=True), database_timezone="Asia/Tokyo")
    assert level is Severity.OK
    assert text == (
        "rows older than 60 days that BigQuery has are deleted here, every day at 03:30 (Asia/Tokyo):"
        " set retention_days: null to keep them for ever"
    )
    ((_, text, _),) = judged(RetentionFacts(may_delete=True), retention_schedule="never")
    assert "when somebody asks" in text


def test_what_forbids_it_is_said_with_the_fix() -> None:
    keys = [ReferringKey("spreads", "child", "CASCADE"), ReferringKey("holds", "child", "RESTRICT")]
    _, right, spreads, holds, triggers = judged(RetentionFacts(may_delete=False, keys=keys, triggers=["log_it"]))
    assert (right[0], right[2]) == (
        Severity.WARNING,
        "GRANT DELETE ON `is22`.`notes` TO 'bq_sync'@'127.0.0.1'; or set retention_days: null to keep them for ever",
    )
    assert "spreads of child is ON DELETE CASCADE" in spreads[1]
    assert "holds of child refers to stay" in holds[1]
    assert "log_it" in triggers[1]


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"retention_days": None}, "kept for ever"),
        ({"synced_flag": None}, "without synced_flag"),
        ({"age_column": None}, "without age_column"),
    ],
)
def test_tables_whose_rows_are_never_deleted(table: dict[str, object], said: str) -> None:
    finding = judge_settings("notes", settings_of({"notes": {**NOTES_TABLE, **table}}).tables["notes"])
    assert finding is not None
    assert (finding.level, said in finding.text) == (Severity.OK, True)
