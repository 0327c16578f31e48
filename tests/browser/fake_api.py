"""The dashboard's real files over an API that answers what a test wants it to."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.dashboard import dashboard_routes

NOW = datetime(2026, 11, 23, 12, 3, 10, tzinfo=UTC)  # what the page's clock is set to

Json = dict[str, Any]
Answers = dict[str, Json | tuple[int, Json]]  # by "METHOD path"; a status other than 200 with its body


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that would have changed something."""

    method: str
    path: str
    body: Any


@dataclass(slots=True)
class FakeApi:
    """An API for the page.

    Attributes:
        answers: by path below /api/bq-sync, with its query or without.
        asked: what the page wanted changed.
        seen: every path that was asked for.
        roles: who may do what, by token; empty: nobody needs one.
        is_silent: a proxy stands there, and says that nobody is behind it.
    """

    answers: Answers = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)
    roles: Mapping[str, str] = field(default_factory=dict)
    is_silent: bool = False

    def application(self) -> Starlette:
        return Starlette(
            routes=[
                *dashboard_routes(),
                Route("/login", self._login, methods=["POST"]),
                Route("/logout", self._logout, methods=["POST"]),
                Route("/api/bq-sync/{path:path}", self._answer, methods=["GET", "POST", "DELETE"]),
            ]
        )

    def now(self, answers: Answers) -> None:
        """Answer so from now on, and forget what was asked before."""
        self.answers, self.asked, self.seen = dict(answers), [], []

    async def _answer(self, request: Request) -> Response:
        path = "/" + request.path_params["path"]
        self.seen.append(path)
        if self.is_silent:
            return Response("<h1>502 Bad Gateway</h1>", 502, media_type="text/html")
        role = "control" if not self.roles else self.roles.get(request.cookies.get("bq_sync", ""))
        if role is None:
            return _problem(401, "this needs a token: send the header `Authorization: Bearer <token>`")
        if request.method != "GET":
            self.asked.append(Asked(request.method, path, await request.json() if await request.body() else None))
        if path == "/session":
            return JSONResponse({"role": role, "tokens": bool(self.roles)})
        query = f"?{request.url.query}" if request.url.query else ""
        found = self.answers.get(f"{request.method} {path}{query}") or self.answers.get(f"{request.method} {path}")
        if found is None:
            return _problem(404, f"there is no {path} here")
        status, body = found if isinstance(found, tuple) else (200, found)
        return _problem(status, body["detail"], body) if "detail" in body else JSONResponse(body, status)

    async def _login(self, request: Request) -> Response:
        token = (await request.json())["token"]
        if token not in self.roles:
            return _problem(401, "that isn't a token of this bq-sync")
        response = Response(status_code=204)
        response.set_cookie("bq_sync", token, httponly=True, samesite="strict")
        return response

    async def _logout(self, _: Request) -> Response:
        response = Response(status_code=204)
        response.delete_cookie("bq_sync")
        return response


def _problem(status: int, detail: str, more: Json | None = None) -> Response:
    body = {"title": "Problem", "status": status, "detail": detail} | (more or {})
    return JSONResponse(body, status, media_type="application/problem+json")
