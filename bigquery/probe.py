"""Whether BigQuery lets us do what a worker will have to do; each is tried, and leaves nothing behind."""

from collections.abc import Callable
from typing import Any

from google.api_core.exceptions import NotFound
from google.cloud import bigquery

from bigquery import classify
from bigquery.connect import Clients
from bigquery.insert_all import InsertAll
from bigquery.names import quoted, quoted_table
from bigquery.storage_write import StorageWrite
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass, Failure
from mapping.json_rows import JsonRows
from mapping.schema import BigQueryTable

CALL_SECONDS = 15.0
TO_INSERT = "bigquery.tables.updateData"


def dataset_location(client: bigquery.Client, settings: Settings) -> str:
    """Where the configured dataset is, such as asia-northeast1.

    Raises:
        DestinationError: it can't be read; `is_missing` tells whether it isn't there.
    """
    name = f"{settings.project_id}.{settings.dataset_id}"
    dataset = _call(client.get_dataset, name, retry=None, timeout=CALL_SECONDS)
    return str(dataset.location)


def is_missing(error: DestinationError) -> bool:
    """Whether BigQuery answered that it has no such dataset or table."""
    return isinstance(error.__cause__, NotFound)


def try_writing(clients: Clients, settings: Settings, table: BigQueryTable) -> None:
    """Do what the configured way of writing needs, and nothing that stays.

    Raises:
        DestinationError: the table may not be written to, or the service doesn't answer.
    """
    match settings.write_method:
        case "storage_write":
            # A stream that is finalized while it is empty is forgotten by BigQuery.
            destination = StorageWrite(clients, settings, table)
            _raise_failure(destination.finalize(destination.open()))
        case "insert_all" if settings.storage_endpoint:  # an emulator knows of no permissions
            _raise_failure(InsertAll(clients, settings, table).send(None, None, JsonRows(())))
        case "insert_all":
            _ask_for_permission(clients.rest, f"{settings.project_id}.{settings.dataset_id}.{table.name}")


def _raise_failure(answer: object) -> None:
    if isinstance(answer, Failure):
        raise DestinationError(answer)


def _ask_for_permission(client: bigquery.Client, table: str) -> None:
    """Ask, rather than try: what insertAll writes it can't take back."""
    answer = _call(client.test_iam_permissions, table, [TO_INSERT], retry=None, timeout=CALL_SECONDS)
    if TO_INSERT not in answer.get("permissions", ()):
        reason = f"the service account lacks the permission {TO_INSERT}"
        raise DestinationError(Failure(ErrorClass.BLOCKED, reason, definite=True))


def try_querying(client: bigquery.Client, settings: Settings, table: BigQueryTable, column: str) -> None:
    """Have a query planned, which needs the right to make jobs, and read a value, which needs the right to read.

    Neither is billed: a planned query ("dry run") scans nothing, and reading by tabledata.list is free.

    Raises:
        DestinationError: look-ups would fail.
    """
    text = f"SELECT {quoted(column)} FROM {quoted_table(settings, table.name)} LIMIT 1"  # noqa: S608 -- of quoted names
    planned = bigquery.QueryJobConfig(dry_run=True, use_query_cache=False)
    _call(client.query, text, job_config=planned, retry=None, job_retry=None, timeout=CALL_SECONDS)
    _call(_read_value, client, f"{settings.project_id}.{settings.dataset_id}.{table.name}", column)


def _read_value(client: bigquery.Client, table: str, column: str) -> None:
    # The type only says how the value is shown to us, and we don't look at it.
    fields = [bigquery.SchemaField(column, "STRING")]
    rows = client.list_rows(table, selected_fields=fields, max_results=1, retry=None, timeout=CALL_SECONDS)
    next(rows.pages, None)


def _call(method: Callable[..., Any], *arguments: object, **options: object) -> Any:
    try:
        return method(*arguments, **options)
    except Exception as error:
        raise DestinationError(classify.of_exception(error)) from error
