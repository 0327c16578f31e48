"""Record ids as keys."""

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
