"""Record ids as keys."""

from dataclasses import replace

import pytest

from mapping.key import key_of
from tests.unit.mapping.tables import source_column


@pytest.mark.parametrize(
    ("column_type", "record_id", "key"),
    [
        ("int(11)", "7", 7),
        ("int(11)", "007", 7),
        ("int(11)", "+7", 7),
        ("int(11)", "-7", -7),
        ("int(11)", "2147483647", 2147483647),
        ("int(11)", "2147483648", None),
        ("int(10) unsigned", "-1", None),
        ("int(10) unsigned", "4294967295", 4294967295),
        ("bigint(20) unsigned", "18446744073709551615", 18446744073709551615),
        ("bigint(20)", "9223372036854775808", None),
        ("tinyint(4)", "128", None),
        ("mediumint(9)", "-8388608", -8388608),
        *(
            ("int(11)", record_id, None)
            for record_id in ("", " 7", "7.0", "1e3", "1_0", "７", "0x7", "det_7", "9" * 5000)
        ),
        ("varchar(36)", "007", "007"),
        ("char(4)", "", ""),
    ],
)
def test_a_record_id_means_a_key_or_none(column_type: str, record_id: str, key: int | str | None) -> None:
    assert key_of(source_column("id", column_type))(record_id) == key


@pytest.mark.parametrize(
    ("character_set", "record_id", "is_key"),
    [
        ("latin1", "äöü€", True),
        ("latin1", "日本", False),
        ("ascii", "abc", True),
        ("ascii", "ä", False),
        ("utf8mb3", "日本", True),
        ("utf8mb3", "🚪", False),
        ("utf8mb4", "🚪", True),
        ("utf8mb4", "a\ud800", False),
        ("sjis", "日本", True),
        (None, "日本", True),
    ],
)
def test_a_text_that_the_column_can_not_hold_is_no_key(character_set: str | None, record_id: str, is_key: bool) -> None:
    column = replace(source_column("id", "varchar(36)"), character_set=character_set)
    assert key_of(column)(record_id) == (record_id if is_key else None)
