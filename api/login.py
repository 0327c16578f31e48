"""Logging in to the dashboard and out of it: a token becomes a cookie that no script can read."""

from http import HTTPStatus

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from api.models.base import Request as RequestModel
from api.operation import Operation, Reply
from api.problems import Problem
from api.roles import COOKIE, cookie_of, role_of_token
from api.tries import Tries
from config.settings import Settings

COOKIE_SECONDS = 30 * 86_400


class LoginRequest(RequestModel):
    token: SecretStr


class Login:
    def __init__(self, settings: Settings, tries: Tries | None = None) -> None:
        self._settings = settings
        self._tries = tries or Tries()

    async def login(self, request: Request, body: LoginRequest) -> Reply:
        """A cookie that may do what the token may."""
        if seconds := self._tries.take():
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                f"too many wrong tokens were tried: try again in {seconds} s",
                headers={"Retry-After": str(seconds)},
            )
        token = body.token.get_secret_value().strip()  # copied with the end of its line, perhaps
        if role_of_token(token, self._settings) is None:
            raise Problem(
                HTTPStatus.UNAUTHORIZED,
                "that isn't a token of this bq-sync: use the one of BQ_SYNC_API_TOKEN or BQ_SYNC_API_READ_TOKEN",
                headers={"WWW-Authenticate": "Bearer"},
            )
        self._tries.give_back()
        return _with_cookie(request, cookie_of(token), COOKIE_SECONDS)

    async def logout(self, request: Request) -> Reply:
        """The cookie goes."""
        return _with_cookie(request, "", 0)


def login_operations(login: Login) -> tuple[Operation, ...]:
    """What the dashboard's login needs."""
    nothing = {HTTPStatus.NO_CONTENT: None}
    return (
        Operation(
            "POST",
            "/login",
            login.login,
            nothing,
            (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS),
            body=LoginRequest,
            is_open=True,
        ),
        Operation("POST", "/logout", login.logout, nothing, is_open=True),
    )


def _with_cookie(request: Request, value: str, seconds: int) -> Reply:
    response = Response()
    response.set_cookie(
        COOKIE,
        value,
        max_age=seconds,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",  # also where a proxy on this machine ends TLS and says so
    )
    return Reply(None, HTTPStatus.NO_CONTENT, {"Set-Cookie": response.headers["set-cookie"]})
