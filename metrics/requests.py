"""What the API's requests cost, as ASGI middleware. Stands before the guard: what is refused counts too."""

import time
from collections.abc import Sequence

from starlette.routing import BaseRoute, Match, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from metrics.instruments import Instruments

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN = "unknown"  # the route of every path that there isn't: label values mustn't come from outside


class MeasuredRequests:
    """Counts and times requests by the route's template, never by the path that was asked for."""

    def __init__(self, app: ASGIApp, instruments: Instruments, routes: Sequence[BaseRoute]) -> None:
        self._app = app
        self._routes = [route for route in routes if isinstance(route, Route | Mount)]
        self._requests = instruments.requests
        templates = {route.path for route in self._routes} | {UNKNOWN}
        self._seconds = {template: instruments.request_seconds.labels(template) for template in sorted(templates)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500  # of an application that ends without an answer

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        route = self._route(scope)
        try:
            await self._app(scope, receive, noting)
        finally:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._requests.labels(method, route, f"{status // 100}xx").inc()
            self._seconds[route].observe(time.perf_counter() - began)

    def _route(self, scope: Scope) -> str:
        return next((route.path for route in self._routes if route.matches(scope)[0] is not Match.NONE), UNKNOWN)
