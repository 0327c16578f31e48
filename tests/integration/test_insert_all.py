"""insert_all against the emulator: rows of every type, what a worker carries, and a change of method with open batches."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from google.cloud import bigquery

from bigquery import metadata
from bigquery.connect import Clients, connect
from bigquery.insert_all import InsertAll
from config.settings import Settings
from delivery.destination import Appended
from delivery.rows import SentRow, SentRows
from mapping.insert_ids import InsertIds
from mapping.json_rows import JsonEncoding
from mapping.row import Layout
from sandbox.emulator import Emulator

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
    assert destination.open() is None
    assert destination.send(None, None, encoding.encode([1, 2], rows)) == Appended()
    assert destination.look_up(SentRows(("s",), None, (SentRow(1, (full[0],)), SentRow(3, ("else",))))) == {0}
    destination.close()

    sent = {row["i"]: row for row in clients.rest.list_rows(table, timeout=10)}
    assert list(sent[VALUES["i"][1]].values())[:-2] == list(full)[:-2]
    assert sent[VALUES["i"][1]]["j"] == {"a": [1.5, None, "猫"]}
    assert sent[VALUES["i"][1]]["texts"] == ["人物", ""]
    assert list(sent[None].values()) == [*([None] * len(VALUES)), []]
