"""A site with a table of old and young rows, for tests of retention."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from google.cloud import bigquery

from database.commands import CommandKind, CommandState, request
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import RETRY, BigQuery, Site, make_site, migrate, settings_of

OLD = "UTC_TIMESTAMP() - INTERVAL 90 DAY"
YOUNG = "UTC_TIMESTAMP() - INTERVAL 59 DAY"

EVENTS = """
CREATE TABLE events (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, label VARCHAR(100) NULL, happened_at DATETIME(3) NULL, INDEX (happened_at)
) ENGINE=InnoDB
"""

PICTURES = """
CREATE TABLE pictures (
    id BIGINT AUTO_INCREMENT PRIMARY KEY, event_id BIGINT,
    CONSTRAINT picture_of FOREIGN KEY (event_id) REFERENCES events (id) {0}
) ENGINE=InnoDB
"""

SCHEMA = (
    bigquery.SchemaField("event_id", "STRING", "REQUIRED"),
    bigquery.SchemaField("label", "STRING"),
    bigquery.SchemaField("happened_at", "TIMESTAMP"),
)

TABLE: Mapping[str, Any] = {
    "destination": "events",
    "primary_key": "id",
    "age_column": "happened_at",
    "columns": {"event_id": {"template": "ev_{id}"}, "label": "label", "happened_at": "happened_at"},
}


@contextmanager
def events_site(
    mariadb: MariaDB, emulator: BigQuery, *statements: str, table: Mapping[str, Any] | None = None, **settings: Any
) -> Iterator[Site]:
    """A site with the table `events`, migrated; `statements` before that, `table` changes its settings."""
    configured = settings_of({"events": {**TABLE, **(table or {})}}, **settings)
    with make_site(mariadb, emulator, configured, *(statements or (EVENTS,))) as site:
        site.create("events", SCHEMA, "happened_at")
        migrate(site)
        yield site


def insert(site: Site, rows: int, at: str = OLD) -> None:
    """Rows of that age, each some seconds apart."""
    site.run(
        f"INSERT INTO events (label, happened_at) SELECT 'some', {at} + INTERVAL seq * 10 SECOND FROM seq_1_to_{rows}"
    )


def carried(site: Site, rows: int, at: str = OLD) -> None:
    """Rows that BigQuery has; a worker runs."""
    insert(site, rows, at)
    site.wait_until_drained()


def ask(site: Site, **arguments: object) -> str:
    with site.engine.begin() as connection:
        return request(connection, CommandKind.RETENTION, ["events"], arguments)


def answered(site: Site, asked: str) -> Mapping[str, Any]:
    """The report, once it is there."""
    site.wait_until(lambda: all(each.state is CommandState.DONE for each in site.outcomes(asked)), "retention is done")
    (outcome,) = site.outcomes(asked)
    return outcome.result


def run(site: Site, **arguments: object) -> Mapping[str, Any]:
    """Ask for a run, and wait for its report."""
    return answered(site, ask(site, **arguments))


def left(site: Site) -> list[int]:
    """Keys of the rows that are there."""
    return [key for (key,) in site.read("SELECT id FROM events ORDER BY id")]


def remove_from_bigquery(site: Site, *keys: int) -> None:
    """As somebody does by hand."""
    table = f"`{site.settings.project_id}.{site.settings.dataset_id}.events`"
    ids = ", ".join(f"'ev_{key}'" for key in keys)
    site.client.query_and_wait(f"DELETE FROM {table} WHERE event_id IN ({ids})", retry=RETRY, job_retry=None)


def by_another_user(site: Site, mariadb: MariaDB, rights: str) -> Site:
    """The site with a worker whose database user has only these rights on the source table, and none on the server."""
    database = site.engine.url.database
    assert database is not None
    mariadb.execute(
        "CREATE USER IF NOT EXISTS careful@'127.0.0.1' IDENTIFIED BY 'x'",
        f"GRANT {rights} ON `{database}`.events TO careful@'127.0.0.1'",
        *(
            f"GRANT SELECT, INSERT, UPDATE, DELETE ON `{database}`.{name} TO careful@'127.0.0.1'"
            for (name,) in site.read("SHOW TABLES LIKE 'bq_sync%'")
        ),
    )
    return replace(site, url=mariadb.url(database, user="careful", password="x"))
