"""Times arrive as the right instants: DATETIMEs by the configured zone, TIMESTAMPs whatever the server's own is."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from google.cloud.bigquery import SchemaField

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, make_site, migrate, settings_of

pytestmark = pytest.mark.integration

TIMES = """
CREATE TABLE times (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, local_at DATETIME(6) NULL, stamped_at TIMESTAMP(6) NULL DEFAULT NULL
) ENGINE=InnoDB
"""
SCHEMA = (
    SchemaField("id", "INT64", "REQUIRED"),
    SchemaField("local_at", "TIMESTAMP"),
    SchemaField("stamped_at", "TIMESTAMP"),
    SchemaField("as_text", "STRING"),
)
TABLE = {
    "destination": "times",
    "primary_key": "id",
    "age_column": "local_at",
    "columns": {"id": "id", "local_at": "local_at", "stamped_at": "stamped_at", "as_text": {"template": "{local_at}"}},
}


@pytest.fixture(scope="module")
def mariadb_elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A server whose own zone is neither UTC nor any that is configured."""
    with MariaDB(tmp_path_factory.mktemp("mariadb_elsewhere"), default_time_zone="-03:30") as server:
        yield server


def carry(site: Site) -> dict[int, tuple[datetime | None, datetime | None]]:
    """What BigQuery has of each row after a worker has sent all: its two instants."""
    site.create("times", SCHEMA, "local_at")
    migrate(site)
    with site.working():
        site.wait_until_drained()
    rows = sorted(site.sent("times"), key=lambda row: row["id"])
    for row in rows:  # the same instant, as text
        if row["local_at"] is not None:
            assert datetime.fromisoformat(row["as_text"]) == row["local_at"]
    return {row["id"]: (row["local_at"], row["stamped_at"]) for row in rows}


@pytest.mark.parametrize(
    ("zone", "instants"),
    [
        (
            "Asia/Tokyo",
            {
                "2026-01-05 09:00:00": "2026-01-05T00:00:00",
                "2026-01-05 08:59:59.999999": "2026-01-04T23:59:59.999999",  # of the day before, in UTC
                "2026-07-05 09:00:00": "2026-07-05T00:00:00",
                "1951-07-01 09:00:00": "1951-06-30T23:00:00",  # Japan had summer time then
            },
        ),
        (
            "Europe/Berlin",
            {
                "2025-10-26 01:59:59": "2025-10-25T23:59:59",
                "2025-10-26 02:30:00": "2025-10-26T00:30:00",  # repeated: the first of the two
                "2025-10-26 03:00:00": "2025-10-26T02:00:00",
                "2025-03-30 01:59:59": "2025-03-30T00:59:59",
                "2025-03-30 02:30:00": "2025-03-30T01:30:00",  # skipped: moved forward
                "2025-03-30 03:00:00": "2025-03-30T01:00:00",
            },
        ),
        ("UTC", {"2026-01-05 09:00:00": "2026-01-05T09:00:00"}),
    ],
)
def test_datetimes_are_in_the_configured_zone(
    mariadb_elsewhere: MariaDB, emulator: Emulator, zone: str, instants: dict[str, str]
) -> None:
    settings = settings_of({"times": TABLE}, database_timezone=zone)
    with make_site(mariadb_elsewhere, emulator, settings, TIMES) as site:
        for local in instants:
            site.run(f"INSERT INTO times (local_at) VALUES ('{local}')")

        assert [local for local, _ in carry(site).values()] == [
            datetime.fromisoformat(instant).replace(tzinfo=UTC) for instant in instants.values()
        ]


def test_without_a_zone_nothing_is_guessed(mariadb_elsewhere: MariaDB, emulator: Emulator) -> None:
    settings = settings_of({"times": TABLE}, database_timezone=None)
    with make_site(mariadb_elsewhere, emulator, settings, TIMES) as site:
        site.create("times", SCHEMA, "local_at")
        migrate(site)
        site.run("INSERT INTO times (local_at) VALUES ('2026-01-05 09:00:00')")
        with site.working():
            site.wait_until(lambda: site.state("times") == "blocked", "the table is refused")
            ((reason,),) = site.read("SELECT reason FROM bq_sync_table")

        assert "database_timezone is not set, and the server's zone isn't UTC" in reason
        assert site.sent("times") == []


def test_timestamps_are_instants_whatever_the_servers_and_the_producers_zones(
    mariadb_elsewhere: MariaDB, emulator: Emulator
) -> None:
    settings = settings_of({"times": TABLE}, database_timezone="Asia/Tokyo")
    with make_site(mariadb_elsewhere, emulator, settings, TIMES) as site:
        # Four producers' sessions, each in another zone, write the same instant.
        for zone, local in (
            ("-03:30", "2026-01-04 20:30:00.25"),
            ("+00:00", "2026-01-05 00:00:00.25"),
            ("+09:00", "2026-01-05 09:00:00.25"),
            ("SYSTEM", None),
        ):
            value = f"'{local}'" if local else "FROM_UNIXTIME(1767571200.25)"
            site.run(f"SET time_zone = '{zone}'", f"INSERT INTO times (stamped_at) VALUES ({value})")
        site.engine.dispose()  # with the zones of its sessions

        sent = carry(site)
        assert {stamped for _, stamped in sent.values()} == {datetime(2026, 1, 5, 0, 0, 0, 250_000, UTC)}
        assert len(sent) == 4


def test_a_payloads_times_without_offset_are_in_the_configured_zone(mariadb: MariaDB, emulator: Emulator) -> None:
    settings = settings_of({"times": {**TABLE, "synced_flag": None}}, database_timezone="Asia/Tokyo")
    with make_site(mariadb, emulator, settings, TIMES) as site:
        site.create("times", SCHEMA, "local_at")
        migrate(site)
        given = [
            "2026-01-05T09:00:00",
            "2026-01-05T09:00:00+09:00",
            "2026-01-05 00:00:00Z",
            "2026-01-04T20:30:00-03:30",
        ]
        for number, instant in enumerate(given):
            site.enqueue("times", number, payload=json.dumps({"local_at": instant}))
        with site.working():
            site.wait_until_drained()

        assert [row["local_at"] for row in site.sent("times")] == [datetime(2026, 1, 5, tzinfo=UTC)] * 4
