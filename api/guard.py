"""Who may ask: see docs/api.md. Stands before every route, so that a new one can't be forgotten."""

from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem
from api.roles import COOKIE, Role, needs_token, role_of, role_of_token
from config.settings import Settings, is_loopback

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})  # every other method controls

# They tell nothing of the site, and a browser or a probe asks for them without a token.
OPEN_TO_LOOK = frozenset({"/", "/livez", "/readyz"})
OPEN_BELOW = "/static/"
OPEN_TO_POST = frozenset({"/login", "/logout"})


class Guard:
    """Lets a request pass, with its role in the scope's state, or answers it with a problem.

    - On a loopback address the Host header has to name one: a web page elsewhere whose name was given our address
      (DNS rebinding) makes a browser ask with that name.
    - Of web pages only our own may control: a browser sends a simple POST for any page, and says whose page it was
      in Origin (Fetch standard) and Sec-Fetch-Site (Fetch Metadata). Others, such as curl, say neither.
    - Once a token is set, looking needs either of them, and controlling the one that may control; or the cookie that
      stands for it.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings
        self._local = is_loopback(settings.api_host)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["type"] == "http":
                self._check(Request(scope))
        except Problem as problem:
            await problem.response()(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        if self._local and not _names_loopback(request.headers.get("host", "")):
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "this API is for its own machine: ask for 127.0.0.1 or localhost, or set api_host and api_token",
            )
        if request.method not in LOOKING and _is_of_another_site(request):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "this was asked for by a web page that isn't ours: only pages of this host and port may control",
            )
        role = request.state.role = self._role(request)
        if _is_open(request):
            return
        if role is None:
            raise Problem(HTTPStatus.UNAUTHORIZED, _lacking(request), headers={"WWW-Authenticate": "Bearer"})
        if role is not Role.CONTROL and request.method not in LOOKING:
            raise Problem(HTTPStatus.FORBIDDEN, "this token may only look: use the one of BQ_SYNC_API_TOKEN")

    def _role(self, request: Request) -> Role | None:
        if not needs_token(self._settings):
            return Role.CONTROL
        if "authorization" in request.headers:
            return role_of_token(_given_token(request), self._settings)
        return role_of(request.cookies.get(COOKIE, ""), self._settings)


def _is_open(request: Request) -> bool:
    """Whether it needs no token. By the path as it was routed: nothing is decoded or put together anew."""
    path = request.scope["path"]
    if request.method in LOOKING:
        return path in OPEN_TO_LOOK or path.startswith(OPEN_BELOW)
    return request.method == "POST" and path in OPEN_TO_POST


def _is_of_another_site(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin, host = request.headers.get("origin"), request.headers.get("host", "").lower()
    # Either scheme: TLS may end at a proxy before us.
    return origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")


def _lacking(request: Request) -> str:
    """Why a request has no role."""
    send = "send the header `Authorization: Bearer <token>`"
    if "authorization" in request.headers:
        if not _given_token(request):
            return f"there is no token in the header Authorization: {send}"
        return "the token is wrong: send the one of BQ_SYNC_API_TOKEN or BQ_SYNC_API_READ_TOKEN"
    if COOKIE in request.cookies:
        return f"the login isn't good any more, since the token was replaced: log in again, or {send}"
    return f"this needs a token: {send}"


def _given_token(request: Request) -> str:
    scheme, _, token = request.headers["authorization"].partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _names_loopback(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
