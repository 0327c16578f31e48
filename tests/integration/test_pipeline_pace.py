"""How much is sent at once and kept in memory, and what happens between appends: sizes of batches, idle connections."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import pytest
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse

from actors import table
from actors.parts import Clock, Scheduler
from actors.room import Room
from actors.table import ROOM_BATCHES, OpenedTable
from actors.worker import Opener, open_table
from bigquery import storage_write
from bigquery.append_call import AppendCall
from bigquery.connect import Clients
from bigquery.metadata import read_table
from bigquery.storage_write import StorageWrite
from config.settings import Settings
from database.engine import Engines
from delivery.destination import AppendResult, Destination, FinalizeResult
from delivery.finding import ONE_BY_ONE, Found
from delivery.rows import Encoded, Key, SentRows
from delivery.settle import RowRef
from delivery.source import ReadByColumns
from mapping.row import MAX_ROW_BYTES
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration

FRAMING_BYTES = 1_000  # of Arrow's, around the rows of a batch
REQUEST_BYTES = 10_000_000  # BigQuery's limit


@dataclass(frozen=True)
class Weighed:
    """A destination that keeps how many bytes each append had; see `delivery.destination.Destination`."""

    destination: Destination
    sizes: list[int] = field(default_factory=list)

    def open(self) -> str | None:
        return self.destination.open()

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        self.sizes.append(rows.nbytes)
        return self.destination.send(stream, offset, rows)

    def finalize(self, stream: str) -> FinalizeResult:
        return self.destination.finalize(stream)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self.destination.look_up(rows)

    def close(self) -> None:
        self.destination.close()


def weighing(sizes: list[int]) -> Opener:
    def opener(
        settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
    ) -> OpenedTable:
        opened = open_table(settings, name, engines, clients, scheduler, clock)
        return replace(opened, destination=Weighed(opened.destination, sizes))

    return opener


def batches(site: Site) -> list[int]:
    """How many rows each batch had, in order; all are completed and follow each other in one stream."""
    rows = site.read("SELECT stream_id, stream_offset, row_count, state FROM bq_sync_batch ORDER BY id")
    counts = [count for _, _, count, _ in rows]
    assert [offset for _, offset, _, _ in rows] == [sum(counts[:place]) for place in range(len(counts))]
    assert {(stream, state) for stream, _, _, state in rows} == {(rows[0][0], "completed")}
    return counts


def test_batches_grow_with_the_backlog_up_to_the_limit(mariadb: MariaDB, emulator: Emulator) -> None:
    with notes_site(mariadb, emulator, batch_size=50, max_batch_rows=400, database_share=1) as site:
        site.run("INSERT INTO notes (label) SELECT 'x' FROM seq_1_to_3000")
        with site.working():
            site.wait_until_drained()

        counts = batches(site)
        assert sum(counts) == 3000
        assert counts[0] <= 50
        assert max(counts) == 400
        assert len(counts) <= 20  # of 50 rows each it would be 60
        assert len(site.sent("notes")) == 3000


def test_no_batch_is_over_the_byte_limit(mariadb: MariaDB, emulator: Emulator) -> None:
    sizes: list[int] = []
    with notes_site(mariadb, emulator, batch_size=1000, max_batch_bytes=100_000, database_share=1) as site:
        # From 10 bytes to 10,000, so that no count of rows would keep the limit.
        site.run(
            "INSERT INTO notes (label, detail) SELECT 'x', CONCAT('\"', REPEAT('ü', MOD(seq * 37, 5000)), '\"')"
            " FROM seq_1_to_400"
        )
        with site.working(opener=weighing(sizes)):
            site.wait_until_drained()

        assert len(sizes) == len(batches(site))
        assert max(sizes) <= 100_000 + FRAMING_BYTES
        assert len(sizes) <= 1.5 * sum(sizes) / 100_000 + 2  # and they are filled
        assert len(site.sent("notes")) == 400


class WatchedRoom(Room):
    """Keeps how many bytes of rows were in flight at most."""

    most: int = 0

    def __init__(self, most_rows: int, most_bytes: int, keys: Iterable[Key] = (), aside: Iterable[Key] = ()) -> None:
        super().__init__(most_rows, most_bytes, keys, aside)
        self._sizes: dict[object, int] = {}

    def add(self, found: Iterable[Found]) -> None:
        rows = list(found)
        super().add(rows)
        self._sizes |= {row.key: row.nbytes for row in rows}
        type(self).most = max(type(self).most, sum(self._sizes.values()))

    def add_columns(self, read: ReadByColumns) -> None:
        super().add_columns(read)
        self._sizes |= dict.fromkeys(read.keys, read.nbytes // len(read.keys))
        type(self).most = max(type(self).most, sum(self._sizes.values()))

    def free(self, rows: Iterable[RowRef]) -> None:
        settled = list(rows)
        super().free(settled)
        for row in settled:
            self._sizes.pop(row.key, None)


def test_rows_of_a_megabyte_are_sent_in_small_batches_and_bounded_in_memory(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    monkeypatch.setattr(table, "Room", WatchedRoom)
    monkeypatch.setattr(WatchedRoom, "most", 0)
    with notes_site(mariadb, emulator) as site:
        site.run(
            "INSERT INTO notes (label, detail) SELECT 'x', CONCAT('\"', REPEAT('x', 1000000), '\"') FROM seq_1_to_60"
        )
        with site.working(opener=weighing(sizes)):
            site.wait_until_drained()

        assert sum(batches(site)) == 60
        assert len(sizes) >= 60 / 7
        assert max(sizes) <= site.settings.max_batch_bytes + FRAMING_BYTES
        room = ROOM_BATCHES * site.settings.max_batch_bytes
        assert WatchedRoom.most <= room + 1_000_100  # one row more than there is room for
        ((found, length),) = site.client.query_and_wait(
            "SELECT COUNT(*), MIN(LENGTH(TO_JSON_STRING(detail)))"
            f" FROM `{site.settings.project_id}.{site.settings.dataset_id}.notes`"
        )
        assert (found, length) == (60, 1_000_002)


def test_rows_that_suddenly_get_large_are_bounded_in_memory_too(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "Room", WatchedRoom)
    monkeypatch.setattr(WatchedRoom, "most", 0)
    with notes_site(mariadb, emulator, database_share=1) as site:
        site.run(
            "INSERT INTO notes (id, label) SELECT seq, 'x' FROM seq_1_to_1000",
            "INSERT INTO notes (id, label, detail) SELECT seq, 'x', CONCAT('\"', REPEAT('x', 200000), '\"')"
            " FROM seq_1001_to_1400",
        )
        with site.working():
            site.wait_until_drained()

        assert len(site.sent("notes")) == 1400
        page = ONE_BY_ONE * 200_300  # read before it was known that they are large
        assert WatchedRoom.most <= ROOM_BATCHES * site.settings.max_batch_bytes + page


def test_the_largest_row_that_is_taken_fits_into_a_request(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[int] = []

    class Measured(AppendCall):
        def ask(self, request: AppendRowsRequest, deadline_seconds: float) -> AppendRowsResponse:
            requests.append(AppendRowsRequest.pb(request).ByteSize())
            return super().ask(request, deadline_seconds)

    monkeypatch.setattr(storage_write, "AppendCall", Measured)
    with notes_site(mariadb, emulator) as site, site.working():
        # The row's other columns take some bytes too, so that the last of these is over the limit.
        for less in (1_000, 100, 50, 0):
            detail = '"' + "x" * (MAX_ROW_BYTES - less) + '"'
            site.run("INSERT INTO notes (label, detail) VALUES ('x', :detail)", detail=detail)
        site.flush()
        items = site.read("SELECT sync_status, last_error FROM bq_sync_queue")

        assert len(requests) + len(items) == 4
        assert len(site.sent("notes")) == len(requests) > 0
        assert max(requests) <= REQUEST_BYTES
        assert {status for status, _ in items} == {"failed"}


def test_a_connection_that_was_idle_is_made_anew_and_its_stream_goes_on(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[AppendCall] = []

    def recorded(*arguments: object) -> AppendCall:
        calls.append(AppendCall(*arguments))  # type: ignore[arg-type]  # passed on as they are
        return calls[-1]

    def opener(
        settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
    ) -> OpenedTable:
        opened = open_table(settings, name, engines, clients, scheduler, clock)
        destination = read_table(clients.rest, settings, "notes")
        return replace(opened, destination=StorageWrite(clients, settings, destination, idle_seconds=0.2))

    monkeypatch.setattr(storage_write, "AppendCall", recorded)
    with notes_site(mariadb, emulator) as site, site.working(opener=opener):
        for appended in range(1, 4):
            site.run("INSERT INTO notes (label) SELECT 'x' FROM seq_1_to_3")
            site.wait_until_drained()
            site.wait_until(lambda: not calls[-1].is_open, "the idle connection is closed")
            assert len(calls) == appended

        assert batches(site) == [3, 3, 3]
        assert len(site.sent("notes")) == 9
        assert site.read("SELECT COUNT(*) FROM bq_sync_stream") == [(1,)]
        assert site.read("SELECT last_error FROM bq_sync_table") == [(None,)]
