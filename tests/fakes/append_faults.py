"""What can happen to an append, as the reference of AppendRows tells and as writers have seen it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping

from google.cloud.bigquery_storage_v1.types import AppendRowsResponse, RowError, TableFieldSchema, TableSchema
from google.rpc.status_pb2 import Status

from tests.fakes.append_rows import Append, AppendFault, Code, Row, StorageCode, storage_status

# googleapis/python-bigquery-storage #717
ROW_ERRORS = (
    "Errors found while processing rows. Please refer to the row_errors field for details."
    " The list may not be complete because of the size limitations."
)


def answer_error(status: Status, row_errors: Mapping[int, str] | None = None, *, written: bool = False) -> AppendFault:
    """Say it within an answer, before or after the rows were written."""
    errors = [
        RowError(index=index, code=RowError.RowErrorCode.FIELDS_ERROR, message=message)
        for index, message in (row_errors or {}).items()
    ]

    def fault(append: Append) -> AppendRowsResponse:
        if written:
            append.write()
        return AppendRowsResponse(error=status, row_errors=errors)

    return fault


def end_with(status: Status, *, written: bool = False) -> AppendFault:
    """End the call with the error, before or after the rows were written."""

    def fault(append: Append) -> None:
        if written:
            append.write()
        append.fail(status)

    return fault


def write_then_end_without_answer(append: Append) -> None:
    append.write()


def write_then_hang(append: Append) -> None:
    append.write()
    hang(append)


def hang(append: Append) -> None:
    """No answer, until the server ends."""
    append.server.hanging.set()
    append.server.let_go.wait(30)


def vanished(append: Append) -> AppendRowsResponse | None:
    """The service has forgotten the stream, for this append and for whatever comes after it."""
    append.server.vanish(append.request.write_stream)
    return answer_error(storage_status(Code.NOT_FOUND, StorageCode.STREAM_NOT_FOUND))(append)


def finalized(append: Append) -> AppendRowsResponse:
    """Somebody else has finalized the stream a moment before."""
    append.server.streams.finalize(append.request.write_stream)
    return append.write()


def refuse_rows(is_bad: Callable[[Row], bool], message: str, *, listed: int | None = None) -> AppendFault:
    """Refuse a request with bad rows whole, and list so many of them (default: all); others are written."""

    def fault(append: Append) -> AppendRowsResponse:
        bad = [place for place, row in enumerate(append.rows) if is_bad(row)]
        if not bad:
            return append.write()
        status = storage_status(Code.INVALID_ARGUMENT, message=ROW_ERRORS)
        return answer_error(status, dict.fromkeys(bad[:listed], message))(append)

    return fault


def refuse_column(name: str) -> AppendFault:
    """The table has no such column (any more, or not yet); requests without it are written."""
    message = f"Input schema has more fields than BigQuery schema, extra fields: '{name}'"

    def fault(append: Append) -> AppendRowsResponse:
        if name not in append.columns:
            return append.write()
        status = storage_status(Code.INVALID_ARGUMENT, StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS, message)
        return answer_error(status)(append)

    return fault


def updated_schema(append: Append) -> AppendRowsResponse:
    """Write, and tell with the answer that the table has other columns by now."""
    answer = append.write()
    answer.updated_schema = TableSchema(fields=[TableFieldSchema(name="new", type_=TableFieldSchema.Type.STRING)])
    return answer


class Quota:
    """So many rows in so many seconds; more are refused with RESOURCE_EXHAUSTED."""

    def __init__(self, rows: int, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rows, self._seconds, self._clock = rows, seconds, clock
        self._spent: deque[tuple[float, int]] = deque()
        self._lock = threading.Lock()

    def __call__(self, append: Append) -> AppendRowsResponse:
        if not self.allows(len(append.rows)):
            return answer_error(storage_status(Code.RESOURCE_EXHAUSTED, message="Exceeds quota on AppendRows"))(append)
        return append.write()

    def allows(self, rows: int) -> bool:
        """Whether so many rows fit in now; then they are spent."""
        now = self._clock()
        with self._lock:
            while self._spent and self._spent[0][0] <= now - self._seconds:
                self._spent.popleft()
            if sum(spent for _, spent in self._spent) + rows > self._rows:
                return False
            self._spent.append((now, rows))
            return True
