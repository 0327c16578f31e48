"""A BigQueryWrite server for what the emulator can't show: faults of single appends, streams that end or vanish.

It keeps rows as the real service does (COMMITTED streams, offsets, all or none of a request) and answers appends from
`faults` first, one fault an append. Written from the reference of BigQueryWrite and from what writers report of it.
"""

import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1.types import (
    AppendRowsRequest,
    AppendRowsResponse,
    CreateWriteStreamRequest,
    FinalizeWriteStreamRequest,
    FinalizeWriteStreamResponse,
    RowError,
    StorageError,
    WriteStream,
)
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"
Code = grpc.StatusCode
StorageCode = StorageError.StorageErrorCode

Fault = Callable[["FakeBigQueryWrite", AppendRowsRequest, Any], AppendRowsResponse | None]


def storage_status(code: grpc.StatusCode, storage_code: int = 0, message: str = "no") -> Status:
    """An error in the service's form, with a StorageError in its details where a code of one is given."""
    status = Status(code=code.value[0], message=message)
    if storage_code:
        detail = AnyMessage()
        detail.Pack(StorageError.pb(StorageError(code=storage_code, error_message=message)))
        status.details.append(detail)
    return status


class FakeBigQueryWrite:
    """The server, on a port of 127.0.0.1 while it is entered."""

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.streams: dict[str, list[dict[str, Any]]] = {}  # by name: the rows that were written
        self.finalized: set[str] = set()
        self.appends: list[AppendRowsRequest] = []
        self.calls: list[Mapping[str, str]] = []  # the headers of every AppendRows call
        self.call_ended = threading.Event()
        self.hanging = threading.Event()  # set while an append is left without an answer
        self.let_go = threading.Event()
        self.endpoint = ""
        self.local_endpoint = ""
        self._schema: pa.Schema | None = None

    def __enter__(self) -> Self:
        self._server = grpc.server(ThreadPoolExecutor(8))
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
        local_credentials = grpc.local_server_credentials()  # so that a client may send tokens
        self.local_endpoint = f"127.0.0.1:{self._server.add_secure_port('127.0.0.1:0', local_credentials)}"
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._server.stop(grace=None).wait()

    def vanish(self, stream: str) -> None:
        """Forget a stream, as the service does with one that was silent for days."""
        del self.streams[stream]

    def _create(self, request: CreateWriteStreamRequest, context: Any) -> WriteStream:
        name = f"{request.parent}/streams/{len(self.streams)}"
        self.streams[name] = []
        return WriteStream(name=name, type_=WriteStream.Type.COMMITTED)

    def _finalize(self, request: FinalizeWriteStreamRequest, context: Any) -> FinalizeWriteStreamResponse:
        if request.name not in self.streams:
            fail(context, storage_status(Code.NOT_FOUND, StorageCode.STREAM_NOT_FOUND))
        if request.name in self.finalized:
            fail(context, storage_status(Code.FAILED_PRECONDITION, StorageCode.STREAM_FINALIZED))
        self.finalized.add(request.name)
        return FinalizeWriteStreamResponse(row_count=len(self.streams[request.name]))

    def _append_rows(self, requests: Iterator[AppendRowsRequest], context: Any) -> Iterator[AppendRowsResponse]:
        self.calls.append(dict(context.invocation_metadata()))
        context.add_callback(self.call_ended.set)
        for request in requests:
            self.appends.append(request)
            fault = self.faults.popleft() if self.faults else write
            answer = fault(self, request, context)
            if answer is None:
                return
            yield answer

    def write(self, request: AppendRowsRequest) -> Status | None:
        """Write the request's rows where its offset allows; else say why not."""
        rows = self.streams.get(request.write_stream)
        if rows is None:
            return storage_status(Code.NOT_FOUND, StorageCode.STREAM_NOT_FOUND)
        if request.write_stream in self.finalized:
            return storage_status(Code.FAILED_PRECONDITION, StorageCode.STREAM_FINALIZED)
        if request.offset < len(rows):
            return storage_status(Code.ALREADY_EXISTS, StorageCode.OFFSET_ALREADY_EXISTS)
        if request.offset > len(rows):
            return storage_status(Code.OUT_OF_RANGE, StorageCode.OFFSET_OUT_OF_RANGE)
        if serialized := request.arrow_rows.writer_schema.serialized_schema:
            self._schema = pa.ipc.read_schema(pa.py_buffer(serialized))
        batch = request.arrow_rows.rows.serialized_record_batch
        rows.extend(pa.ipc.read_record_batch(pa.py_buffer(batch), self._schema).to_pylist())
        return None


class CountingRelay:
    """Passes one connection on, and counts the bytes that the client sends."""

    def __init__(self, target: str) -> None:
        self.sent = 0
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        with self._listener:
            client, _ = self._listener.accept()
        host, port = self._target.split(":")
        server = socket.create_connection((host, int(port)))
        threading.Thread(target=self._pump, args=(server, client, False), daemon=True).start()
        self._pump(client, server, True)

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with suppress(OSError), sink:  # the other direction ended, and closed both
            while data := source.recv(65_536):
                self.sent += len(data) if counted else 0
                sink.sendall(data)


def fail(context: Any, status: Status) -> None:
    """End a call with the error, its details in the trailer that the service uses."""
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    context.abort(next(code for code in Code if code.value[0] == status.code), status.message)


def write(server: FakeBigQueryWrite, request: AppendRowsRequest, context: Any) -> AppendRowsResponse:
    """No fault: write, and answer."""
    if (error := server.write(request)) is not None:
        return AppendRowsResponse(error=error)
    return AppendRowsResponse(append_result={"offset": request.offset}, write_stream=request.write_stream)


def answer_error(status: Status, row_errors: Mapping[int, str] | None = None) -> Fault:
    """Write nothing, and say so within an answer."""
    errors = [
        RowError(index=index, code=RowError.RowErrorCode.FIELDS_ERROR, message=message)
        for index, message in (row_errors or {}).items()
    ]
    return lambda server, request, context: AppendRowsResponse(error=status, row_errors=errors)


def end_with(status: Status, *, written: bool = False) -> Fault:
    """End the call with the error, before or after the rows were written."""

    def fault(server: FakeBigQueryWrite, request: AppendRowsRequest, context: Any) -> None:
        if written:
            server.write(request)
        fail(context, status)

    return fault


def write_then_end_without_answer(server: FakeBigQueryWrite, request: AppendRowsRequest, context: Any) -> None:
    server.write(request)


def write_then_hang(server: FakeBigQueryWrite, request: AppendRowsRequest, context: Any) -> None:
    server.write(request)
    server.hanging.set()
    server.let_go.wait(30)
