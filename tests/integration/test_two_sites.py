"""Two sites with equal row ids write to one BigQuery table; each one's look-ups find its own rows only."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pytest

from config.settings import FromValue, Settings
from sandbox.camera import Camera
from sandbox.camera_tables import create_tables
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, make_site, migrate, shipped_settings

pytestmark = pytest.mark.integration

ROWS = 30


def by_tenant() -> Settings:
    """detection_logs as it is shipped: known by event_id, tid and fid."""
    shipped = shipped_settings()
    return shipped.model_copy(update={"tables": {"detection_logs": shipped.tables["detection_logs"]}})


def by_site_id() -> Settings:
    """Two servers that share tid and fid: a constant with the site's id tells their rows apart."""
    settings = by_tenant()
    table = settings.tables["detection_logs"]
    columns = {**table.columns, "source_device": FromValue(value="is22 of {site_id}")}
    identity = (*table.identity, "source_device")
    tables = {"detection_logs": table.model_copy(update={"columns": columns, "identity": identity})}
    return settings.model_copy(update={"tables": tables})


def tenant_of(site: Site) -> Mapping[str, str]:
    ((tid, fid),) = site.read("SELECT DISTINCT tid, fid FROM detection_logs")
    return {"tid": tid, "fid": fid}


def site_id_of(site: Site) -> Mapping[str, str]:
    ((site_id,),) = site.read("SELECT site_id FROM bq_sync_site")
    return {"source_device": f"is22 of {site_id}"}


@dataclass(frozen=True)
class Case:
    """How rows of the sites are told apart: the settings, the second site's tenant, and the columns that say it."""

    settings: Callable[[], Settings]
    second_tid: str
    columns_of: Callable[[Site], Mapping[str, str]]


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(Case(by_tenant, "T2", tenant_of), id="by tenant"),
        pytest.param(Case(by_site_id, "T1", site_id_of), id="by site id"),
    ],
)
def test_each_sites_look_ups_find_its_own_rows_only(mariadb: MariaDB, emulator: Emulator, case: Case) -> None:
    settings = case.settings()
    with (
        make_site(mariadb, emulator, settings) as first,
        make_site(mariadb, emulator, settings, beside=first) as second,
    ):
        emulator.create_shipped_tables(first.settings.dataset_id)
        for site, tid in ((first, "T1"), (second, case.second_tid)):
            create_tables(site.engine)
            migrate(site)
            Camera(site.engine, tid=tid, fid="0150").insert_detections(ROWS)
        # The rows of both have the same partition too, so that nothing but the identity tells them apart.
        second.run("UPDATE detection_logs SET detected_at = '2026-01-05 09:00:00'")
        first.run("UPDATE detection_logs SET detected_at = '2026-01-05 09:00:00'")

        send(first)
        assert found_by_look_up(first) == 0
        # Each of the second's ids is there already, but of the first.
        send(second, lookup_first=True)
        assert found_by_look_up(second) == 0
        check(first, case.columns_of(first))
        check(second, case.columns_of(second))

        # A backup forgot that rows were sent: now look-ups find them, each site its own.
        Camera(first.engine, seed=2, tid="T1", fid="0150").insert_detections(5)
        for site in (first, second):
            site.run("UPDATE detection_logs SET synced_to_bq = 0", "DELETE FROM bq_sync_queue")
            send(site, lookup_first=True)
            assert found_by_look_up(site) == ROWS
            check(site, case.columns_of(site))
        assert len(first.sent("semantic_events")) == 2 * ROWS + 5


def send(site: Site, *, lookup_first: bool = False) -> None:
    with site.working(lookup_first=lookup_first):
        site.wait_until(lambda: site.state("detection_logs") == "running", "it has recovered")
        site.wait_until_drained()


def found_by_look_up(site: Site) -> int:
    """Rows that were in BigQuery before they were to be sent: their batches have no stream."""
    ((rows,),) = site.read(
        "SELECT COALESCE(SUM(row_count), 0) FROM bq_sync_batch WHERE stream_id IS NULL AND state = 'completed'"
    )
    return int(rows)


def check(site: Site, columns: Mapping[str, str]) -> None:
    """Each of the site's rows is in BigQuery once, with equal values."""
    site_id = site.read("SELECT site_id FROM bq_sync_site")[0][0]
    compared = compare(site.engine, site.client, site.settings, site=columns, site_id=site_id)
    assert compared.equal, compared.report()
