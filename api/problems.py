"""Errors as RFC 9457 problem details: every answer that isn't what was asked for says what is wrong, as JSON."""

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from sqlalchemy.exc import SQLAlchemyError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from api.paths import command_link
from database.failed import NoSuchItemsError, NotFailedError
from database.failures import explain
from operations.control import PausedError, UnansweredError

log = structlog.get_logger(__name__)


class Problem(Exception):
    """What is answered instead of the result.

    Args:
        detail: what is wrong with this very request, and the fix.
        headers: of the answer.
        more: further members of the problem object.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.more = more or {}

    def response(self) -> Response:
        body = {"title": self.status.phrase, "status": self.status.value, "detail": self.detail, **self.more}
        return JSONResponse(body, self.status, self.headers, media_type="application/problem+json")


def _own(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


def _of_routing(request: Request, error: Exception) -> Response:
    """Starlette's own: an unknown path, a method that a path doesn't have."""
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = {
        HTTPStatus.NOT_FOUND: f"there is no {request.url.path} here: the API is under /api/bq-sync",
        HTTPStatus.METHOD_NOT_ALLOWED: f"{request.url.path} doesn't take {request.method}: see the Allow header",
    }.get(status, error.detail)
    return Problem(status, detail, headers=error.headers).response()


def _of_database(_: Request, error: Exception) -> Response:
    assert isinstance(error, SQLAlchemyError)
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, explain(error)).response()


def _of_items(_: Request, error: Exception) -> Response:
    assert isinstance(error, NoSuchItemsError | NotFailedError)
    status = HTTPStatus.NOT_FOUND if isinstance(error, NoSuchItemsError) else HTTPStatus.CONFLICT
    return Problem(status, str(error)).response()


def _of_pause(_: Request, error: Exception) -> Response:
    assert isinstance(error, PausedError)
    return Problem(HTTPStatus.CONFLICT, str(error)).response()


def _of_silence(_: Request, error: Exception) -> Response:
    """The database went away while a command was under way."""
    assert isinstance(error, UnansweredError)
    link = command_link(error.request)
    more = {"command": link}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error), headers={"Location": link}, more=more).response()


def _of_disconnect(_: Request, __: Exception) -> Response:
    return Problem(HTTPStatus.BAD_REQUEST, "the request ended too early").response()  # which nobody will read


def _unforeseen(request: Request, error: Exception) -> Response:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error that nobody foresaw: see the log").response()


HANDLERS: Mapping[type[Exception], ExceptionHandler] = {
    Problem: _own,
    HTTPException: _of_routing,
    SQLAlchemyError: _of_database,
    NoSuchItemsError: _of_items,
    NotFailedError: _of_items,
    PausedError: _of_pause,
    UnansweredError: _of_silence,
    ClientDisconnect: _of_disconnect,
    Exception: _unforeseen,
}
