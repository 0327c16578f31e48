"""insert_all against the emulator: rows of every type, the shipped tables, and a change of method in the middle."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from google.cloud import bigquery
from sqlalchemy import create_engine

from actors import worker
from actors.parts import Clock, Scheduler
from actors.table import OpenedTable
from bigquery import metadata
from bigquery.connect import Clients, connect
from bigquery.insert_all import InsertAll
from bigquery.storage_write import StorageWrite
from config.settings import Settings, WriteMethod
from database.engine import Engines
from delivery.destination import Appended, AppendResult
from delivery.errors import ErrorClass, Failure
from delivery.rows import Encoded, SentRow, SentRows
from mapping.insert_ids import InsertIds
from mapping.json_rows import JsonEncoding
from mapping.row import Layout
from sandbox.camera import Camera
from sandbox.camera_tables import create_tables
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, make_site, migrate, notes_site, shipped_settings

pytestmark = pytest.mark.integration

VALUES = {
    "s": ("STRING", 'it\'s "quoted" \\ 猫\n\u2028'),
    "i": ("INT64", 2**63 - 1),
    "f": ("FLOAT64", 0.1),
    "nan": ("FLOAT64", float("inf")),
    "n": ("NUMERIC", Decimal("-12345678901234567890.123456789")),
    "b": ("BOOL", False),
    "raw": ("BYTES", b"\x00\xff"),
    "d": ("DATE", date(2026, 1, 31)),
    "t": ("TIME", time(1, 2, 3, 10_000)),
    "dt": ("DATETIME", datetime(2026, 1, 31, 1, 2, 3, 4)),
    "ts": ("TIMESTAMP", datetime(2026, 1, 31, 1, 2, 3, 4, UTC)),
    "j": ("JSON", '{"a": [1.5, null, "猫"]}'),
}


@pytest.fixture
def settings(emulator: Emulator, dataset: str) -> Settings:
    return Settings.model_validate(
        {
            "project_id": emulator.project,
            "dataset_id": dataset,
            "storage_endpoint": emulator.storage_endpoint,
            "write_method": "insert_all",
            "tables": {"logs": {"destination": "types", "primary_key": "id", "columns": {"s": "id"}}},
        }
    )


@pytest.fixture
def clients(settings: Settings, emulator: Emulator) -> Iterator[Clients]:
    clients = connect(settings, emulator.environment())
    yield clients
    clients.close()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_every_type_arrives_as_it_is(settings: Settings, clients: Clients, compression: str) -> None:
    schema = [bigquery.SchemaField(name, kind) for name, (kind, _) in VALUES.items()]
    schema.append(bigquery.SchemaField("texts", "STRING", "REPEATED"))
    table = bigquery.Table(f"{settings.project_id}.{settings.dataset_id}.types", schema)
    clients.rest.create_table(table, timeout=10)
    described = metadata.read_table(clients.rest, settings, "types")
    encoding = JsonEncoding(described, InsertIds("site", "logs"))
    columns = list(described.columns.values())
    layout = Layout(columns, ["s"], None, encoding.row_bytes(columns))
    full = (*(value for _, value in VALUES.values()), ["人物", ""])
    rows = [layout.row(full), layout.row((*([None] * len(VALUES)), []))]

    destination = InsertAll(clients, settings.model_copy(update={"compression": compression}), described)
    assert destination.send(None, None, encoding.encode([1, 2], rows)) == Appended()
    assert destination.look_up(SentRows(("s",), None, (SentRow(1, (full[0],)), SentRow(3, ("else",))))) == {0}
    destination.close()

    sent = {row["i"]: row for row in clients.rest.list_rows(table, timeout=10)}
    assert list(sent[VALUES["i"][1]].values())[:-2] == list(full)[:-2]
    assert sent[VALUES["i"][1]]["j"] == {"a": [1.5, None, "猫"]}
    assert sent[VALUES["i"][1]]["texts"] == ["人物", ""]
    assert list(sent[None].values()) == [*([None] * len(VALUES)), []]


def test_a_worker_carries_the_shipped_tables(mariadb: MariaDB, emulator: Emulator) -> None:
    """Every column of every row is compared: types, time zones, JSON."""
    rows = {"detection_logs": 1300, "ai_summary_cache": 50, "is21_logs": 100}
    with make_site(
        mariadb, emulator, shipped_settings(write_method="insert_all", batch_size=1000, database_share=1)
    ) as site:
        emulator.create_shipped_tables(site.settings.dataset_id)
        create_tables(site.engine)
        migrate(site)
        camera_engine = create_engine(site.url)
        camera = Camera(camera_engine)
        for table, count in rows.items():
            camera.insert(table, count)
        with site.working():
            site.wait_until_drained()
        camera_engine.dispose()

        compared = compare(site.engine, site.client, site.settings)
        assert compared.equal, compared.report()
        assert {name: table.source_rows for name, table in compared.tables.items()} == rows
        assert site.read("SELECT COUNT(*) FROM bq_sync_stream") == [(0,)]
        assert site.read("SELECT MAX(row_count) FROM bq_sync_batch") == [(500,)]


class LosingTheAnswer:
    """Writes the first batch, and has not heard that it was written; nothing goes through any more after that."""

    def __init__(self, inner: StorageWrite | InsertAll) -> None:
        self._inner = inner
        self.lost = threading.Event()
        self.open, self.finalize, self.look_up, self.close = inner.open, inner.finalize, inner.look_up, inner.close

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        if not self.lost.is_set():
            assert self._inner.send(stream, offset, rows) == Appended()
        self.lost.set()
        return Failure(ErrorClass.TRANSIENT, "the line is gone", definite=False)


def leave_a_batch_open(site: Site) -> None:
    """Have a worker write a batch of which its ledger doesn't know that it was written, and end."""
    losing: list[LosingTheAnswer] = []

    def opener(
        settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
    ) -> OpenedTable:
        opened = worker.open_table(settings, name, engines, clients, scheduler, clock)
        assert isinstance(opened.destination, StorageWrite | InsertAll)
        losing.append(LosingTheAnswer(opened.destination))
        return replace(opened, destination=losing[-1])

    with site.working(opener=opener):
        site.wait_until(lambda: bool(losing) and losing[0].lost.is_set(), "a batch is written")
    assert site.read("SELECT state, COUNT(*) FROM bq_sync_batch GROUP BY state") == [("begun", 1)]


@pytest.mark.parametrize(("first", "then"), [("storage_write", "insert_all"), ("insert_all", "storage_write")])
def test_the_method_may_change_while_a_batch_is_open(
    mariadb: MariaDB, emulator: Emulator, first: WriteMethod, then: WriteMethod
) -> None:
    with notes_site(mariadb, emulator, write_method=first, lookup_settle_seconds=0) as site:
        site.run("INSERT INTO notes (label) VALUES ('a'), ('b'), ('c')")
        leave_a_batch_open(site)
        site.run("INSERT INTO notes (label) VALUES ('d')")
        changed = replace(site, settings=site.settings.model_copy(update={"write_method": then}))
        with changed.working():
            changed.wait_until_drained()

        assert sorted(row["label"] for row in site.sent("notes")) == ["a", "b", "c", "d"]
        assert site.read("SELECT state, row_count FROM bq_sync_batch ORDER BY id") == [
            ("completed", 3),
            ("completed", 1),
        ]
        assert site.read("SELECT final, row_count FROM bq_sync_stream ORDER BY id LIMIT 1") == [
            (1, 3) if first == "storage_write" else (0, None)
        ]
