"""POST /login and /logout, over a real socket: how the browser came is what a proxy says."""

from collections.abc import Iterator

import httpx
import pytest

from api.app import create_app
from api.serve import ApiServer
from tests.unit.api.client import READ_TOKEN, TOKEN, settings


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    server = ApiServer(create_app(settings(api_token=TOKEN, api_read_token=READ_TOKEN), None), "127.0.0.1", 0)
    server.start(lambda: None)
    yield server.url
    server.stop()


def role(client: httpx.Client) -> str | None:
    answer = client.get("/api/bq-sync/session")
    return answer.json()["role"] if answer.status_code == 200 else None


@pytest.mark.parametrize(("token", "may"), [(TOKEN, "control"), (f" {READ_TOKEN}\n", "read")])
def test_the_cookie_may_do_what_the_token_may_until_logout(url: str, token: str, may: str) -> None:
    with httpx.Client(base_url=url) as client:
        assert role(client) is None
        assert client.post("/login", json={"token": token}).status_code == 204
        assert role(client) == may
        assert client.post("/logout").status_code == 204
        assert role(client) is None


@pytest.mark.parametrize(
    ("body", "status"), [({"token": "wrong"}, 401), ({"token": ""}, 401), ({}, 422), ({"t": 1}, 422)]
)
def test_a_wrong_token_gets_no_cookie(url: str, body: dict[str, object], status: int) -> None:
    answer = httpx.post(f"{url}/login", json=body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert "set-cookie" not in answer.headers
    assert TOKEN not in answer.text


def test_the_cookie_is_for_no_script_and_no_other_site(url: str) -> None:
    cookie = httpx.post(f"{url}/login", json={"token": TOKEN}).headers["set-cookie"].lower()
    assert {"httponly", "samesite=strict", "path=/", "max-age=2592000"} <= set(cookie.split("; "))
    assert "secure" not in cookie  # it came by plain HTTP, by which it couldn't come back
    assert TOKEN not in cookie


def test_behind_a_proxy_that_ends_tls_the_cookie_is_for_https_alone(url: str) -> None:
    answer = httpx.post(f"{url}/login", json={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "secure" in answer.headers["set-cookie"].lower().split("; ")


def test_no_other_site_can_log_somebody_in_or_out(url: str) -> None:
    for path in ("/login", "/logout"):
        answer = httpx.post(f"{url}{path}", json={"token": TOKEN}, headers={"Origin": "http://evil.example"})
        assert answer.status_code == 403
        assert "set-cookie" not in answer.headers
