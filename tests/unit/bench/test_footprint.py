"""Statements that an idle database hears, by what they do and to which tables."""

import pytest

from bench.footprint import kind_of


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("SELECT `t`.`id` \nFROM `t` \nWHERE `t`.`flag` = 0", "SELECT t"),
        ("SELECT a.x \nFROM a UNION ALL SELECT b.x \nFROM b JOIN a", "SELECT a, b"),
        ("SELECT count(*) AS c \nFROM (SELECT 1 \nFROM `t` LIMIT 9) AS anon_1", "SELECT t"),
        ("UPDATE bq_sync_batch SET state='completed'", "UPDATE bq_sync_batch"),
        ("INSERT INTO `bq_sync_queue` (id) VALUES (1)", "INSERT bq_sync_queue"),
        ("SET NAMES utf8mb4", "SET"),
        ("ROLLBACK", "ROLLBACK"),
    ],
)
def test_kinds(statement: str, kind: str) -> None:
    assert kind_of(statement) == kind
