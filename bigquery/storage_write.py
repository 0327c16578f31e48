"""The Storage Write API as a destination: a COMMITTED stream, Arrow rows, an offset on every append."""

import threading

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1.types import AppendRowsRequest, AppendRowsResponse
from google.rpc.status_pb2 import Status

from bigquery import classify, streams
from bigquery.append_call import AppendCall, NoAnswer
from bigquery.connect import VERSION, Clients
from bigquery.lookup import Lookup
from bigquery.upload_size import SLOWEST_BYTES_PER_SECOND
from config.settings import Settings
from delivery.destination import Appended, AppendResult, FinalizeResult
from delivery.errors import ErrorClass, Failure
from delivery.rows import Encoded, SentRows
from mapping.arrow import ArrowRows
from mapping.schema import BigQueryTable

MissingValueInterpretation = AppendRowsRequest.MissingValueInterpretation
TRACE_ID = f"bq-sync:{VERSION}"


class StorageWrite:
    """A table that is written to through streams; implements `delivery.destination.Destination`.

    One append at a time. The connection stays open between appends, and is closed after `idle_seconds` without one:
    Google limits how many may be open in a region, and closes them itself after 600 s. `close` may be called by another
    thread, and ends an append that is waiting for its answer; the next one opens a new connection.
    """

    def __init__(
        self,
        clients: Clients,
        settings: Settings,
        table: BigQueryTable,
        *,
        deadline_seconds: float = 60.0,
        idle_seconds: float = 60.0,
    ) -> None:
        self._clients = clients
        self._parent = f"projects/{settings.project_id}/datasets/{settings.dataset_id}/tables/{table.name}"
        self._defaulted = frozenset(name for name, column in table.columns.items() if column.has_default)
        self._lookup = Lookup(clients.rest, settings, table)
        self._deadline_seconds = deadline_seconds
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()  # of the two below: `close` comes from another thread
        self._call: AppendCall | None = None
        self._call_is_for: tuple[str, pa.Schema] | None = None

    def open(self) -> str:
        return streams.create(self._clients.write, self._parent)

    def send(self, stream: str | None, offset: int | None, rows: Encoded) -> AppendResult:
        assert stream is not None  # but made by our own `open`
        assert offset is not None
        assert isinstance(rows, ArrowRows)  # what the Batcher encodes for this destination
        batch = rows.record_batch
        try:
            answer = self._ask(stream, offset, batch)
        except NoAnswer as error:
            self.close()
            return Failure(ErrorClass.TRANSIENT, str(error), definite=False)
        except grpc.RpcError as error:
            self.close()
            return classify.of_append(classify.status_of(error))
        except Exception as error:  # noqa: BLE001 -- whatever it was, the caller has to know that the outcome is unknown
            self.close()
            return classify.of_exception(error)
        if "error" not in answer:
            return Appended()
        self.close()  # the following requests of a call that had an error may fail for it
        status: Status = AppendRowsResponse.pb(answer).error
        return classify.of_append(status, answer.row_errors, batch.schema.names)

    def finalize(self, stream: str) -> FinalizeResult:
        self.close()
        return streams.finalize(self._clients, stream)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self._lookup.places_there(rows)

    def close(self) -> None:
        with self._lock:
            call, self._call = self._call, None
        if call is not None:
            call.hang_up()

    def _ask(self, stream: str, offset: int, batch: pa.RecordBatch) -> AppendRowsResponse:
        wanted = (stream, batch.schema)
        request = AppendRowsRequest(write_stream=stream, offset=offset)
        request.arrow_rows.rows.serialized_record_batch = batch.serialize().to_pybytes()
        for name in self._defaulted.intersection(batch.schema.names):
            request.missing_value_interpretations[name] = MissingValueInterpretation.NULL_VALUE  # a NULL is meant
        with self._lock:
            call = self._call
            if call is None or not call.is_open or wanted != self._call_is_for:
                if call is not None:
                    call.hang_up()
                # What only the first request of a call carries, and holds for all of them.
                request.arrow_rows.writer_schema.serialized_schema = batch.schema.serialize().to_pybytes()
                request.trace_id = TRACE_ID
                request.default_missing_value_interpretation = MissingValueInterpretation.DEFAULT_VALUE
                call = AppendCall(self._clients.write, stream, self._idle_seconds)
                self._call, self._call_is_for = call, wanted
        return call.ask(request, self._deadline_seconds + batch.nbytes / SLOWEST_BYTES_PER_SECOND)
