"""What is left of BigQuery's text about a bad row."""

import pytest

from bigquery.row_errors import LONGEST, without_values

COLUMNS = ["tid", "detected_at", "tags"]


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("Field value of detected_at cannot be empty", "Field value of detected_at cannot be empty"),
        ('Field "tid" is required', 'Field "tid" is required'),
        ("Field root.tid: STRING(10) has maximum length 10", "Field root.tid: STRING(10) has maximum length 10"),
        ("Could not parse 'AB 12-34' on `root.tags`", "Could not parse '...' on `root.tags`"),
        (
            "Timestamp out of range. Field: detected_at; Value: 99999-01-01 x",
            "Timestamp out of range. Field: detected_at; Value: ...",
        ),
        ("Bad timestamp 253402300800000000 of detected_at", "Bad timestamp ... of detected_at"),
        ("Bad date 2026-11-20 in tags", "Bad date ... in tags"),
        ("It's no JSON: 'it's' isn't", "It's no JSON: '...' isn't"),
        ("Can't parse 'cut off by the serv", "Can't parse '...'"),
        ('Invalid JSON: "a\nb" at 3', 'Invalid JSON: "..." at 3'),
    ],
)
def test_columns_and_kind_stay_and_values_go(said: str, left: str) -> None:
    assert without_values(said, COLUMNS) == left


def test_a_reason_has_an_end() -> None:
    assert len(without_values("x" * 5000, COLUMNS)) == LONGEST
