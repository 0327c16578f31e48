"""Who may ask: see docs/api.md. Stands before every route, so that a new one can't be forgotten."""

from http import HTTPStatus
from secrets import compare_digest
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from api.problems import Problem
from config.settings import Settings, is_loopback

LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})  # every other method controls


class Guard:
    """Lets a request pass, or answers it with a problem.

    - On a loopback address the Host header has to name one: a web page elsewhere whose name was given our address
      (DNS rebinding) makes a browser ask with that name.
    - Of web pages only our own may control: a browser sends a simple POST for any page, and says whose page it was
      in Origin (Fetch standard) and Sec-Fetch-Site (Fetch Metadata). Others, such as curl, say neither.
    - Once a token is set, looking needs either of them, and controlling the one that may control.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._local = is_loopback(settings.api_host)
        self._control = _bytes(settings.api_token)
        self._read = _bytes(settings.api_read_token)

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
        if self._control is None and self._read is None:
            return
        given = _given_token(request)
        may_control, may_read = (
            known is not None and compare_digest(given, known) for known in (self._control, self._read)
        )
        if not may_control and not may_read:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "this needs a token: send the header `Authorization: Bearer <token>`",
                headers={"WWW-Authenticate": "Bearer"},
            )
        if not may_control and request.method not in LOOKING:
            raise Problem(HTTPStatus.FORBIDDEN, "this token may only look: use the one of BQ_SYNC_API_TOKEN")


def _is_of_another_site(request: Request) -> bool:
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        return True
    origin, host = request.headers.get("origin"), request.headers.get("host", "").lower()
    # Either scheme: TLS may end at a proxy before us.
    return origin is not None and origin.lower() not in (f"http://{host}", f"https://{host}")


def _given_token(request: Request) -> bytes:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip().encode() if scheme.lower() == "bearer" else b""


def _bytes(token: SecretStr | None) -> bytes | None:
    return None if token is None else token.get_secret_value().encode()


def _names_loopback(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
