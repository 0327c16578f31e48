"""What BigQuery says about its tables, the time there, and making what is missing (`bq-sync init-bigquery`)."""

import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from bigquery import classify
from bigquery.tables import heartbeat_table, shipped_table
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass, Failure
from mapping.schema import BigQueryColumn, BigQueryTable

CALL_SECONDS = 30.0
DAY_MS = 86_400_000

Made = Literal["created", "exists"]
Answer = TypeVar("Answer")

# The REST API answers with the names of legacy SQL.
GOOGLESQL_TYPES: Mapping[str, str] = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}


def read_table(client: bigquery.Client, settings: Settings, name: str) -> BigQueryTable:
    """The table as it is now.

    Raises:
        DestinationError: it can't be read; BLOCKED where it doesn't exist.
    """
    table = _call(client.get_table, f"{settings.project_id}.{settings.dataset_id}.{name}")
    by_time, by_range = table.time_partitioning, table.range_partitioning
    return BigQueryTable(
        name=name,
        columns={field.name: _column(field) for field in table.schema},
        # By time without a column: by the time of arrival, which isn't known when a row is sent.
        partition_column=by_time.field if by_time else by_range.field if by_range else None,
        expiration_days=int(by_time.expiration_ms) / DAY_MS if by_time and by_time.expiration_ms else None,
        clustering=tuple(table.clustering_fields or ()),
    )


def server_time(rest_endpoint: str) -> datetime:
    """What time BigQuery's servers have, to the second, for checking the clock here.

    Asked without credentials, since a clock that is wrong makes them useless.

    Raises:
        DestinationError: no answer, or one without a date.
    """
    try:
        with urllib.request.urlopen(rest_endpoint, timeout=CALL_SECONDS) as answer:  # noqa: S310 -- Google's, or the emulator's
            headers = answer.headers
    except urllib.error.HTTPError as error:  # which status doesn't matter: every answer is dated
        headers = error.headers
    except Exception as error:
        raise DestinationError(classify.of_exception(error)) from error
    try:
        return parsedate_to_datetime(headers["Date"])
    except (TypeError, ValueError) as error:
        failure = Failure(ErrorClass.TRANSIENT, "the answer doesn't say what time it is there", definite=True)
        raise DestinationError(failure) from error


def create_dataset(client: bigquery.Client, settings: Settings) -> Made:
    """Make the configured dataset in the configured location, unless it is there.

    Raises:
        DestinationError: it can't be made; BLOCKED where `location` isn't set.
    """
    name = f"{settings.project_id}.{settings.dataset_id}"
    if _exists(client.get_dataset, name):
        return "exists"
    if settings.location is None:
        reason = f"dataset {name} doesn't exist and location isn't set: it can't be changed afterwards, so say where"
        raise DestinationError(Failure(ErrorClass.BLOCKED, reason, definite=True))
    dataset = bigquery.Dataset(name)
    dataset.location = settings.location
    return _create(client.create_dataset, dataset)


def create_table(client: bigquery.Client, settings: Settings, name: str) -> Made:
    """Make one of the shipped tables, or that for heartbeats, unless one of that name is there, whatever its columns.

    Raises:
        DestinationError: it can't be made.
        KeyError: no table of that name is shipped.
    """
    make = heartbeat_table if name == settings.heartbeat_table else shipped_table
    table = make(settings.project_id, settings.dataset_id, name)
    if _exists(client.get_table, table.reference):
        return "exists"
    return _create(client.create_table, table)


def _column(field: bigquery.SchemaField) -> BigQueryColumn:
    return BigQueryColumn(
        name=field.name,
        type=GOOGLESQL_TYPES.get(field.field_type, field.field_type),
        mode=field.mode,
        has_default=field.default_value_expression is not None,
    )


def _exists(get: Callable[..., object], what: object) -> bool:
    try:
        _call(get, what)
    except DestinationError as error:
        if isinstance(error.__cause__, NotFound):
            return False
        raise
    return True


def _create(create: Callable[..., object], what: object) -> Made:
    try:
        _call(create, what)
    except DestinationError as error:
        if isinstance(error.__cause__, Conflict):  # somebody was quicker
            return "exists"
        raise
    return "created"


def _call(method: Callable[..., Any], what: object) -> Any:
    try:
        return method(what, retry=None, timeout=CALL_SECONDS)
    except Exception as error:
        raise DestinationError(classify.of_exception(error)) from error
