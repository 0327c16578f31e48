"""A site with a table of all kinds of values, and somebody who damages BigQuery's copy of it by hand."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from google.cloud import bigquery
from pydantic import SecretStr

from database.key_walk import SqlKeyWalk
from delivery.verify_report import Damage, VerifyReport
from operations.opening import open_both_sides
from operations.reaching import Reached, reaching
from operations.verify import Told, Wanted, verify_table
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import RETRY, Site, make_site, migrate, settings_of

VISITS = """
CREATE TABLE visits (
    id {key} PRIMARY KEY,
    tid VARCHAR(20) NOT NULL DEFAULT 't1',
    fid VARCHAR(20) NULL DEFAULT 'f1',
    seen_at DATETIME(3) NULL,
    score DOUBLE NULL,
    price DECIMAL(10, 3) NULL,
    detail JSON NULL,
    tags JSON NULL,
    picture VARBINARY(20) NULL,
    INDEX (seen_at)
) ENGINE=InnoDB
"""
NUMBERED = "BIGINT AUTO_INCREMENT"

SCHEMA = (
    bigquery.SchemaField("visit_id", "STRING", "REQUIRED"),
    bigquery.SchemaField("tid", "STRING", "REQUIRED"),
    bigquery.SchemaField("fid", "STRING"),
    bigquery.SchemaField("seen_at", "TIMESTAMP"),
    bigquery.SchemaField("score", "FLOAT64"),
    bigquery.SchemaField("price", "NUMERIC"),
    bigquery.SchemaField("detail", "JSON"),
    bigquery.SchemaField("tags", "STRING", "REPEATED"),
    bigquery.SchemaField("picture", "BYTES"),
    bigquery.SchemaField("source", "STRING"),
)

TABLE: Mapping[str, Any] = {
    "destination": "visits",
    "primary_key": "id",
    "age_column": "seen_at",
    "identity": ["visit_id", "tid", "fid"],
    "retention_days": None,
    "columns": {
        "visit_id": {"template": "vis_{id}"},
        "source": {"value": "camera"},
        **{name: name for name in ("tid", "fid", "seen_at", "score", "price", "detail", "tags", "picture")},
    },
}

FIRST = "'2026-03-01 00:00:00'"  # Asia/Tokyo: the day before, in UTC
DETAIL = """CONCAT('{"seq": ', seq, ', "share": 0.125, "boxes": [1, 2.50, "x"], "none": null, "yes": true}')"""


@contextmanager
def visits_site(
    mariadb: MariaDB,
    emulator: Emulator,
    *,
    key: str = NUMBERED,
    table: Mapping[str, Any] | None = None,
    schema: Sequence[bigquery.SchemaField] = SCHEMA,
    partition: str | None = "seen_at",
    **settings: Any,
) -> Iterator[Site]:
    """A site with the table `visits`, migrated."""
    configured = settings_of(
        {"visits": {**TABLE, **(table or {})}}, database_timezone="Asia/Tokyo", batch_size=1000, **settings
    )
    with make_site(mariadb, emulator, configured, VISITS.format(key=key)) as site:
        site.create("visits", schema, partition)
        migrate(site)
        yield site


def visit(site: Site, rows: int, *, every_seconds: int = 3600, **columns: str) -> None:
    """Rows with all kinds of values, each some seconds after the other, from FIRST on."""
    values = {
        "seen_at": f"{FIRST} + INTERVAL seq * {every_seconds} SECOND",
        "score": "seq / 7",
        "price": "seq / 8",
        "detail": DETAIL,
        "tags": "IF(seq % 3 = 0, NULL, JSON_ARRAY('a', CONCAT('b', seq)))",
        "picture": "UNHEX(HEX(seq))",
        **columns,
    }
    site.run(
        f"INSERT INTO visits ({', '.join(values)}) SELECT {', '.join(values.values())} FROM seq_1_to_{rows}".replace(
            ":", "\\:"
        )
    )


def carried(site: Site, rows: int, **columns: Any) -> None:
    """Rows that BigQuery has."""
    visit(site, rows, **columns)
    with site.working():
        site.wait_until_drained()


def verified(site: Site, **wanted: Any) -> VerifyReport:
    """What `bq-sync verify` reports."""
    with _reached(site) as reached:
        return verify_table(reached, "visits", Wanted(**{"hurry": True, **wanted}), Told())


@contextmanager
def key_walk(site: Site) -> Iterator[SqlKeyWalk]:
    with _reached(site) as reached:
        opened = open_both_sides(reached.settings, "visits", reached.engines, reached.clients)
        yield SqlKeyWalk(reached.engines.read, opened.source, opened.columns)


@contextmanager
def _reached(site: Site) -> Iterator[Reached]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in site.emulator.environment().items():
            patch.setenv(name, value)
        settings = site.settings.model_copy(update={"database_url": SecretStr(site.url)})
        with reaching(settings) as reached:
            yield reached


def in_bigquery(site: Site, statement: str) -> None:
    """Run a statement there, as somebody does by hand; `visits` is the table."""
    table = f"`{site.settings.project_id}.{site.settings.dataset_id}.visits`"
    site.client.query_and_wait(statement.replace("visits", table), retry=RETRY, job_retry=None)


def named(report: VerifyReport, damage: Damage) -> list[Any]:
    """The keys of the rows with that damage, ascending; with the columns of different ones."""
    rows = [row for row in report.damaged if row.damage is damage]
    if damage is Damage.DIFFERENT:
        return sorted((row.key, *row.columns) for row in rows)
    return sorted(((row.key if row.key is not None else row.id[0]) for row in rows), key=str)


def ids(keys: Collection[int]) -> str:
    return ", ".join(f"'vis_{key}'" for key in keys)
