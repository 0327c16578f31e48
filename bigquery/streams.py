"""Streams, made and finalized: those of the Storage Write API, and load jobs, whichever way rows are written now."""

from google.api_core.exceptions import NotFound
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient
from google.cloud.bigquery_storage_v1.types import WriteStream

from bigquery import classify, load_jobs
from bigquery.connect import Clients
from bigquery.load_jobs import LoadJob
from delivery.destination import Count, FinalizeResult, Missing, NoCount
from delivery.errors import DestinationError, ErrorClass

CALL_SECONDS = 30.0  # deadline of a call


def create(client: BigQueryWriteClient, table: str) -> str:
    """Make a COMMITTED stream of the table, `projects/.../datasets/.../tables/...`; its name.

    Raises:
        DestinationError: see `Destination.open`.
    """
    try:
        stream = client.create_write_stream(
            parent=table,
            write_stream=WriteStream(type_=WriteStream.Type.COMMITTED),
            retry=None,
            timeout=CALL_SECONDS,
        )
    except Exception as error:
        raise DestinationError(classify.of_exception(error)) from error
    return str(stream.name)


def finalize(clients: Clients, stream: str) -> FinalizeResult:
    """See `Destination.finalize`."""
    if (job := LoadJob.named(stream)) is not None:
        return load_jobs.finalize(clients.rest, job)
    try:
        answer = clients.write.finalize_write_stream(name=stream, retry=None, timeout=CALL_SECONDS)
    except NotFound:
        return Missing()
    except Exception as error:  # noqa: BLE001 -- whatever it was, the caller has to know that the count isn't known
        failure = classify.of_exception(error)
        # What can't be finalized for its state takes no more rows already.
        return NoCount() if failure.error_class is ErrorClass.STREAM and failure.definite else failure
    return Count(answer.row_count)
