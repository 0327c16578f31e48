"""Primary keys of every kind: large and negative integers, and text under a collation."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import make_site, migrate, settings_of

pytestmark = pytest.mark.integration

SCHEMA = (SchemaField("key", "STRING", "REQUIRED"), SchemaField("label", "STRING"))
THINGS: Mapping[str, Any] = {"destination": "things", "primary_key": "id", "columns": {"key": "id", "label": "label"}}


@pytest.mark.parametrize(
    ("column_type", "keys"),
    [
        ("BIGINT UNSIGNED", [1, 2**53, 2**53 + 1, 2**63 - 1, 2**63, *range(2**64 - 6, 2**64)]),
        ("BIGINT", [-(2**63), -(2**53) - 1, *range(-3, 4), 2**53 + 1, 2**63 - 1]),
    ],
)
def test_integers_up_to_their_limits(mariadb: MariaDB, emulator: Emulator, column_type: str, keys: list[int]) -> None:
    table = f"CREATE TABLE things (id {column_type} PRIMARY KEY, label VARCHAR(30)) ENGINE=InnoDB"
    with make_site(mariadb, emulator, settings_of({"things": THINGS}), table) as site:
        site.create("things", SCHEMA)
        migrate(site)
        site.run("SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
        for key in keys:
            site.run(f"INSERT INTO things (id, label) VALUES ({key}, 'row {key}')")
        items = [site.enqueue("things", key) for key in keys[::2]]
        with site.working():
            site.wait_until_drained()

        assert sorted((int(row["key"]), row["label"]) for row in site.sent("things")) == [
            (key, f"row {key}") for key in keys
        ]
        assert site.read("SELECT COUNT(*) FROM things WHERE synced_to_bq") == [(len(keys),)]
        assert {site.item(item) for item in items} == {("completed", None, True)}


TEXTS = ["Abc", "äöü", "it's", "日本 🚪", "a b", "x%_\\", "10", "9"]


@pytest.mark.parametrize("character_set", ["utf8mb4 COLLATE utf8mb4_general_ci", "utf8mb4 COLLATE utf8mb4_bin"])
def test_text(mariadb: MariaDB, emulator: Emulator, character_set: str) -> None:
    table = f"CREATE TABLE things (id VARCHAR(40) PRIMARY KEY, label VARCHAR(30)) CHARACTER SET {character_set}"
    with make_site(mariadb, emulator, settings_of({"things": THINGS}), table) as site:
        site.create("things", SCHEMA)
        migrate(site)
        for key in TEXTS:
            site.run("INSERT INTO things (id, label) VALUES (:key, 'row')", key=key)
        items = [site.enqueue("things", key) for key in TEXTS[::2]]
        with site.working():
            site.wait_until_drained()

        assert sorted(row["key"] for row in site.sent("things")) == sorted(TEXTS)
        assert site.read("SELECT COUNT(*) FROM things WHERE synced_to_bq") == [(len(TEXTS),)]
        assert {site.item(item) for item in items} == {("completed", None, True)}


def test_text_is_one_key_where_its_collation_says_so(mariadb: MariaDB, emulator: Emulator) -> None:
    table = (
        "CREATE TABLE things (id VARCHAR(40) PRIMARY KEY, label VARCHAR(30))"
        " CHARACTER SET latin1 COLLATE latin1_swedish_ci"
    )
    with make_site(mariadb, emulator, settings_of({"things": THINGS}), table) as site:
        site.create("things", SCHEMA)
        migrate(site)
        site.run("INSERT INTO things (id, label) VALUES ('Größe', 'one'), ('Other', 'two')")
        first, *duplicates = [site.enqueue("things", spelled) for spelled in ("größe", "GRÖßE", "Größe")]
        payload = site.enqueue("things", "OTHER", payload=json.dumps({"label": "payload"}))
        with site.working():
            site.wait_until_drained()
            late = site.enqueue("things", "oTHER")
            site.wait_until_drained()

        sent = sorted((row["key"], row["label"]) for row in site.sent("things"))
        assert sent == [("Größe", "one"), ("Other", "payload")]
        assert site.item(first) == site.item(payload) == ("completed", None, True)
        assert {site.item(item) for item in (*duplicates, late)} == {("completed", None, False)}
        assert {spelled for (spelled,) in site.read("SELECT record_id FROM bq_sync_queue")} == {"Größe", "Other"}


def test_a_record_id_that_the_key_can_not_hold_fails_alone(mariadb: MariaDB, emulator: Emulator) -> None:
    table = "CREATE TABLE things (id VARCHAR(40) PRIMARY KEY, label VARCHAR(30)) CHARACTER SET latin1"
    with make_site(mariadb, emulator, settings_of({"things": THINGS}), table) as site:
        site.create("things", SCHEMA)
        migrate(site)
        site.run("INSERT INTO things (id, label) VALUES ('äöü€', 'row'), ('b', 'row')")
        items = [site.enqueue("things", record) for record in ("日本", "äöü€")]
        with site.working():
            site.wait_until_drained()
        assert [site.item(item)[0] for item in items] == ["failed", "completed"]
        assert sorted(row["key"] for row in site.sent("things")) == ["b", "äöü€"]
