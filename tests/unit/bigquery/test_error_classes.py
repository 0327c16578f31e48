"""Every code of BigQuery: the class it belongs to, and whether nothing was written for certain."""

import grpc
import pytest
import requests
import urllib3.exceptions
from google.api_core import exceptions as api
from google.auth import exceptions as auth
from google.cloud.bigquery_storage_v1.types import RowError, StorageError
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status

from bigquery import classify
from bigquery.error_classes import GRPC_CODES, HTTP_CODES, REST_REASONS, STORAGE_ERRORS
from delivery.destination import AlreadyThere
from delivery.errors import ErrorClass, Failure

Code = grpc.StatusCode
StorageCode = StorageError.StorageErrorCode


class EndedCall(grpc.RpcError, grpc.Call):  # type: ignore[misc]  # grpc has no types
    """A call as gRPC raises it: with code, text and trailer."""

    def __init__(self, status: Status, trailer: bytes | None = None) -> None:
        self._status = status
        self._trailer = status.SerializeToString() if trailer is None else trailer

    def code(self) -> grpc.StatusCode:
        return next(code for code in Code if code.value[0] == self._status.code)

    def details(self) -> str:
        return str(self._status.message)

    def trailing_metadata(self) -> list[tuple[str, bytes]]:
        return [("grpc-status-details-bin", self._trailer)]

    def add_callback(self, callback: object) -> bool:
        return False

    cancel = initial_metadata = is_active = time_remaining = lambda self: None


def status(code: grpc.StatusCode, storage_code: int = 0, message: str = "no") -> Status:
    status = Status(code=code.value[0], message=message)
    if storage_code:
        detail = AnyMessage()
        detail.Pack(StorageError.pb(StorageError(code=storage_code)))
        status.details.append(detail)
    return status


def of_append(status: Status, *row_errors: RowError) -> Failure:
    failure = classify.of_append(status, row_errors, ["tid", "detected_at"])
    assert isinstance(failure, Failure)
    return failure


GRPC_CASES = [
    (Code.UNAVAILABLE, "transient", False),
    (Code.DEADLINE_EXCEEDED, "transient", False),
    (Code.INTERNAL, "transient", False),
    (Code.CANCELLED, "transient", False),
    (Code.ABORTED, "transient", False),
    (Code.RESOURCE_EXHAUSTED, "quota", True),
    (Code.UNAUTHENTICATED, "blocked", True),
    (Code.PERMISSION_DENIED, "blocked", True),
    (Code.FAILED_PRECONDITION, "blocked", True),
    (Code.INVALID_ARGUMENT, "blocked", True),
    (Code.UNIMPLEMENTED, "blocked", False),
    (Code.NOT_FOUND, "stream", True),
    (Code.OUT_OF_RANGE, "stream", True),
    (Code.UNKNOWN, "unknown", False),
    (Code.DATA_LOSS, "unknown", False),
    (Code.OK, "unknown", False),  # an answer with an empty error
]


@pytest.mark.parametrize(("code", "error_class", "definite"), GRPC_CASES)
def test_grpc_codes_of_an_append(code: grpc.StatusCode, error_class: str, definite: bool) -> None:
    failure = of_append(status(code))
    assert (failure.error_class, failure.definite) == (error_class, definite)
    assert code.name in failure.reason


STORAGE_CASES = [
    (StorageCode.TABLE_NOT_FOUND, "blocked"),
    (StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS, "blocked"),
    (StorageCode.CMEK_NOT_PROVIDED, "blocked"),
    (StorageCode.INVALID_CMEK_PROVIDED, "blocked"),
    (StorageCode.CMEK_ENCRYPTION_ERROR, "blocked"),
    (StorageCode.KMS_PERMISSION_DENIED, "blocked"),
    (StorageCode.KMS_SERVICE_ERROR, "transient"),
    (StorageCode.STREAM_NOT_FOUND, "stream"),
    (StorageCode.STREAM_ALREADY_COMMITTED, "stream"),
    (StorageCode.INVALID_STREAM_TYPE, "stream"),
    (StorageCode.INVALID_STREAM_STATE, "stream"),
    (StorageCode.STREAM_FINALIZED, "stream"),
    (StorageCode.OFFSET_OUT_OF_RANGE, "stream"),
]


@pytest.mark.parametrize(("code", "error_class"), STORAGE_CASES)
def test_a_storage_error_is_more_precise_than_the_code(code: int, error_class: str) -> None:
    said = status(Code.INVALID_ARGUMENT, code)
    failure = of_append(said)
    assert (failure.error_class, failure.definite) == (error_class, True)
    assert failure == of_append(classify.status_of(EndedCall(said)))


def test_every_storage_error_has_its_meaning() -> None:
    codes = {code for code in StorageCode if code != StorageCode.STORAGE_ERROR_CODE_UNSPECIFIED}
    assert codes - STORAGE_ERRORS.keys() == {StorageCode.OFFSET_ALREADY_EXISTS}  # which is no failure


@pytest.mark.parametrize(
    "said", [status(Code.ALREADY_EXISTS), status(Code.INVALID_ARGUMENT, StorageCode.OFFSET_ALREADY_EXISTS)]
)
def test_an_offset_that_is_taken_is_no_failure(said: Status) -> None:
    assert classify.of_append(said) == AlreadyThere()
    assert classify.of_append(classify.status_of(EndedCall(said))) == AlreadyThere()


def test_bad_rows() -> None:
    errors = [RowError(index=2, message='no "tid"'), RowError(index=5, message='"detected_at": "x" is no time')]
    failure = of_append(status(Code.INVALID_ARGUMENT), *errors)
    assert (failure.error_class, failure.definite) == ("bad_row", True)
    assert failure.bad_rows == {
        2: 'BigQuery can\'t take it: no "tid"',
        5: 'BigQuery can\'t take it: "detected_at": "..." is no time',
    }


def test_bad_rows_that_arent_listed_are_found_by_halving() -> None:
    said = status(Code.INVALID_ARGUMENT, message="Errors found. Please refer to the row_errors field for details.")
    failure = of_append(said)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("bad_row", True, {})


@pytest.mark.parametrize(
    ("code", "message", "error_class"),
    [
        (Code.RESOURCE_EXHAUSTED, "Received RST_STREAM with error code 11", "quota"),
        (Code.PERMISSION_DENIED, "Received http2 header with status: 403", "blocked"),
        (Code.UNKNOWN, "Stream removed", "transient"),
        (Code.UNKNOWN, "Connection reset by peer", "transient"),
    ],
)
def test_what_the_transport_says_is_no_refusal(code: grpc.StatusCode, message: str, error_class: str) -> None:
    failure = of_append(status(code, message=message))
    assert (failure.error_class, failure.definite) == (error_class, False)


def test_a_precondition_of_the_stream_without_details() -> None:
    assert of_append(status(Code.FAILED_PRECONDITION, message="stream is finalized")).error_class == "stream"


def test_details_that_arent_the_services() -> None:
    assert classify.status_of(EndedCall(status(Code.INTERNAL), trailer=b"\xff\xff")) == status(Code.INTERNAL)


def test_other_calls_ask_for_the_table() -> None:
    error = api.from_grpc_error(EndedCall(status(Code.NOT_FOUND, message="Not found: table p:d.t")))
    failure = classify.of_exception(error)
    assert (failure.error_class, failure.definite) == ("blocked", True)
    assert "p:d.t" in failure.reason


REST_CASES = [
    (400, "invalid", "blocked", True),
    (400, "invalidQuery", "blocked", True),
    (400, "bytesBilledLimitExceeded", "blocked", True),
    (400, "billingTierLimitExceeded", "blocked", True),
    (400, "resourcesExceeded", "quota", True),
    (400, "tableUnavailable", "transient", True),
    (401, "authError", "blocked", True),
    (403, "accessDenied", "blocked", True),
    (403, "billingNotEnabled", "blocked", True),
    (403, "blocked", "blocked", True),
    (403, "policyViolation", "blocked", True),
    (403, "responseTooLarge", "blocked", True),
    (403, "quotaExceeded", "quota", True),
    (403, "rateLimitExceeded", "quota", True),
    (403, "jobRateLimitExceeded", "quota", True),
    (404, "notFound", "blocked", True),
    (200, "stopped", "transient", False),
    (500, "timeout", "transient", False),
    (500, "backendError", "transient", False),
    (500, "internalError", "transient", False),
    (500, "jobBackendError", "transient", False),
    (500, "jobInternalError", "transient", False),
    (500, "bytesBilledLimitExceeded", "blocked", False),  # a job's error whose reason the library doesn't know
    (400, "", "blocked", False),
    (401, "", "blocked", False),
    (403, "", "blocked", False),
    (404, "", "blocked", False),
    (407, "", "blocked", False),
    (408, "", "transient", False),
    (429, "", "quota", False),
    (500, "", "transient", False),
    (502, "", "transient", False),
    (503, "", "transient", False),
    (504, "", "transient", False),
    (408, "timeout", "transient", False),
    (409, "duplicate", "unknown", False),  # done before, maybe by this very request
    (499, "cancelled", "unknown", False),
    (418, "", "unknown", False),
]


@pytest.mark.parametrize(("http", "reason", "error_class", "definite"), REST_CASES)
def test_rest_errors(http: int, reason: str, error_class: str, definite: bool) -> None:
    errors = [{"reason": reason, "message": "no"}] if reason else []
    failure = classify.of_exception(api.from_http_status(http, "no", errors=errors))
    assert (failure.error_class, failure.definite) == (error_class, definite)
    assert (reason or str(http)) in failure.reason


def test_no_code_in_the_tables_is_left_out() -> None:
    assert GRPC_CODES.keys() - {case[0] for case in GRPC_CASES} == {Code.ALREADY_EXISTS}  # which is no failure
    assert STORAGE_ERRORS.keys() == {case[0] for case in STORAGE_CASES}
    assert HTTP_CODES.keys() <= {case[0] for case in REST_CASES if not case[1]}
    assert REST_REASONS.keys() <= {case[1] for case in REST_CASES}


def test_the_figure_of_a_query_that_is_too_large_is_kept() -> None:
    message = "Query exceeded limit for bytes billed: 10000000000. 20971520000 or higher required."
    error = api.from_http_status(400, message, errors=[{"reason": "bytesBilledLimitExceeded", "message": message}])
    assert "20971520000" in classify.of_exception(error).reason


@pytest.mark.parametrize(
    ("error", "error_class", "reason"),
    [
        (
            auth.RefreshError("invalid_grant: Invalid JWT: Token must be a short-lived token"),
            "transient",
            "clock wrong",
        ),
        (auth.RefreshError("invalid_grant: Invalid JWT Signature."), "blocked", "key is gone"),
        (auth.RefreshError("invalid_grant: Invalid grant: account not found"), "blocked", "key is gone"),
        (auth.RefreshError("internal_failure", retryable=True), "transient", "token server"),
        (auth.RefreshError("unauthorized_client"), "blocked", "BQ_CREDENTIALS_PATH"),
        (auth.TransportError("no route to host"), "transient", "token server"),
        (auth.DefaultCredentialsError("none found"), "blocked", "BQ_CREDENTIALS_PATH"),
        (requests.exceptions.SSLError("certificate is not yet valid"), "transient", "clock wrong"),
    ],
)
def test_without_token_and_tls_nothing_is_sent(error: Exception, error_class: str, reason: str) -> None:
    failure = classify.of_exception(error)
    assert (failure.error_class, failure.definite) == (error_class, True)
    assert reason in failure.reason


@pytest.mark.parametrize(
    ("error", "error_class", "reason"),
    [
        (requests.ConnectionError("refused"), "transient", "can't be reached"),
        (requests.ReadTimeout("slow"), "transient", "can't be reached"),
        (urllib3.exceptions.ProtocolError("broken"), "transient", "can't be reached"),
        (ConnectionResetError("reset"), "transient", "ConnectionResetError"),
        (TimeoutError(), "transient", "TimeoutError"),
        (RuntimeError("row value"), "unknown", "RuntimeError"),
    ],
)
def test_the_way_to_the_service(error: Exception, error_class: str, reason: str) -> None:
    failure = classify.of_exception(error)
    assert (failure.error_class, failure.definite) == (error_class, False)
    assert reason in failure.reason
    assert "row value" not in failure.reason


def test_the_first_cause_is_named() -> None:
    error = requests.ConnectionError()
    error.__cause__ = OSError()
    error.__cause__.__context__ = BrokenPipeError()
    assert "BrokenPipeError" in classify.of_exception(error).reason


@pytest.mark.parametrize("code", [Code.INVALID_ARGUMENT, Code.INTERNAL, Code.UNKNOWN])
def test_texts_about_rows_lose_their_values(code: grpc.StatusCode) -> None:
    failure = of_append(status(code, message="can't parse 'AB-1234'\nEntity: projects/p"))
    assert "AB-1234" not in failure.reason
    assert "can't" in failure.reason


def test_a_column_that_the_table_lacks_is_named() -> None:
    said = "Input schema has more fields than BigQuery schema, extra fields: 'detail'"
    assert "'detail'" in of_append(status(Code.INVALID_ARGUMENT, StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS, said)).reason


def test_error_classes_are_complete() -> None:
    used = {error_class for table in (GRPC_CODES, STORAGE_ERRORS) for error_class, _ in table.values()}
    assert used == set(ErrorClass) - {ErrorClass.BAD_ROW, ErrorClass.UNKNOWN}
