"""What can happen to a REST request, as BigQuery's documentation tells ("Error messages", tabledata.insertAll)."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.fakes.append_faults import Quota
from tests.fakes.rest import Answer, Request, RestFault, error_answer, invalid, refusal


def http_error(status: int, reason: str | None, message: str = "no", *, carried_out: bool = False) -> RestFault:
    """The error, before or after the request had its effect. Without a reason it is a proxy's, in HTML."""

    def fault(request: Request) -> Answer:
        if carried_out:
            request.carry_out()
        else:
            _ = request.body  # or the client's next request would begin in the middle of this one
        if reason is None:
            return Answer(status, f"<html><title>Error {status}</title></html>".encode(), "text/html; charset=UTF-8")
        return error_answer(status, reason, message)

    return fault


def reset(_: Request) -> None:
    """The connection is gone before the request was read."""


def reset_after(request: Request) -> None:
    """The request had its effect; its answer is lost."""
    request.carry_out()


def hang(request: Request) -> None:
    """No answer, until the server ends; nothing has happened."""
    _ = request.body
    request.server.hanging.set()
    request.server.let_go.wait(30)


def hang_after(request: Request) -> None:
    """The request had its effect; no answer, until the server ends."""
    request.carry_out()
    hang(request)


def refuse_rows(is_bad: Callable[[Mapping[str, Any]], bool], location: str, message: str) -> RestFault:
    """Of insertAll: a request with bad rows is refused whole; others are carried out."""

    def fault(request: Request) -> Answer:
        rows = request.rows
        bad = [place for place, row in enumerate(rows) if is_bad(row)]
        return refusal(dict.fromkeys(bad, invalid(location, message)), len(rows)) if bad else request.carry_out()

    return fault


def limited(quota: Quota) -> RestFault:
    """Of insertAll: rows over the quota are refused."""

    def fault(request: Request) -> Answer | None:
        if quota.allows(len(request.rows)):
            return request.carry_out()
        message = "Exceeded rate limits: your table exceeded quota for rows"
        return http_error(403, "rateLimitExceeded", message)(request)

    return fault
