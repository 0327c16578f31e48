"""From what a call ended with to a `Failure`: by its codes, see `error_classes`, and by its words where they lie."""

import re
from collections.abc import Collection, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import grpc
import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.bigquery_storage_v1.types import RowError, StorageError
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from bigquery.error_classes import (
    BLOCKED,
    COLUMN_MISSING,
    GRPC_CODES,
    HTTP_CODES,
    INVALID,
    MAY_BE_DONE,
    NO_MEANING,
    QUOTABLE,
    REFUSALS,
    REST_REASONS,
    STOPPED,
    STORAGE_ERRORS,
    STREAM,
    TRANSIENT,
    Grpc,
    StorageCode,
)
from bigquery.row_errors import LONGEST, of_cell, without_values
from delivery.destination import AlreadyThere, Appended
from delivery.errors import ErrorClass, Failure

# gRPC turns a reset connection and a proxy's HTTP status into codes of its own; its words give it away.
_FROM_TRANSPORT = re.compile(r"RST_STREAM|http2|HTTP/2|Stream removed|Socket closed|Connection reset", re.IGNORECASE)

# Of TLS: a machine without a battery-backed clock starts in the past.
_CERTIFICATE_DATES = re.compile(r"certificate (is not yet valid|has expired)", re.IGNORECASE)

# gRPC's words where no token could be had; the call ends as UNAVAILABLE before anything is sent.
_NO_TOKEN = "Getting metadata from plugin failed"  # noqa: S105 -- not a password

# Of the token server: it says invalid_grant both for a key that is gone and for a token of another time.
_KEY_IS_GONE = re.compile(r"signature|account not found|disabled|deleted", re.IGNORECASE)
_TOKEN_SERVER_TROUBLE = re.compile(
    r"ConnectionPool|Max retries exceeded|Connection aborted|timed out|internal_failure|server_error|unavailable",
    re.IGNORECASE,
)

_REQUEST = re.compile(r"^[A-Z]+ https?://\S+: ")

_TOO_LARGE = re.compile(r"payload size exceeds|request (entity )?too large", re.IGNORECASE)

INSERTED = "bigquery#tableDataInsertAllResponse"  # what an answer to insertAll calls itself

# Without TLS and a token nothing is sent.
_CLOCK_WRONG = Failure(TRANSIENT, "clock wrong: set this machine's clock", definite=True)
_NO_TOKEN_SERVER = Failure(TRANSIENT, "Google's token server can't be reached", definite=True)


def status_of(call: grpc.Call) -> Status:
    """What a failed call ended with, in the form that an answer carries its `error` in.

    The details (StorageError) travel in a trailer of the call.
    """
    status = Status(code=call.code().value[0], message=call.details() or "")
    for key, value in call.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            try:
                status.details.extend(Status.FromString(value).details)
            except DecodeError:
                continue  # a proxy's, not the service's: the code says enough
    return status


def of_append(
    status: Status, row_errors: Sequence[RowError] = (), columns: Collection[str] = ()
) -> AlreadyThere | Failure:
    """Classify the error of an append, whether the call ended with it or an answer carried it.

    `columns` are names that may be quoted in the reason of a bad row.
    """
    code, storage_code = _codes(status)
    if code is Grpc.ALREADY_EXISTS or storage_code is StorageCode.OFFSET_ALREADY_EXISTS:
        return AlreadyThere()
    if row_errors:  # none of the request's rows was written; the list may be incomplete
        bad_rows = {
            error.index: f"BigQuery can't take it: {without_values(error.message, columns)}" for error in row_errors
        }
        return Failure(ErrorClass.BAD_ROW, f"BigQuery can't take {len(bad_rows)} of the rows", True, bad_rows)
    if code is Grpc.INVALID_ARGUMENT and "row_errors" in status.message:
        # Rows are guilty, but the list didn't fit into the answer: only smaller batches tell which.
        return Failure(ErrorClass.BAD_ROW, "BigQuery can't take some of the rows, and doesn't say which", True)
    if code is Grpc.NOT_FOUND and not storage_code:
        # The stream or its table. A new stream tells which: without the table none can be made.
        return Failure(STREAM, _reason("the stream or its table doesn't exist", code.name, status.message), True)
    return _of_status(status)


def of_insert(answer: requests.Response, rows: int, columns: Collection[str]) -> Appended | Failure:
    """Classify the answer to an insertAll of so many rows.

    `columns`: see `of_append`.
    """
    if answer.status_code != HTTPStatus.OK:
        return _of_refused_insert(answer, rows)
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, Mapping) or content.get("kind") != INSERTED:
        return Failure(TRANSIENT, "what answered isn't BigQuery: is there a proxy, or a page to log in?", False)
    errors = content.get("insertErrors")
    return _of_insert_errors(errors, rows, columns) if errors else Appended()


def of_exception(error: Exception) -> Failure:
    """Classify what any other call raised, or the way to the service did."""
    if _CERTIFICATE_DATES.search(str(error)):
        return _CLOCK_WRONG
    match error:
        case api.GoogleAPICallError(response=grpc.Call() as call):
            return _of_status(status_of(call))
        case api.GoogleAPICallError():
            return _of_http(error)
        case auth.TransportError():
            return _NO_TOKEN_SERVER
        case auth.RefreshError():
            return _NO_TOKEN_SERVER if error.retryable else _of_refusal_of_token(str(error))
        case auth.DefaultCredentialsError():
            return Failure(BLOCKED, "no Google credentials: set BQ_CREDENTIALS_PATH to a service account file", True)
        case OSError() | urllib3.exceptions.HTTPError():  # sockets, DNS, TLS, timeouts, and all of requests'
            return Failure(TRANSIENT, f"BigQuery can't be reached ({_innermost(error)})", definite=False)
        case _:
            error_class, meaning = NO_MEANING
            return Failure(error_class, f"{meaning} ({type(error).__name__})", definite=False)


def _of_refused_insert(answer: requests.Response, rows: int) -> Failure:
    failure = _of_http(_as_error(answer))
    by_anybody = answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    if not by_anybody and not (failure.definite and _TOO_LARGE.search(failure.reason)):
        return failure
    reason = f"the request is too large: {failure.reason}"
    if rows == 1 and not failure.definite:
        # A proxy's limit isn't BigQuery's: nothing is wrong with the row, unless all others get through.
        return Failure(ErrorClass.UNKNOWN, f"{reason}; not BigQuery says so: is there a proxy?", definite=True)
    # Whoever it is that says so didn't take the request. Which rows are too many is found out by halving.
    return Failure(ErrorClass.BAD_ROW, reason, definite=True)


def _as_error(answer: requests.Response) -> api.GoogleAPICallError:
    try:
        return api.from_http_response(answer)
    except (AttributeError, TypeError):  # the library takes any JSON for Google's
        return api.from_http_status(answer.status_code, "", response=answer)


def _of_insert_errors(listed: Sequence[Mapping[str, Any]], rows: int, columns: Collection[str]) -> Failure:
    """Where every row is `invalid` or `stopped` nothing was written; otherwise BigQuery wrote what it could."""
    errors = [(row.get("index", -1), error) for row in listed for error in row.get("errors", ())]
    for _, error in errors:
        if (reason := error.get("reason", "")) not in (INVALID, STOPPED):
            error_class, meaning = REST_REASONS.get(reason, NO_MEANING)
            return Failure(error_class, _reason(meaning, reason, error.get("message") or ""), definite=False)
    definite = len({place for place, _ in errors}) == rows
    bad_rows: dict[int, str] = {}
    for place, error in errors:
        message = error.get("message") or ""
        wrong = of_cell(error.get("location") or "", message, columns)
        if message.startswith("no such field"):  # every row's trouble
            error_class, meaning = COLUMN_MISSING
            return Failure(error_class, f"{meaning} ({wrong})", definite)
        if error["reason"] == INVALID and wrong:  # innocent rows have been called invalid, but not said why
            bad_rows.setdefault(place, f"BigQuery can't take it: {wrong}")
    if bad_rows:
        return Failure(ErrorClass.BAD_ROW, f"BigQuery can't take {len(bad_rows)} of the rows", definite, bad_rows)
    return Failure(ErrorClass.UNKNOWN, "BigQuery can't take some of the rows, and doesn't say which", definite)


def _of_status(status: Status) -> Failure:
    code, storage_code = _codes(status)
    if _CERTIFICATE_DATES.search(status.message):
        return _CLOCK_WRONG
    if _NO_TOKEN in status.message:
        return _of_refusal_of_token(status.message)
    from_transport = bool(_FROM_TRANSPORT.search(status.message))
    error_class, meaning = STORAGE_ERRORS.get(storage_code) or GRPC_CODES.get(code, NO_MEANING)
    if code is Grpc.UNKNOWN and from_transport:
        error_class, meaning = TRANSIENT, "the connection broke"
    if code is Grpc.FAILED_PRECONDITION and not storage_code and "stream" in status.message.lower():
        error_class, meaning = STREAM, "the stream takes no more rows"
    name = storage_code.name if storage_code else code.name
    definite = code in REFUSALS and not from_transport
    return Failure(error_class, _reason(meaning, name, status.message), definite)


def _codes(status: Status) -> tuple[grpc.StatusCode, StorageCode]:
    code = next((code for code in grpc.StatusCode if code.value[0] == status.code), Grpc.UNKNOWN)
    for detail in status.details:
        if detail.Is(StorageError.pb().DESCRIPTOR):
            return code, StorageCode(StorageError.deserialize(detail.value).code)
    return code, StorageCode.STORAGE_ERROR_CODE_UNSPECIFIED


def _of_http(error: api.GoogleAPICallError) -> Failure:
    details: Any = error.errors[0] if error.errors and isinstance(error.errors[0], Mapping) else {}
    reason = details.get("reason", "")
    code = error.code or 0
    error_class, meaning = REST_REASONS.get(reason) or HTTP_CODES.get(code, NO_MEANING)
    said = details.get("message") or _without_request(error.message or "")
    # A client error in BigQuery's own form is a refusal; anything else may be a proxy's.
    definite = bool(reason) and 400 <= code < 500 and code not in MAY_BE_DONE
    return Failure(error_class, _reason(meaning, reason or f"HTTP {code}", said), definite)


def _without_request(message: str) -> str:
    """What the answer said, where the library put method and URL before it; nothing of a page for a browser."""
    said = _REQUEST.sub("", message)
    return "" if said.lstrip().startswith("<") else said


def _of_refusal_of_token(message: str) -> Failure:
    if "invalid_grant" in message:
        if _KEY_IS_GONE.search(message):
            return Failure(BLOCKED, "the service account or its key is gone (invalid_grant): make a new key", True)
        return _CLOCK_WRONG
    if _TOKEN_SERVER_TROUBLE.search(message):
        return _NO_TOKEN_SERVER
    return Failure(BLOCKED, "Google refuses the service account: check the file at BQ_CREDENTIALS_PATH", True)


def _innermost(error: BaseException) -> str:
    """The name of the error that it began with: requests wraps urllib3's, which wraps the socket's."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return type(error).__name__


def _reason(meaning: str, code: str, message: str) -> str:
    said = message.strip().partition("\n")[0]
    if code not in QUOTABLE:
        said = without_values(said, ())
    return f"{meaning} ({code}: {said})"[:LONGEST] if said else f"{meaning} ({code})"
