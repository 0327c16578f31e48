"""Answers to insertAll: what each means for the rows of the request, and whether nothing was written for certain."""

import json
from typing import Any

import pytest
import requests

from bigquery import classify
from bigquery.row_errors import of_cell
from delivery.destination import Appended
from delivery.errors import Failure

COLUMNS = frozenset({"tid", "severity", "detected_at", "tags"})
KIND = "bigquery#tableDataInsertAllResponse"
STOPPED = {"reason": "stopped", "location": "", "debugInfo": "", "message": ""}


def invalid(location: str, message: str) -> dict[str, str]:
    return {"reason": "invalid", "location": location, "debugInfo": "", "message": message}


def answer(status: int, content: object, *, text: str | None = None) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = (json.dumps(content) if text is None else text).encode()
    response.request = requests.Request("POST", "https://bigquery.googleapis.com/insertAll").prepare()
    return response


def classified(*errors: dict[str, Any], rows: int) -> Failure:
    """Of an answer in which the rows have these errors, from the first on."""
    listed = [{"index": place, "errors": [error]} for place, error in enumerate(errors)]
    failure = classify.of_insert(answer(200, {"kind": KIND, "insertErrors": listed}), rows, COLUMNS)
    assert isinstance(failure, Failure)
    return failure


@pytest.mark.parametrize("content", [{"kind": KIND}, {"kind": KIND, "insertErrors": []}])
def test_without_errors_all_rows_are_there(content: object) -> None:
    assert classify.of_insert(answer(200, content), 3, COLUMNS) == Appended()


def test_a_guilty_row_is_named_with_column_and_reason_but_not_its_value() -> None:
    failure = classified(
        STOPPED, invalid("severity", "Cannot convert value to integer (bad value):AB-1234"), STOPPED, rows=3
    )
    assert (failure.error_class, failure.definite) == ("bad_row", True)
    assert failure.bad_rows == {1: "BigQuery can't take it: severity: Cannot convert value to integer (bad value)"}


def test_rows_that_are_called_invalid_without_a_word_are_innocent() -> None:
    failure = classified(invalid("", ""), invalid("tid", "Missing required field"), invalid("", ""), rows=3)
    assert list(failure.bad_rows) == [1]
    failure = classified(invalid("", ""), invalid("", ""), rows=2)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("unknown", True, {})


def test_rows_that_are_all_stopped_name_no_guilty_one() -> None:
    failure = classified(STOPPED, STOPPED, rows=2)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("unknown", True, {})


def test_rows_that_arent_listed_may_have_been_written() -> None:
    failure = classified(invalid("tid", "Missing required field"), rows=2)
    assert (failure.error_class, failure.definite, list(failure.bad_rows)) == ("bad_row", False, [0])


@pytest.mark.parametrize(
    ("reason", "error_class"),
    [
        ("timeout", "transient"),
        ("backendError", "transient"),
        ("internalError", "transient"),
        ("quotaExceeded", "quota"),
        ("rateLimitExceeded", "quota"),
        ("brandNew", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_row_that_failed_by_bigquerys_trouble_says_nothing_of_the_others(reason: str, error_class: str) -> None:
    trouble = {"reason": reason, "message": "no"}
    for errors in ([trouble, STOPPED], [invalid("tid", "Missing required field"), trouble]):
        failure = classified(*errors, rows=2)
        assert (failure.error_class, failure.definite, failure.bad_rows) == (error_class, False, {})


def test_a_column_that_the_table_lacks_is_no_rows_fault() -> None:
    failure = classified(invalid("tags", "no such field: tags."), STOPPED, rows=2)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("blocked", True, {})
    assert "tags: no such field" in failure.reason
    assert not classified(invalid("tags", "no such field: tags."), rows=2).definite


@pytest.mark.parametrize(
    "text", ["<html>Please log in</html>", "[]", "null", "{}", '{"kind": "bigquery#job"}', '{"insertErrors": []}']
)
def test_what_isnt_bigquerys_answer_proves_nothing(text: str) -> None:
    failure = classify.of_insert(answer(200, None, text=text), 1, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == ("transient", False)


@pytest.mark.parametrize(
    ("status", "reason", "error_class", "definite"),
    [
        (401, "authError", "blocked", True),
        (403, "accessDenied", "blocked", True),
        (403, "quotaExceeded", "quota", True),
        (403, "rateLimitExceeded", "quota", True),
        (404, "notFound", "blocked", True),
        (429, "rateLimitExceeded", "quota", True),
        (500, "internalError", "transient", False),
        (503, "backendError", "transient", False),
        (302, None, "unknown", False),
        (404, None, "blocked", False),
        (502, None, "transient", False),
    ],
)
def test_an_error_answer(status: int, reason: str | None, error_class: str, definite: bool) -> None:
    error = {"code": status, "message": "no", "errors": [{"reason": reason, "message": "no", "domain": "global"}]}
    response = answer(status, {"error": error}) if reason else answer(status, None, text="<html>no</html>")
    failure = classify.of_insert(response, 1, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == (error_class, definite)
    assert "html" not in failure.reason
    assert "https://" not in failure.reason


@pytest.mark.parametrize(
    "response",
    [
        answer(413, None, text="<html><h1>413 Request Entity Too Large</h1></html>"),
        answer(413, {"error": {"errors": [{"reason": "requestTooLarge", "message": "Request Too Large"}]}}),
        answer(
            400,
            {
                "error": {
                    "errors": [
                        {
                            "reason": "badRequest",
                            "message": "Request payload size exceeds the limit: 10485760 bytes.",
                        }
                    ]
                }
            },
        ),
    ],
)
def test_a_request_that_is_too_large_was_not_taken(response: requests.Response) -> None:
    failure = classify.of_insert(response, 100, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("bad_row", True, {})
    assert "too large" in failure.reason


def test_a_row_that_is_too_large_for_a_proxy_is_no_bad_row() -> None:
    failure = classify.of_insert(answer(413, None, text="<html>413 Request Entity Too Large</html>"), 1, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite, failure.bad_rows) == ("unknown", True, {})
    assert "proxy" in failure.reason


def test_a_service_in_trouble_isnt_believed_that_a_request_is_too_large() -> None:
    error = {"message": "Request entity too large", "errors": [{"reason": "backendError", "message": "too large"}]}
    failure = classify.of_insert(answer(503, {"error": error}), 100, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == ("transient", False)


@pytest.mark.parametrize(
    "content",
    [
        {"error": "forbidden"},
        {"error": None},
        {"error": {"message": None, "errors": ["no"]}},
        {"error": {"errors": "no"}},
        {"error": {"details": ["no"]}},
        {"error": ["no"]},
        "no",
        ["no"],
        5,
        None,
    ],
)
@pytest.mark.parametrize("status", [403, 503])
def test_json_that_isnt_bigquerys_is_no_refusal(status: int, content: object) -> None:
    failure = classify.of_insert(answer(status, content), 3, COLUMNS)
    assert isinstance(failure, Failure)
    assert (failure.error_class, failure.definite) == ("blocked" if status == 403 else "transient", False)
    assert str(status) in failure.reason


@pytest.mark.parametrize(
    ("location", "message", "said"),
    [
        ("severity", "Not an integer (bad value):AB 1234", "severity: Not an integer (bad value)"),
        ("Field:tags[2]", "Could not convert value to string", "tags: Could not convert value to string"),
        ("", "Missing required field: tid.", "tid: Missing required field"),
        ("", 'Missing required field: "Msg_0_CLOUD_QUERY_TABLE.tid".', "tid: Missing required field"),
        ("", "Unrecognized timezone: Nowhere/Here", "Unrecognized timezone"),
        ("", "Could not parse 'AB 1234' as a timestamp", "Could not parse '...' as a timestamp"),
        ("AB 1234", "Conversion from bool to string is unsupported.", "Conversion from bool to string is unsupported."),
        ("", "", ""),
    ],
)
def test_what_is_said_of_a_row_names_the_column_and_never_the_value(location: str, message: str, said: str) -> None:
    assert of_cell(location, message, COLUMNS) == said
