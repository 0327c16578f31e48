"""StorageWrite against a server that refuses, cuts, hangs and forgets: what it says of an append, and what is there."""

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pyarrow as pa
import pytest
from google.auth.exceptions import RefreshError
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.rpc.status_pb2 import Status

from bigquery.connect import Clients, connect
from bigquery.storage_write import StorageWrite
from config.settings import Settings
from delivery.destination import AlreadyThere, Appended, Count, Missing, NoCount
from delivery.errors import DestinationError, ErrorClass, Failure
from mapping.arrow import ArrowRows
from mapping.schema import BigQueryTable
from tests.fakes.append_faults import (
    answer_error,
    end_with,
    write_then_end_without_answer,
    write_then_hang,
)
from tests.fakes.append_rows import (
    IDLE,
    AppendFault,
    Code,
    FakeBigQueryWrite,
    MemoryStreams,
    StorageCode,
    storage_status,
)
from tests.fakes.counting_relay import CountingRelay

pytestmark = pytest.mark.integration

TABLE = BigQueryTable(name="events", columns={})
SETTINGS = Settings.model_validate(
    {
        "project_id": "p",
        "dataset_id": "d",
        "tables": {"logs": {"destination": "events", "primary_key": "id", "columns": {"id": "id"}}},
    }
)


def rows(*ids: int) -> ArrowRows:
    return ArrowRows(pa.record_batch({"id": pa.array(ids, pa.int64())}))


@pytest.fixture
def streams() -> MemoryStreams:
    return MemoryStreams()


@pytest.fixture
def server(streams: MemoryStreams) -> Iterator[FakeBigQueryWrite]:
    with FakeBigQueryWrite(streams) as server:
        yield server


def connect_to(server: FakeBigQueryWrite, **settings: str) -> Clients:
    changed = SETTINGS.model_copy(update={"storage_endpoint": server.endpoint, **settings})
    return connect(changed, {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"})


def destination(server: FakeBigQueryWrite, **seconds: float) -> StorageWrite:
    return StorageWrite(connect_to(server), SETTINGS, TABLE, **seconds)


@pytest.fixture
def bigquery(server: FakeBigQueryWrite) -> Iterator[StorageWrite]:
    bigquery = destination(server)
    yield bigquery
    bigquery.close()


@pytest.fixture
def stream(bigquery: StorageWrite) -> str:
    return bigquery.open()


def ids(streams: MemoryStreams, stream: str) -> list[int]:
    return [row["id"] for row in streams.rows[stream]]


def test_one_call_carries_many_appends(
    server: FakeBigQueryWrite, streams: MemoryStreams, bigquery: StorageWrite, stream: str
) -> None:
    assert [bigquery.send(stream, offset, rows(offset)) for offset in range(3)] == [Appended()] * 3
    assert ids(streams, stream) == [0, 1, 2]
    assert len(server.calls) == 1
    assert server.calls[0]["x-goog-request-params"] == f"write_stream={stream}"
    first, *others = server.requests
    assert first.trace_id.startswith("bq-sync:")
    assert first.default_missing_value_interpretation == first.MissingValueInterpretation.DEFAULT_VALUE
    assert not any(request.arrow_rows.writer_schema.serialized_schema for request in others)


def test_another_schema_or_stream_gets_a_call_of_its_own(
    server: FakeBigQueryWrite, streams: MemoryStreams, bigquery: StorageWrite, stream: str
) -> None:
    with_name = ArrowRows(pa.record_batch({"id": pa.array([2], pa.int64()), "name": ["b"]}))
    other = bigquery.open()
    assert bigquery.send(stream, 0, rows(1)) == Appended()
    assert bigquery.send(stream, 1, with_name) == Appended()
    assert bigquery.send(other, 0, with_name) == Appended()
    assert streams.rows[stream] == [{"id": 1}, {"id": 2, "name": "b"}]
    assert streams.rows[other] == [{"id": 2, "name": "b"}]


@pytest.mark.parametrize("fault_of", [answer_error, end_with], ids=["in an answer", "as the call's end"])
def test_an_error_means_the_same_however_it_comes(
    server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str, fault_of: Callable[[Status], AppendFault]
) -> None:
    server.appends.add(
        fault_of(storage_status(Code.ALREADY_EXISTS, StorageCode.OFFSET_ALREADY_EXISTS)),
        fault_of(storage_status(Code.INVALID_ARGUMENT, StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS)),
        fault_of(storage_status(Code.FAILED_PRECONDITION, StorageCode.STREAM_FINALIZED)),
        fault_of(storage_status(Code.RESOURCE_EXHAUSTED)),
        fault_of(storage_status(Code.INTERNAL)),
    )
    assert bigquery.send(stream, 0, rows(1)) == AlreadyThere()
    said = [bigquery.send(stream, 0, rows(1)) for _ in range(4)]
    assert [(f.error_class, f.definite) for f in said if isinstance(f, Failure)] == [
        (ErrorClass.BLOCKED, True),
        (ErrorClass.STREAM, True),
        (ErrorClass.QUOTA, True),
        (ErrorClass.TRANSIENT, False),
    ]
    assert bigquery.send(stream, 0, rows(1)) == Appended()  # nothing of a failed call is left


def test_bad_rows_are_named_without_their_values(
    server: FakeBigQueryWrite, streams: MemoryStreams, bigquery: StorageWrite, stream: str
) -> None:
    status = storage_status(Code.INVALID_ARGUMENT, message="Errors found while processing rows.")
    server.appends.add(answer_error(status, {1: 'Field "id" is out of range, got "secret plate"'}))
    failure = bigquery.send(stream, 0, rows(1, 2, 3))
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite, list(failure.bad_rows)) == (ErrorClass.BAD_ROW, True, [1])
    assert '"id"' in failure.bad_rows[1]
    assert "secret" not in failure.bad_rows[1] + failure.reason
    assert bigquery.send(stream, 0, rows(1, 3)) == Appended()
    assert ids(streams, stream) == [1, 3]


@pytest.mark.parametrize(
    "fault",
    [end_with(storage_status(Code.UNAVAILABLE), written=True), write_then_end_without_answer],
    ids=["dropped", "ended without an answer"],
)
def test_an_append_whose_answer_is_lost_can_be_repeated(
    server: FakeBigQueryWrite, streams: MemoryStreams, bigquery: StorageWrite, stream: str, fault: AppendFault
) -> None:
    server.appends.add(fault)
    lost = bigquery.send(stream, 0, rows(1, 2))
    assert isinstance(lost, Failure)
    assert (lost.error_class, lost.definite) == (ErrorClass.TRANSIENT, False)
    assert bigquery.send(stream, 0, rows(1, 2)) == AlreadyThere()
    assert ids(streams, stream) == [1, 2]


def test_the_service_ends_an_idle_call(server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str) -> None:
    server.appends.add(end_with(storage_status(Code.ABORTED, message=IDLE)))
    failure = bigquery.send(stream, 0, rows(1))
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (ErrorClass.TRANSIENT, False)
    assert bigquery.send(stream, 0, rows(1)) == Appended()


def test_an_idle_call_is_ended_by_us_and_nobody_notices(server: FakeBigQueryWrite, streams: MemoryStreams) -> None:
    bigquery = destination(server, idle_seconds=0.05)
    stream = bigquery.open()
    assert bigquery.send(stream, 0, rows(1)) == Appended()
    assert server.call_ended.wait(10)
    assert bigquery.send(stream, 1, rows(2)) == Appended()
    assert ids(streams, stream) == [1, 2]
    bigquery.close()


def test_a_hanging_server_is_given_up_at_the_deadline(server: FakeBigQueryWrite) -> None:
    bigquery = destination(server, deadline_seconds=0.2)
    stream = bigquery.open()
    server.appends.add(write_then_hang)
    failure = bigquery.send(stream, 0, rows(1))
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (ErrorClass.TRANSIENT, False)
    assert failure.reason.startswith("no answer within 0.2 s")
    assert bigquery.send(stream, 0, rows(1)) == AlreadyThere()
    bigquery.close()


def test_close_releases_a_waiting_append(server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str) -> None:
    server.appends.add(write_then_hang)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(bigquery.send, stream, 0, rows(1))
        assert server.hanging.wait(10)
        bigquery.close()
        failure = waiting.result(10)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (ErrorClass.TRANSIENT, False)
    assert bigquery.send(stream, 0, rows(1)) == AlreadyThere()


def test_finalize_counts_once_and_fences(server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str) -> None:
    assert bigquery.send(stream, 0, rows(1, 2)) == Appended()
    assert bigquery.finalize(stream) == Count(2)
    assert bigquery.finalize(stream) == NoCount()
    refused = bigquery.send(stream, 2, rows(3))
    assert isinstance(refused, Failure)
    assert (refused.error_class, refused.definite) == (ErrorClass.STREAM, True)


def test_a_stream_that_vanished(server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str) -> None:
    server.vanish(stream)
    failure = bigquery.send(stream, 0, rows(1))
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (ErrorClass.STREAM, True)
    assert bigquery.finalize(stream) == Missing()


def test_nobody_listens() -> None:
    with FakeBigQueryWrite(MemoryStreams()) as server:
        bigquery = destination(server)
    failure = bigquery.finalize("projects/p/datasets/d/tables/events/streams/0")
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (ErrorClass.TRANSIENT, False)
    sent = bigquery.send("projects/p/datasets/d/tables/events/streams/0", 0, rows(1))
    assert isinstance(sent, Failure)
    assert (sent.error_class, sent.definite) == (ErrorClass.TRANSIENT, False)


def test_failed_calls_leave_no_thread_behind(server: FakeBigQueryWrite, bigquery: StorageWrite, stream: str) -> None:
    before = set(threading.enumerate())
    server.appends.add(*[end_with(storage_status(Code.UNAVAILABLE))] * 5)
    for _ in range(6):
        sent = bigquery.send(stream, 0, rows(1))
    assert sent == Appended()
    bigquery.close()
    feeding = [thread for thread in set(threading.enumerate()) - before if "request_iterator" in thread.name]
    for thread in feeding:  # gRPC's, which take a call's requests from us
        thread.join(10)
    assert not any(thread.is_alive() for thread in feeding)


@pytest.mark.parametrize(
    ("said", "error_class", "reason"),
    [
        ("invalid_grant: Token must be a short-lived token and in a reasonable timeframe", "transient", "clock wrong"),
        ("invalid_grant: Invalid grant: account not found", "blocked", "gone"),
        ("HTTPSConnectionPool(host='oauth2.googleapis.com'): Max retries exceeded", "transient", "token server"),
    ],
)
def test_grpc_hides_why_there_is_no_token_and_we_dont(
    server: FakeBigQueryWrite, streams: MemoryStreams, said: str, error_class: str, reason: str
) -> None:
    def no_token(context: object, callback: object) -> None:
        raise RefreshError(said)

    channel_credentials = grpc.composite_channel_credentials(
        grpc.local_channel_credentials(), grpc.metadata_call_credentials(no_token)
    )
    channel = grpc.secure_channel(server.local_endpoint, channel_credentials)
    write_client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
    clients = dataclasses.replace(connect_to(server), write=write_client)
    bigquery = StorageWrite(clients, SETTINGS, TABLE)
    for failure in (bigquery.send("streams/0", 0, rows(1)), bigquery.finalize("streams/0")):
        assert isinstance(failure, Failure)
        assert failure.error_class == error_class
        assert reason in failure.reason
    with pytest.raises(DestinationError, match=reason):
        bigquery.open()


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_gzip_saves_traffic(server: FakeBigQueryWrite, streams: MemoryStreams, compression: str) -> None:
    relay = CountingRelay(server.endpoint)
    clients = connect_to(server, storage_endpoint=relay.endpoint, compression=compression)
    bigquery = StorageWrite(clients, SETTINGS, TABLE)
    stream = bigquery.open()
    assert bigquery.send(stream, 0, rows(*range(50_000))) == Appended()  # 400 kB
    assert len(streams.rows[stream]) == 50_000
    assert (relay.sent < 200_000) == (compression == "gzip")
    clients.close()
