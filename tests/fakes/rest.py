"""BigQuery's REST API with what the emulator can't show: insertAll as it is documented, and faults of any call.

Everything else is passed on to the emulator. Written from the reference of tabledata.insertAll, "Error messages" and
"Quotas" of BigQuery's documentation, and what writers saw: the limits' texts (googleapis/google-cloud-go #2855,
wepay/kafka-connect-bigquery #298), `invalid` beside `stopped` (glific/glific #3477).
"""

import gzip
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from tests.fakes.faults import Faults

REQUEST_BYTES = 10_485_760
REQUEST_ROWS = 50_000
SECONDS = 30.0  # deadline of what is asked of the emulator

_TABLE = re.compile(r"/datasets/(?P<dataset>[^/?]+)/tables/(?P<table>[^/?]+)(?P<insert>/insertAll)?(?:\?.*)?$")
_JOB = re.compile(r"^/bigquery/v2/projects/[^/]+/jobs(?P<id>/[^/?]+)?(?:\?.*)?$")
_QUERIED = re.compile(r"FROM `[^`]*\.([^`.]+)`")

InsertError = Mapping[str, object]


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    content_type: str = "application/json; charset=UTF-8"
    location: str | None = None  # where an upload that is begun goes on: at the emulator itself


@dataclass(frozen=True)
class Request:
    """A request whose body is read where somebody asks for it."""

    server: "FakeRest"
    handler: BaseHTTPRequestHandler
    method: str
    path: str

    @cached_property
    def body(self) -> bytes:
        read = self.handler.rfile.read(int(self.handler.headers.get("Content-Length", 0)))
        return gzip.decompress(read) if self.handler.headers.get("Content-Encoding") == "gzip" else read

    @cached_property
    def content(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[Mapping[str, Any]]:
        """Of insertAll: the rows to insert, each of them by its columns."""
        return [row["json"] for row in self.content["rows"]]

    def carry_out(self) -> Answer:
        """Do what is asked for, as if there were no fault."""
        return self.server.carry_out(self)


# What happens to a request instead of being carried out; None: the connection is reset. See `rest_faults`.
RestFault = Callable[[Request], Answer | None]


class FakeRest:
    """The server, on a port of 127.0.0.1 while it is entered.

    Args:
        emulator: host and port of its REST API.
        window_seconds: how long an insertId is remembered; the service says at least a minute. Negative: not at all.

    Attributes:
        inserts, metadata, queries: what is to happen to calls of insertAll, of tables.get and of jobs.query.
        jobs, uploads: and to jobs that are begun, and to load jobs whose file is uploaded.
        requests: the contents of every insertAll.
        clock_ahead: how many seconds its clock is ahead, by which answers are dated.
    """

    def __init__(self, emulator: str, *, window_seconds: float = 60.0) -> None:
        self.inserts: Faults[RestFault] = Faults()
        self.metadata: Faults[RestFault] = Faults()
        self.queries: Faults[RestFault] = Faults()
        self.jobs: Faults[RestFault] = Faults()
        self.uploads: Faults[RestFault] = Faults()
        self.requests: list[Any] = []
        self.clock_ahead = 0.0
        self.hanging = threading.Event()  # set while a request is left without an answer
        self.let_go = threading.Event()
        self.url = ""
        self._emulator = emulator
        self._window_seconds = window_seconds
        self._seen: dict[tuple[str, str | None], float] = {}  # table and insertId: when it came last
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        server = self._server = _QuietServer(("127.0.0.1", 0), _handler_of(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()

    def end_window(self) -> None:
        """Forget every insertId, as the service does after a while."""
        with self._lock:
            self._seen.clear()

    def answer(self, request: Request) -> Answer | None:
        """What the service answers; None: the connection is reset."""
        faults, table = self._faults_of(request)
        fault = None if faults is None else faults.take(table)
        return self.carry_out(request) if fault is None else fault(request)

    def carry_out(self, request: Request) -> Answer:
        found = _TABLE.search(request.path)
        if request.method == "POST" and found and found["insert"]:
            return self._insert(request, found["dataset"], found["table"])
        return self._emulated(request.method, request.path, request.body)

    def _faults_of(self, request: Request) -> tuple[Faults[RestFault] | None, str]:
        found = _TABLE.search(request.path)
        if found and found["insert"]:
            return self.inserts, found["table"]
        if found and request.method == "GET":
            return self.metadata, found["table"]
        if request.method == "POST" and request.path.startswith("/upload/"):
            return self.uploads, ""
        if request.method == "POST" and (job := _JOB.match(request.path)) and job["id"] is None:
            return self.jobs, ""
        if request.method == "POST" and request.path.partition("?")[0].endswith("/queries"):
            queried = _QUERIED.search(request.content["query"])
            return self.queries, queried[1] if queried else ""
        return None, ""

    def _insert(self, request: Request, dataset: str, table: str) -> Answer:
        if len(request.body) > REQUEST_BYTES:
            return _too_large(len(request.body))
        rows = request.content["rows"]
        self.requests.append(request.content)
        if len(rows) > REQUEST_ROWS:
            return error_answer(
                400, "invalid", f"too many rows present in the request, limit: {REQUEST_ROWS} row count: {len(rows)}."
            )
        described = self._emulated("GET", request.path.partition("/insertAll")[0], b"")
        if described.status != 200:
            return described
        fields = json.loads(described.body)["schema"]["fields"]
        errors = [(place, error) for place, row in enumerate(rows) for error in _problems(row["json"], fields)]
        if errors:
            return refusal(dict(errors), len(rows))
        return self._insert_once(request, f"{dataset}.{table}", rows)

    def _insert_once(self, request: Request, table: str, rows: Sequence[Mapping[str, Any]]) -> Answer:
        """Insert the rows whose insertId isn't remembered: that it was inserted is all that the service says."""
        now = time.monotonic()
        answer = json_answer(200, {"kind": "bigquery#tableDataInsertAllResponse"})
        new = []
        with self._lock:
            seen = {known for known, at in self._seen.items() if now - at <= self._window_seconds}
            for row in rows:
                known = (table, row.get("insertId"))
                if known[1] is None or known not in seen:
                    new.append({"json": row["json"]})
                    seen.add(known)
            if new:
                answer = self._emulated("POST", request.path, json.dumps({"rows": new}).encode())
            if answer.status == 200:
                self._seen |= {(table, row["insertId"]): now for row in rows if "insertId" in row}
        return answer

    def _emulated(self, method: str, path: str, body: bytes) -> Answer:
        connection = HTTPConnection(self._emulator, timeout=SECONDS)
        try:
            connection.request(method, path, body or None, {"Content-Type": "application/json", "Connection": "close"})
            answer = connection.getresponse()
            headers = answer.headers
            return Answer(answer.status, answer.read(), headers.get("Content-Type", ""), headers.get("Location"))
        finally:
            connection.close()


def json_answer(status: int, content: object) -> Answer:
    return Answer(status, json.dumps(content).encode())


def error_answer(status: int, reason: str, message: str) -> Answer:
    """An error in the service's form."""
    error = {"domain": "global", "reason": reason, "message": message}
    return json_answer(status, {"error": {"code": status, "message": message, "errors": [error]}})


def refusal(guilty: Mapping[int, InsertError], rows: int) -> Answer:
    """No row was inserted: these for their own errors, the others since they came with them."""
    stopped = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}
    listed = [{"index": place, "errors": [guilty.get(place, stopped)]} for place in range(rows)]
    return json_answer(200, {"kind": "bigquery#tableDataInsertAllResponse", "insertErrors": listed})


def invalid(location: str, message: str) -> InsertError:
    return {"reason": "invalid", "location": location, "debugInfo": "", "message": message}


def _too_large(nbytes: int) -> Answer:
    if nbytes > 2 * REQUEST_BYTES:  # what stands before the service doesn't let it through
        return error_answer(413, "requestTooLarge", "Request Too Large")
    return error_answer(400, "badRequest", f"Request payload size exceeds the limit: {REQUEST_BYTES} bytes.")


def _problems(row: Mapping[str, Any], fields: Sequence[Mapping[str, Any]]) -> Sequence[InsertError]:
    """Columns that aren't there, and values that are required."""
    names = {field["name"] for field in fields}
    unknown = [invalid(name, f"no such field: {name}.") for name in row if name not in names]
    required = [field["name"] for field in fields if field.get("mode") == "REQUIRED"]
    missing = [invalid("", f"Missing required field: {name}.") for name in required if row.get(name) is None]
    return (*unknown, *missing)


class _QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client may hang up whenever it wants."""
        if not isinstance(sys.exception(), ConnectionError):
            raise


def _handler_of(server: FakeRest) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm: ClassVar[bool] = True

        def log_message(self, format: str, *arguments: object) -> None: ...

        def date_time_string(self, timestamp: float | None = None) -> str:
            return super().date_time_string((time.time() if timestamp is None else timestamp) + server.clock_ahead)

        def _handle(self) -> None:
            answer = server.answer(Request(server, self, self.command, self.path))
            if answer is None:
                self._reset()
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            if answer.location is not None:
                self.send_header("Location", answer.location)
            self.end_headers()
            self.wfile.write(answer.body)

        def _reset(self) -> None:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.close(self.connection.detach())

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815 -- the names that http.server looks for

    return Handler
