"""What the API does, each operation declared once: the same declaration routes it, reads its input and documents it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Literal

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.body import read_body, read_path, read_query
from api.models.base import Nothing


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; None: there is nothing to say."""

    answer: BaseModel | None
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)

    def response(self) -> Response:
        headers = {"Cache-Control": "no-store", **self.headers}
        if self.answer is None:
            return Response(None, self.status, headers)
        return Response(self.answer.model_dump_json(), self.status, headers, media_type="application/json")


@dataclass(frozen=True, slots=True)
class Operation:
    """A method of a path.

    Attributes:
        handle: called with the request, and with `body`, `query` and `place` where those are declared. Its name and
            docstring are the document's.
        answers: what it may answer, by status; None: no content.
        problems: the statuses that it may answer with a problem, beside those that follow from what is declared.
        without_body: what no body stands for; None: there has to be one.
        is_open: needs no token.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    handle: Callable[..., Awaitable[Reply]]
    answers: Mapping[HTTPStatus, type[BaseModel] | None]
    problems: Collection[HTTPStatus] = ()
    body: type[BaseModel] | None = None
    without_body: BaseModel | None = None
    query: type[BaseModel] = Nothing
    place: type[BaseModel] | None = None
    is_open: bool = False

    async def answer(self, request: Request) -> Response:
        given: dict[str, BaseModel] = {}
        if self.place is not None:
            given["place"] = read_path(request, self.place)
        query = read_query(request, self.query)
        if self.query is not Nothing:
            given["query"] = query
        if self.body is not None:
            given["body"] = await read_body(request, self.body, self.without_body)
        reply = await self.handle(request, **given)
        return reply.response()


def routes_of(operations: Sequence[Operation]) -> list[Route]:
    """One route for each path, which knows all of its methods."""
    paths = dict.fromkeys(operation.path for operation in operations)
    return [_route(path, [each for each in operations if each.path == path]) for path in paths]


def _route(path: str, operations: Sequence[Operation]) -> Route:
    by_method = {operation.method: operation for operation in operations}
    methods = [*by_method, *(["HEAD"] if "GET" in by_method else []), "OPTIONS"]

    async def endpoint(request: Request) -> Response:
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": ", ".join(methods)})
        method = "GET" if request.method == "HEAD" else request.method
        return await next(each for each in operations if each.method == method).answer(request)

    return Route(path, endpoint, methods=methods)
