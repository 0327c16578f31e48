"""A flush sends at once what waits, for the interval or after a failure, and tells how many rows it was."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from actors.parts import Clock, Scheduler
from actors.table import OpenedTable
from actors.worker import open_table
from bigquery.connect import Clients
from config.settings import Settings
from database.engine import Engines
from delivery.destination import AppendResult, Destination, FinalizeResult
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import Encoded, SentRows
from sandbox.camera import Camera
from sandbox.camera_tables import create_tables
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, make_site, migrate, notes_site, shipped_settings

pytestmark = pytest.mark.integration

AWAY = Failure(ErrorClass.TRANSIENT, "the network is down", definite=True)


@pytest.fixture
def patient_site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    """The three shipped tables, carried by a worker that sends once in an hour; it has sent a first batch of each."""
    with make_site(mariadb, emulator, shipped_settings(interval_seconds=3600)) as site:
        emulator.create_shipped_tables(site.settings.dataset_id)
        create_tables(site.engine)
        migrate(site)
        fill(site, 1)
        with site.working():
            site.flush()
            yield site


def fill(site: Site, rows: int) -> None:
    camera = Camera(site.engine)
    for table in site.settings.tables:
        camera.insert(table, rows)


def test_rows_that_wait_for_the_interval_are_sent_at_once_and_counted(patient_site: Site) -> None:
    fill(patient_site, 40)

    assert patient_site.flush() == 3 * 40

    assert patient_site.waiting() == 0
    assert len(patient_site.sent("semantic_events")) == 41
    assert patient_site.flush() == 0


def test_only_the_tables_that_are_named_are_flushed(patient_site: Site) -> None:
    fill(patient_site, 4)

    assert patient_site.flush("detection_logs", "is21_logs") == 2 * 4

    assert len(patient_site.sent("semantic_events")) == len(patient_site.sent("inference_logs")) == 5
    assert len(patient_site.sent("summaries")) == 1


def test_several_batches_are_flushed_whole(mariadb: MariaDB, emulator: Emulator) -> None:
    with notes_site(mariadb, emulator, interval_seconds=3600, batch_size=10, max_batch_rows=20) as site, site.working():
        site.flush()
        site.run("INSERT INTO notes (label) SELECT 'x' FROM seq_1_to_250")

        assert site.flush() == 250
        assert len(site.sent("notes")) == 250


@dataclass
class Network:
    """The way to BigQuery, which can be away."""

    is_there: bool = True


@dataclass(frozen=True)
class BehindNetwork:
    """A destination that answers as long as its network is there; see `delivery.destination.Destination`."""

    destination: Destination
    network: Network

    def open(self) -> str | None:
        if not self.network.is_there:
            raise DestinationError(AWAY)
        return self.destination.open()

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        return self.destination.send(stream, offset, rows) if self.network.is_there else AWAY

    def finalize(self, stream: str) -> FinalizeResult:
        return self.destination.finalize(stream) if self.network.is_there else AWAY

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self.destination.look_up(rows)

    def close(self) -> None:
        self.destination.close()


@pytest.mark.parametrize("sent_before", [0, 1], ids=["no stream is open yet", "a batch is begun"])
def test_a_flush_does_not_wait_for_the_backoffs_end(mariadb: MariaDB, emulator: Emulator, sent_before: int) -> None:
    network = Network()

    def opener(
        settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
    ) -> OpenedTable:
        opened = open_table(settings, name, engines, clients, scheduler, clock)
        return replace(opened, destination=BehindNetwork(opened.destination, network))

    with notes_site(mariadb, emulator) as site, site.working(opener=opener):
        for _ in range(sent_before):
            site.run("INSERT INTO notes (label) VALUES ('before')")
            site.flush()
        network.is_there = False
        site.run("INSERT INTO notes (label) VALUES ('waits')")
        site.wait_until(lambda: site.state("notes") == "waiting", "the network's loss is noticed")
        # Each flush is an attempt of its own: by now the next would be made after 80 s at the earliest.
        for _ in range(5):
            site.ask_to_flush()
            site.wait_until(lambda: waiting_commands(site) == 0, "the command is taken")
        assert len(site.sent("notes")) == sent_before

        network.is_there = True
        site.flush()

        assert len(site.sent("notes")) == sent_before + 1
        assert site.read("SELECT DISTINCT state FROM bq_sync_command") == [("done",)]
        site.wait_until(lambda: site.state("notes") == "running", "the table runs again")


def waiting_commands(site: Site) -> int:
    return int(site.read("SELECT COUNT(*) FROM bq_sync_command WHERE state = 'waiting'")[0][0])
