"""tabledata.insertAll as a destination: JSON rows with insertIds, and look-ups where streams have offsets."""

from dataclasses import replace
from urllib.parse import quote

from bigquery import classify, streams
from bigquery.append_call import NoAnswer
from bigquery.connect import VERSION, Clients
from bigquery.lookup import Lookup
from bigquery.posting import NotSentError, Posting
from bigquery.upload_size import SLOWEST_BYTES_PER_SECOND, gzip_body
from config.settings import Settings
from delivery.destination import AppendResult, FinalizeResult
from delivery.errors import ErrorClass, Failure
from delivery.rows import Encoded, SentRows
from mapping.json_rows import JsonRows
from mapping.schema import BigQueryTable

HEADERS = {
    "Content-Type": "application/json",
    "User-Agent": f"bq-sync/{VERSION}",
}


class InsertAll:
    """A table that is written to by requests of their own; implements `delivery.destination.Destination`.

    One request at a time. It is atomic only as long as BigQuery has no trouble: what is written of a request that
    wasn't answered, or not with a whole refusal, only a look-up tells. After `close`, which may be called by another
    thread and ends the request under way, nothing is sent any more.
    """

    def __init__(
        self, clients: Clients, settings: Settings, table: BigQueryTable, *, deadline_seconds: float = 60.0
    ) -> None:
        self._clients = clients
        self._posting = Posting(clients.credentials)
        path = f"projects/{settings.project_id}/datasets/{settings.dataset_id}/tables/{table.name}/insertAll"
        self._url = f"{clients.rest_endpoint}/bigquery/v2/{quote(path)}?prettyPrint=false"
        self._columns = frozenset(table.columns)
        self._gzip = settings.compression == "gzip"
        self._lookup = Lookup(clients.rest, settings, table)
        self._deadline_seconds = deadline_seconds

    def open(self) -> None:
        """There are no streams."""

    def send(self, _stream: str | None, _offset: int | None, rows: Encoded) -> AppendResult:
        assert isinstance(rows, JsonRows)  # what the Batcher encodes for this destination
        body = gzip_body(rows) if self._gzip else rows.body()
        headers = HEADERS | ({"Content-Encoding": "gzip"} if self._gzip else {})
        deadline = self._deadline_seconds + len(body) / SLOWEST_BYTES_PER_SECOND
        try:
            answer = self._posting.post(self._url, body, headers, deadline)
        except NotSentError as unsent:
            return replace(_failure(unsent.error), definite=True)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the caller has to know that the outcome is unknown
            return _failure(error)
        return classify.of_insert(answer, len(rows.rows), self._columns)

    def finalize(self, stream: str) -> FinalizeResult:
        """A load job, or a stream that is left from when rows were written through streams."""
        return streams.finalize(self._clients, stream)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self._lookup.places_there(rows)

    def close(self) -> None:
        self._posting.close()


def _failure(error: Exception) -> Failure:
    if isinstance(error, NoAnswer):
        return Failure(ErrorClass.TRANSIENT, str(error), definite=False)
    return classify.of_exception(error)
