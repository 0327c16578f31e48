"""The BigQuery side against the emulator: tables, streams, appends, look-ups."""

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pyarrow as pa
import pytest
from google.cloud import bigquery

from bigquery import lookup, metadata
from bigquery.connect import Clients, connect
from bigquery.lookup import Lookup
from bigquery.storage_write import StorageWrite
from bigquery.tables import SHIPPED
from config.settings import Settings
from delivery.destination import AlreadyThere, Appended, Count, Missing
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.rows import SentRow, SentRows
from mapping.arrow import ArrowRows
from mapping.schema import BigQueryColumn, BigQueryTable
from sandbox.emulator import Emulator

pytestmark = pytest.mark.integration

NOON = datetime(2026, 11, 20, 12, 0, 0, 123456, UTC)
DAY = timedelta(days=1)

EVENTS = pa.schema(
    [
        ("event_id", pa.utf8()),
        ("tid", pa.utf8()),
        ("fid", pa.utf8()),
        ("detected_at", pa.timestamp("us", "UTC")),
        ("detection_detail", pa.utf8()),
        ("tags", pa.list_(pa.utf8())),
    ]
)


@pytest.fixture
def settings(emulator: Emulator, dataset: str) -> Settings:
    return Settings.model_validate(
        {
            "project_id": emulator.project,
            "dataset_id": dataset,
            "location": "asia-northeast1",
            "storage_endpoint": emulator.storage_endpoint,
            "tables": {"logs": {"destination": "semantic_events", "primary_key": "id", "columns": {"event_id": "id"}}},
        }
    )


@pytest.fixture
def clients(settings: Settings, emulator: Emulator) -> Iterator[Clients]:
    clients = connect(settings, emulator.environment())
    yield clients
    clients.close()


@pytest.fixture
def events(settings: Settings, clients: Clients) -> BigQueryTable:
    metadata.create_table(clients.rest, settings, "semantic_events")
    return metadata.read_table(clients.rest, settings, "semantic_events")


@pytest.fixture
def destination(clients: Clients, settings: Settings, events: BigQueryTable) -> Iterator[StorageWrite]:
    destination = StorageWrite(clients, settings, events)
    yield destination
    destination.close()


def event(number: int, fid: str = "f1", at: datetime = NOON) -> dict[str, object]:
    return {
        "event_id": f"det_{number}",
        "tid": "t1",
        "fid": fid,
        "detected_at": at,
        "detection_detail": '{"bboxes": [[1, 2, 3, 4]]}',
        "tags": ["人物", "night"],
    }


def encoded(*rows: dict[str, object]) -> ArrowRows:
    return ArrowRows(pa.RecordBatch.from_pylist(list(rows), EVENTS))


def sent(*rows: dict[str, object]) -> SentRows:
    return SentRows(
        ("event_id", "tid", "fid"),
        "detected_at",
        tuple(SentRow(n, (row["event_id"], row["tid"], row["fid"]), row["detected_at"]) for n, row in enumerate(rows)),
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_table_is_made_once_and_read_back(settings: Settings, clients: Clients, name: str) -> None:
    assert metadata.create_table(clients.rest, settings, name) == "created"
    assert metadata.create_table(clients.rest, settings, name) == "exists"
    table = metadata.read_table(clients.rest, settings, name)
    assert table.partition_column == SHIPPED[name].partition_column
    assert table.clustering == ("tid", "fid")
    assert table.columns["tid"] == BigQueryColumn("tid", "STRING", "REQUIRED")
    assert table.columns["vehicle_ocr" if "vehicle_ocr" in table.columns else "summary_json"].type == "JSON"


def test_a_dataset_is_made_once_and_where_it_should_be(settings: Settings, clients: Clients) -> None:
    other = settings.model_copy(update={"dataset_id": f"made_{uuid.uuid4().hex[:8]}"})
    with pytest.raises(DestinationError, match="location"):
        metadata.create_dataset(clients.rest, other.model_copy(update={"location": None}))
    assert metadata.create_dataset(clients.rest, other) == "created"
    assert metadata.create_dataset(clients.rest, other) == "exists"
    assert clients.rest.get_dataset(other.dataset_id, timeout=10).location == "asia-northeast1"
    clients.rest.delete_dataset(other.dataset_id, timeout=10)


def test_a_missing_table_blocks(settings: Settings, clients: Clients) -> None:
    for call in (
        lambda: metadata.read_table(clients.rest, settings, "nowhere"),
        StorageWrite(clients, settings, BigQueryTable("nowhere", {})).open,
    ):
        with pytest.raises(DestinationError) as raised:
            call()
        assert raised.value.failure.error_class is ErrorClass.BLOCKED
        assert "NOT_FOUND" in str(raised.value) or "notFound" in str(raised.value)


def test_ingestion_time_and_expiration_and_legacy_names(settings: Settings, clients: Clients) -> None:
    table = bigquery.Table(
        f"{settings.project_id}.{settings.dataset_id}.odd",
        schema=[bigquery.SchemaField("n", "INTEGER"), bigquery.SchemaField("b", "BOOLEAN")],
    )
    table.time_partitioning = bigquery.TimePartitioning(expiration_ms=30 * metadata.DAY_MS)
    clients.rest.create_table(table, timeout=10)
    read = metadata.read_table(clients.rest, settings, "odd")
    assert (read.partition_column, read.expiration_days) == (None, 30)
    assert [column.type for column in read.columns.values()] == ["INT64", "BOOL"]


def test_the_server_says_what_time_it_is(clients: Clients) -> None:
    assert abs(metadata.server_time(clients.rest_endpoint) - datetime.now(UTC)) < timedelta(minutes=1)


def test_appends_land_once_at_their_offsets(clients: Clients, settings: Settings, destination: StorageWrite) -> None:
    stream = destination.open()
    first, second = encoded(event(1), event(2)), encoded(event(3))
    assert destination.send(stream, 0, first) == Appended()
    assert destination.send(stream, 0, first) == AlreadyThere()
    gap = destination.send(stream, 7, second)
    assert isinstance(gap, Failure)
    assert (gap.error_class, gap.definite) == (ErrorClass.STREAM, True)
    assert destination.send(stream, 2, second) == Appended()
    assert destination.finalize(stream) == Count(3)
    late = destination.send(stream, 3, encoded(event(4)))
    assert isinstance(late, Failure)
    assert (late.error_class, late.definite) == (ErrorClass.STREAM, True)
    assert destination.finalize(f"{stream}x") == Missing()
    table = f"`{settings.project_id}.{settings.dataset_id}.semantic_events`"
    result = clients.rest.query_and_wait(f"SELECT event_id, detected_at, tags, detection_detail FROM {table}")
    rows = sorted((row.values() for row in result), key=lambda row: row[0])
    assert [row[0] for row in rows] == ["det_1", "det_2", "det_3"]
    assert rows[0][1:] == (NOON, ["人物", "night"], {"bboxes": [[1, 2, 3, 4]]})


def test_look_up_tells_what_is_there(destination: StorageWrite) -> None:
    there = [event(1), event(2, at=NOON + DAY), event(3)]
    assert destination.send(destination.open(), 0, encoded(*there)) == Appended()
    moved = event(3, at=NOON + timedelta(microseconds=1))
    foreign = event(1, fid="f2")
    asked = sent(there[0], event(9), there[1], moved, foreign, there[2])
    assert destination.look_up(asked) == {0, 2, 5}
    assert destination.look_up(sent()) == frozenset()


def test_look_up_in_several_queries(destination: StorageWrite, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "ROWS_A_QUERY", 2)
    events = [event(number) for number in range(5)]
    assert destination.send(destination.open(), 0, encoded(*events[::2])) == Appended()
    assert destination.look_up(sent(*events)) == {0, 2, 4}


def test_look_up_compares_nulls_and_every_type(settings: Settings, clients: Clients) -> None:
    columns = {
        "k": ("INT64", pa.int64(), 7),
        "s": ("STRING", pa.utf8(), "it's `quoted` \\ @v1"),
        "d": ("DATE", pa.date32(), date(2026, 11, 20)),
        "dt": ("DATETIME", pa.timestamp("us"), datetime(2026, 11, 20, 1, 2, 3, 4)),
        "n": ("NUMERIC", pa.decimal128(38, 9), Decimal("1.500000000")),
        "b": ("BOOL", pa.bool_(), True),
        "t": ("TIME", pa.time64("us"), time(1, 2, 3, 4)),  # BYTES parameters: the emulator doesn't decode them
        "f": ("FLOAT64", pa.float64(), 0.1),
        "day": ("DATE", pa.date32(), date(2026, 11, 20)),
    }
    table = bigquery.Table(
        f"{settings.project_id}.{settings.dataset_id}.types",
        schema=[bigquery.SchemaField(name, kind) for name, (kind, _, _) in columns.items()],
    )
    table.time_partitioning = bigquery.TimePartitioning(field="day")
    clients.rest.create_table(table, timeout=10)
    described = metadata.read_table(clients.rest, settings, "types")
    destination = StorageWrite(clients, settings, described)
    full = tuple(value for _, _, value in columns.values())
    rows = [full] + [(*full[:n], None, *full[n + 1 :]) for n in range(len(full))]  # each with one NULL
    schema = pa.schema([(name, arrow) for name, (_, arrow, _) in columns.items()])
    written = [dict(zip(columns, row, strict=True)) for row in rows]
    batch = ArrowRows(pa.RecordBatch.from_pylist(written, schema))
    identity = tuple(columns)[:-1]
    asked = SentRows(identity, "day", tuple(SentRow(n, row[:-1], row[-1]) for n, row in enumerate(rows)))
    assert destination.look_up(asked) == frozenset()
    assert destination.send(destination.open(), 0, batch) == Appended()
    assert destination.look_up(asked) == set(range(len(rows)))
    assert destination.look_up(asked.take([9])) == {0}  # only a row in the partition of NULL
    all_null = SentRows(identity, "day", (SentRow(1, (None,) * len(identity), None),))
    assert destination.look_up(all_null) == frozenset()
    destination.close()


def test_look_up_in_a_table_without_partitions(settings: Settings, clients: Clients) -> None:
    table = bigquery.Table(
        f"{settings.project_id}.{settings.dataset_id}.plain", schema=[bigquery.SchemaField("k", "INT64")]
    )
    clients.rest.create_table(table, timeout=10)
    described = metadata.read_table(clients.rest, settings, "plain")
    destination = StorageWrite(clients, settings, described)
    batch = ArrowRows(pa.record_batch({"k": pa.array([1, 3], pa.int64())}))
    assert destination.send(destination.open(), 0, batch) == Appended()
    asked = SentRows(("k",), None, tuple(SentRow(n, (n,)) for n in range(4)))
    assert Lookup(clients.rest, settings, described).places_there(asked) == {1, 3}
    destination.close()
