"""What a request may do, by its token or by the dashboard's cookie, which is made from the token and hides it."""

import hmac
from collections.abc import Callable
from enum import StrEnum

from pydantic import SecretStr

from config.settings import Settings

COOKIE = "bq_sync"


class Role(StrEnum):
    READ = "read"  # may look
    CONTROL = "control"  # may also change what bq-sync does


def needs_token(settings: Settings) -> bool:
    """Without any token everybody who reaches the API may control: settings see to it that only this machine does."""
    return settings.api_token is not None or settings.api_read_token is not None


def role_of_token(token: str, settings: Settings) -> Role | None:
    """What whoever has this token may do; None: it is none of ours."""
    return _role(token, settings, str)


def role_of(cookie: str, settings: Settings) -> Role | None:
    """What whoever has this cookie may do; None: it is none of ours, or its token has been replaced since."""
    return _role(cookie, settings, cookie_of)


def cookie_of(token: str) -> str:
    """The cookie that stands for a token. Nothing has to be kept for it: it is good for as long as the token is."""
    return hmac.digest(token.encode(), b"bq-sync dashboard cookie", "sha256").hex()


def _role(given: str, settings: Settings, shown: Callable[[str], str]) -> Role | None:
    known: tuple[tuple[Role, SecretStr | None], ...] = (
        (Role.CONTROL, settings.api_token),
        (Role.READ, settings.api_read_token),
    )
    found: Role | None = None
    for role, token in known:  # all of them, always: how long it takes tells nothing
        if token is not None:
            equal = hmac.compare_digest(given.encode(), shown(token.get_secret_value()).encode())
            found = role if equal and found is None else found
    return found
