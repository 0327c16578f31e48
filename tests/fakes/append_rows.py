"""The Storage Write API with what the emulator can't show: faults of single appends, idle calls, streams that vanish.

What no fault keeps back is written by `Streams`: in memory, or into the emulator. Written from the reference of
BigQueryWrite and from what writers report of it (googleapis/python-bigquery-storage #593: the end of an idle call).
"""

import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Protocol, Self

import grpc
import pyarrow as pa
from google.api_core.exceptions import GoogleAPICallError
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import BigQueryWriteGrpcTransport
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsRequest,
    AppendRowsResponse,
    CreateWriteStreamRequest,
    FinalizeWriteStreamRequest,
    FinalizeWriteStreamResponse,
    StorageError,
    WriteStream,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from tests.fakes.faults import Faults

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
IDLE = "Closing the stream because it has been inactive for 600 seconds"
SECONDS = 30.0  # deadline of what is asked of the emulator
Code = grpc.StatusCode
StorageCode = StorageError.StorageErrorCode
Row = Mapping[str, Any]


def storage_status(code: grpc.StatusCode, storage_code: int = 0, message: str = "no") -> Status:
    """An error in the service's form, with a StorageError in its details where a code of one is given."""
    status = Status(code=code.value[0], message=message)
    if storage_code:
        detail = AnyMessage()
        detail.Pack(StorageError.pb(StorageError(code=storage_code, error_message=message)))
        status.details.append(detail)
    return status


class RefusedError(Exception):
    """A call ends with this status."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.message)
        self.status = status


class Streams(Protocol):
    """COMMITTED streams: rows at the offset where a stream ends, all or none of a request. All raise RefusedError."""

    def create(self, table: str) -> str: ...

    def append(self, request: AppendRowsRequest) -> None: ...

    def finalize(self, stream: str) -> int: ...


@dataclass
class MemoryStreams:
    """Streams that keep their rows, by their names."""

    rows: dict[str, list[Row]] = field(default_factory=dict)
    finalized: set[str] = field(default_factory=set)

    def create(self, table: str) -> str:
        name = f"{table}/streams/{len(self.rows)}"
        self.rows[name] = []
        return name

    def append(self, request: AppendRowsRequest) -> None:
        rows = self.rows[request.write_stream]
        if request.write_stream in self.finalized:
            raise RefusedError(storage_status(Code.FAILED_PRECONDITION, StorageCode.STREAM_FINALIZED))
        if request.offset < len(rows):
            raise RefusedError(storage_status(Code.ALREADY_EXISTS, StorageCode.OFFSET_ALREADY_EXISTS))
        if request.offset > len(rows):
            raise RefusedError(storage_status(Code.OUT_OF_RANGE, StorageCode.OFFSET_OUT_OF_RANGE))
        rows.extend(rows_of(request))

    def finalize(self, stream: str) -> int:
        if stream in self.finalized:
            raise RefusedError(storage_status(Code.FAILED_PRECONDITION, StorageCode.STREAM_FINALIZED))
        self.finalized.add(stream)
        return len(self.rows[stream])


class EmulatorStreams:
    """The emulator's streams."""

    def __init__(self, endpoint: str) -> None:
        self._client = BigQueryWriteClient(
            transport=BigQueryWriteGrpcTransport(channel=grpc.insecure_channel(endpoint))
        )

    def create(self, table: str) -> str:
        wanted = WriteStream(type_=WriteStream.Type.COMMITTED)
        return str(self._asked(self._client.create_write_stream, parent=table, write_stream=wanted, retry=None).name)

    def append(self, request: AppendRowsRequest) -> None:
        def ask(**options: float) -> AppendRowsResponse:
            return next(iter(self._client.append_rows(iter([request]), **options)))

        answer = self._asked(ask)
        if "error" in answer:
            raise RefusedError(AppendRowsResponse.pb(answer).error)

    def finalize(self, stream: str) -> int:
        return int(self._asked(self._client.finalize_write_stream, name=stream, retry=None).row_count)

    def close(self) -> None:
        self._client.transport.close()

    def _asked(self, call: Callable[..., Any], **named: object) -> Any:
        try:
            return call(**named, timeout=SECONDS)
        except GoogleAPICallError as error:
            code = error.grpc_status_code or Code.UNKNOWN
            raise RefusedError(storage_status(code, message=error.message or "")) from error


@dataclass(frozen=True)
class Append:
    """One request of an AppendRows call, complete: with the schema that only the first of the call carries."""

    server: "FakeBigQueryWrite"
    request: AppendRowsRequest
    context: Any

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.request)

    @property
    def columns(self) -> list[str]:
        return list(_schema_of(self.request).names)

    def write(self) -> AppendRowsResponse:
        """Write the rows where the stream's end allows, and answer."""
        try:
            self.server.streams.append(self.request)
        except RefusedError as refused:
            return AppendRowsResponse(error=refused.status)
        return AppendRowsResponse(append_result={"offset": self.request.offset}, write_stream=self.request.write_stream)

    def fail(self, status: Status) -> None:
        """End the call with the error."""
        fail(self.context, status)


# What happens to an append instead of being written; None ends the call without an answer. See `append_faults`.
AppendFault = Callable[[Append], AppendRowsResponse | None]


class FakeBigQueryWrite:
    """The server, on ports of 127.0.0.1 while it is entered.

    Args:
        streams: write what no fault keeps back.
        idle_seconds: a call without requests is ended after so long, as the service does after 600 s.

    Attributes:
        creates, appends, finalizes: what is to happen to these calls.
        requests: every request of every AppendRows call, as it came.
        calls: the headers of every AppendRows call.
    """

    def __init__(self, streams: Streams, *, idle_seconds: float | None = None) -> None:
        self.streams = streams
        self.creates: Faults[Status] = Faults()
        self.appends: Faults[AppendFault] = Faults()
        self.finalizes: Faults[Status] = Faults()
        self.requests: list[AppendRowsRequest] = []
        self.calls: list[Mapping[str, str]] = []
        self.call_ended = threading.Event()
        self.hanging = threading.Event()  # set while an append is left without an answer
        self.let_go = threading.Event()
        self.endpoint = ""
        self.local_endpoint = ""  # to which a client may send tokens
        self.idle_seconds = idle_seconds
        self._vanished: set[str] = set()

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(16))
        handlers = {
            "CreateWriteStream": grpc.unary_unary_rpc_method_handler(
                self._create, CreateWriteStreamRequest.deserialize, WriteStream.serialize
            ),
            "AppendRows": grpc.stream_stream_rpc_method_handler(
                self._append_rows, AppendRowsRequest.deserialize, AppendRowsResponse.serialize
            ),
            "FinalizeWriteStream": grpc.unary_unary_rpc_method_handler(
                self._finalize, FinalizeWriteStreamRequest.deserialize, FinalizeWriteStreamResponse.serialize
            ),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        self.endpoint = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self.local_endpoint = (
            f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', grpc.local_server_credentials())}"
        )
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._server.stop(grace=None).wait()

    def vanish(self, stream: str) -> None:
        """Forget a stream, as the service does with one that was silent for days."""
        self._vanished.add(stream)

    def _create(self, request: CreateWriteStreamRequest, context: Any) -> WriteStream:
        fault = self.creates.take(table_of(request.parent))
        try:
            if fault is not None:
                raise RefusedError(fault)
            name = self.streams.create(request.parent)
        except RefusedError as refused:
            fail(context, refused.status)
        return WriteStream(name=name, type_=WriteStream.Type.COMMITTED)

    def _finalize(self, request: FinalizeWriteStreamRequest, context: Any) -> FinalizeWriteStreamResponse:
        fault = self.finalizes.take(table_of(request.name)) or self._missing(request.name)
        try:
            if fault is not None:
                raise RefusedError(fault)
            rows = self.streams.finalize(request.name)
        except RefusedError as refused:
            fail(context, refused.status)
        return FinalizeWriteStreamResponse(row_count=rows)

    def _append_rows(self, requests: Iterator[AppendRowsRequest], context: Any) -> Iterator[AppendRowsResponse]:
        self.calls.append(dict(context.invocation_metadata()))
        context.add_callback(self.call_ended.set)
        schema = b""
        for request in self._until_idle(requests, context):
            self.requests.append(request)
            schema = request.arrow_rows.writer_schema.serialized_schema or schema
            complete = AppendRowsRequest(request)
            complete.arrow_rows.writer_schema.serialized_schema = schema
            answer = self._answer(Append(self, complete, context))
            if answer is None:
                return
            yield answer

    def _answer(self, append: Append) -> AppendRowsResponse | None:
        stream = append.request.write_stream
        if (fault := self.appends.take(table_of(stream))) is not None:
            return fault(append)
        missing = self._missing(stream)
        return append.write() if missing is None else AppendRowsResponse(error=missing)

    def _missing(self, stream: str) -> Status | None:
        if stream in self._vanished:
            return storage_status(
                Code.NOT_FOUND, StorageCode.STREAM_NOT_FOUND, f"Requested entity was not found: {stream}"
            )
        return None

    def _until_idle(self, requests: Iterator[AppendRowsRequest], context: Any) -> Iterator[AppendRowsRequest]:
        arrived: queue.SimpleQueue[AppendRowsRequest | None] = queue.SimpleQueue()

        def pump() -> None:
            with suppress(Exception):  # the call was ended: gRPC raises an Exception as such
                for request in requests:
                    arrived.put(request)
            arrived.put(None)

        threading.Thread(target=pump, daemon=True).start()
        while True:
            try:
                request = arrived.get(timeout=self.idle_seconds)
            except queue.Empty:
                fail(context, storage_status(Code.ABORTED, message=IDLE))
            if request is None:
                return
            yield request


def table_of(name: str) -> str:
    """The table in a stream's or table's full name."""
    return name.partition("/tables/")[2].partition("/")[0]


def rows_of(request: AppendRowsRequest) -> list[Row]:
    batch = request.arrow_rows.rows.serialized_record_batch
    rows: list[Row] = pa.ipc.read_record_batch(pa.py_buffer(batch), _schema_of(request)).to_pylist()
    return rows


def _schema_of(request: AppendRowsRequest) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(request.arrow_rows.writer_schema.serialized_schema))


def fail(context: Any, status: Status) -> None:
    """End a call with the error, its details in the trailer that the service uses."""
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(next(code for code in Code if code.value[0] == status.code), status.message)
