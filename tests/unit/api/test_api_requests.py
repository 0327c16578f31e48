"""Requests that are refused: each with a JSON problem that says why, and nothing done."""

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from api.app import create_app
from api.roles import COOKIE, cookie_of
from tests.unit.api.client import READ_TOKEN, TOKEN, assert_problem, call, call_path, settings

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app() -> Starlette:
    """One without a database: whatever gets through to it is answered with 503."""
    return create_app(settings(), None)


def test_an_unknown_path(app: Starlette) -> None:
    assert "/api/bq-sync/nothing" in assert_problem(call(app, "GET", "/nothing"), 404)["detail"]
    assert_problem(call(app, "GET", "/status/"), 404)


@pytest.mark.parametrize(("method", "path", "allowed"), [("POST", "/status", "GET"), ("GET", "/flush", "POST")])
def test_a_wrong_method(app: Starlette, method: str, path: str, allowed: str) -> None:
    response = call(app, method, path)
    assert_problem(response, 405)
    assert allowed in response.headers["allow"]


@pytest.mark.parametrize("body", ["{", "tables", '{"tables": ["logs"]', b"\xff", "[" * 10_000])
def test_a_body_that_isnt_json(app: Starlette, body: str | bytes) -> None:
    assert "isn't JSON" in assert_problem(call(app, "POST", "/flush", content=body, headers=JSON), 400)["detail"]


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_a_body_that_says_it_is_json(app: Starlette, kind: str) -> None:
    assert call(app, "POST", "/flush", content="{}", headers={"Content-Type": kind}).status_code == 503


@pytest.mark.parametrize("kind", [None, "", "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_body_that_says_it_is_something_else(app: Starlette, kind: str | None) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    problem = assert_problem(call(app, "POST", "/flush", content="{}", headers=headers), 415)
    assert "Content-Type: application/json" in problem["detail"]


def test_no_body_needs_no_type(app: Starlette) -> None:
    assert call(app, "POST", "/flush").status_code == 503


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"table": "logs"}, "/table"),
        ({"a/b~c": 1}, "/a~1b~0c"),
        ({"tables": "logs"}, "/tables"),
        ({"tables": [1]}, "/tables/0"),
        ({"tables": []}, "/tables"),
        (["logs"], ""),
        (5, ""),
    ],
)
def test_a_body_of_another_shape(app: Starlette, body: object, pointer: str) -> None:
    problem = assert_problem(call(app, "POST", "/flush", json=body), 422)
    assert problem["errors"][0]["pointer"] == pointer
    assert problem["errors"][0]["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body", "detail"),
    [
        ("POST", "/retry", {"ids": []}, "/ids: is empty: name one at least, or leave it out"),
        ("POST", "/retry", {"ids": ["a"]}, "/ids/0: has to be a whole number"),
        ("POST", "/retry", {"ids": [0]}, "/ids/0: has to be 1 or more"),
        ("POST", "/retry", {"ids": 5}, "/ids: has to be a list"),
        ("POST", "/retry", {"ids": [*range(1, 1003)]}, "/ids: has 1,002: 1,000 at most"),
        ("POST", "/retry", {"all": 1}, "/all: has to be true or false"),
        ("POST", "/retry", [], "has to be an object"),
        ("POST", "/retry", {"ids": [0, -1]}, "/ids/0: has to be 1 or more (and 1 more, see errors)"),
        ("POST", "/flush", {"tables": [7]}, "/tables/0: has to be a text"),
        ("GET", "/failed?before=-1", None, "before: has to be a whole number, 1 or more"),
        ("GET", "/failed?before=0", None, "before: has to be 1 or more"),
        ("GET", "/failed?limit=1001", None, "limit: has to be 1,000 or less"),
        ("GET", "/failed?table=", None, "table: is empty: say something, or leave it out"),
        ("GET", "/failed?x=1", None, "x: there is no such thing: leave it out"),
    ],
)
def test_a_mistake_is_said_in_words(app: Starlette, method: str, path: str, body: object, detail: str) -> None:
    options = {} if body is None else {"json": body}
    problem = assert_problem(call(app, method, path, **options), 422)
    what = "query" if body is None else "body"
    assert problem["detail"] == f"the {what} isn't as it should be: {detail}"


def test_an_unknown_table(app: Starlette) -> None:
    problem = assert_problem(call(app, "POST", "/flush", json={"tables": ["logs", "log`s"]}), 422)
    assert problem["detail"] == "no such table: log`s; there are logs, summaries"


def test_a_body_that_is_too_large(app: Starlette) -> None:
    assert_problem(call(app, "POST", "/flush", content=b" " * 65_537), 413)


def test_a_body_that_is_too_large_and_never_ends(app: Starlette) -> None:
    read = 0

    def body() -> Iterator[bytes]:
        nonlocal read
        while read < 10_000_000:
            read += 10_000
            yield b" " * 10_000

    async def chunks() -> object:
        for chunk in body():
            yield chunk

    assert_problem(call(app, "POST", "/flush", content=chunks()), 413)


def test_disabled_takes_no_flush() -> None:
    problem = assert_problem(call(create_app(settings(enabled=False), None), "POST", "/flush"), 503)
    assert "disabled" in problem["detail"]


def authorized(app: Starlette, method: str, path: str, token: str | None, scheme: str = "Bearer") -> int:
    headers = {} if token is None else {"Authorization": f"{scheme} {token}".encode()}
    response = call(app, method, path, headers=headers)
    if response.status_code == 401:
        assert response.headers["www-authenticate"] == "Bearer"
    return response.status_code


# 503 is the answer behind the guard: there is no database.
@pytest.mark.parametrize(
    ("tokens", "given", "look", "control"),
    [
        ({}, None, 503, 503),
        ({"api_token": TOKEN}, None, 401, 401),
        ({"api_token": TOKEN}, "wrong-wrong-wrong", 401, 401),
        ({"api_token": TOKEN}, "", 401, 401),
        ({"api_token": TOKEN}, "é", 401, 401),
        ({"api_token": TOKEN}, TOKEN, 503, 503),
        ({"api_token": TOKEN, "api_read_token": READ_TOKEN}, None, 401, 401),
        ({"api_token": TOKEN, "api_read_token": READ_TOKEN}, TOKEN, 503, 503),
        ({"api_token": TOKEN, "api_read_token": READ_TOKEN}, READ_TOKEN, 503, 403),
        ({"api_read_token": READ_TOKEN}, READ_TOKEN, 503, 403),
        ({"api_read_token": READ_TOKEN}, None, 401, 401),
    ],
)
def test_tokens(tokens: dict[str, object], given: str | None, look: int, control: int) -> None:
    app = create_app(settings(**tokens), None)
    assert authorized(app, "GET", "/status", given) == look
    assert authorized(app, "HEAD", "/status", given) == look
    assert authorized(app, "POST", "/flush", given) == control


def test_an_unknown_path_is_told_only_to_those_who_may_look() -> None:
    app = create_app(settings(api_token=TOKEN), None)
    assert authorized(app, "GET", "/nothing", None) == 401
    assert authorized(app, "GET", "/nothing", TOKEN) == 404


def test_only_bearer_tokens_count() -> None:
    app = create_app(settings(api_token=TOKEN), None)
    assert authorized(app, "GET", "/status", TOKEN, scheme="Basic") == 401
    assert authorized(app, "GET", "/status", TOKEN, scheme="bearer") == 503


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9000", "localhost:8322", "LOCALHOST", "[::1]:8322"])
def test_a_local_api_answers_to_local_names(app: Starlette, host: str) -> None:
    assert call(app, "GET", "/status", headers={"Host": host}).status_code == 503


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8322", "127.0.0.1.evil.example", "", "[::1", "0.0.0.0"])
def test_a_local_api_doesnt_answer_to_other_names(app: Starlette, host: str) -> None:
    assert_problem(call(app, "GET", "/status", headers={"Host": host}), 421)


@pytest.mark.parametrize("origin", ["http://127.0.0.1:8322", "https://127.0.0.1:8322", "HTTP://127.0.0.1:8322"])
def test_our_own_pages_may_control(app: Starlette, origin: str) -> None:
    headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
    assert call(app, "POST", "/flush", headers=headers).status_code == 503


def test_our_own_page_is_one_of_the_same_host(app: Starlette) -> None:
    headers = {"Host": "Box.example", "Origin": "https://box.example", "Authorization": f"Bearer {TOKEN}"}
    others_reach_it = create_app(settings(api_host="0.0.0.0", api_token=TOKEN), None)
    assert call(others_reach_it, "POST", "/flush", headers=headers).status_code == 503


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "https://127.0.0.1.evil.example:8322"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "http://localhost:8322"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://[::1"},
        {"Origin": "https://evil.example", "Content-Type": "text/plain"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://127.0.0.1:8322", "Sec-Fetch-Site": "cross-site"},
    ],
)
@pytest.mark.parametrize("token", [None, TOKEN])
def test_a_page_of_somebody_else_controls_nothing(headers: dict[str, str], token: str | None) -> None:
    app = create_app(settings(api_token=token), None)
    given = {"Authorization": f"Bearer {token}"} if token else {}
    assert "web page" in assert_problem(call(app, "POST", "/flush", headers=headers | given), 403)["detail"]
    assert call(app, "GET", "/status", headers=headers | given).status_code == 503
    preflight = call(app, "OPTIONS", "/flush", headers=headers | given)
    assert (preflight.status_code, preflight.headers["allow"]) == (204, "POST, OPTIONS")
    assert not [name for name in preflight.headers if name.startswith("access-control")]


def test_an_api_that_others_reach_answers_to_any_name_with_a_token() -> None:
    app = create_app(settings(api_host="0.0.0.0", api_token=TOKEN), None)
    headers = {"Host": "box.example", "Authorization": f"Bearer {TOKEN}"}
    assert call(app, "GET", "/status", headers=headers).status_code == 503


@pytest.mark.parametrize(
    ("method", "path", "is_open"),
    [
        ("GET", "/livez", True),
        ("HEAD", "/readyz", True),
        ("GET", "/", True),
        ("GET", "/static/page.js", True),
        ("POST", "/login", True),
        ("POST", "/logout", True),
        ("GET", "/login", False),
        ("POST", "/livez", False),
        ("DELETE", "/static/page.js", False),
        ("GET", "/static", False),
        ("GET", "/livez/", False),
        ("GET", "//livez", False),
        ("GET", "/metrics", False),
        ("GET", "/api/bq-sync/openapi.json", False),
        ("GET", "/api/bq-sync/static/", False),
    ],
)
def test_what_needs_no_token(method: str, path: str, is_open: bool) -> None:
    app = create_app(settings(api_token=TOKEN), None)
    assert (call_path(app, method, f"http://127.0.0.1:8322{path}").status_code != 401) is is_open


@pytest.mark.parametrize(
    ("cookie", "look", "control"),
    [
        (cookie_of(TOKEN), 503, 503),
        (cookie_of(READ_TOKEN), 503, 403),
        (cookie_of("another-another-another"), 401, 401),
        (TOKEN, 401, 401),  # a token is none
        ("", 401, 401),
    ],
)
def test_cookies(cookie: str, look: int, control: int) -> None:
    app = create_app(settings(api_token=TOKEN, api_read_token=READ_TOKEN), None)
    headers = {"Cookie": f"{COOKIE}={cookie}"}
    assert call(app, "GET", "/status", headers=headers).status_code == look
    assert call(app, "POST", "/flush", headers=headers).status_code == control


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "this needs a token"),
        ({"Authorization": "Bearer wrong-wrong-wrong"}, "the token is wrong"),
        ({"Authorization": TOKEN}, "there is no token in the header Authorization"),
        ({"Cookie": f"{COOKIE}=former"}, "log in again"),
    ],
)
def test_what_is_wrong_with_a_token(headers: dict[str, str], said: str) -> None:
    app = create_app(settings(api_token=TOKEN), None)
    detail = assert_problem(call(app, "GET", "/status", headers=headers), 401)["detail"]
    assert said in detail
    assert TOKEN not in detail


def test_a_cookie_doesnt_help_a_wrong_token() -> None:
    app = create_app(settings(api_token=TOKEN), None)
    headers = {"Cookie": f"{COOKIE}={cookie_of(TOKEN)}", "Authorization": "Bearer wrong-wrong-wrong"}
    assert call(app, "GET", "/status", headers=headers).status_code == 401


@pytest.mark.parametrize("tokens", [{}, {"api_token": TOKEN}])
def test_the_document_tells_of_every_route(tokens: dict[str, str]) -> None:
    app = create_app(settings(**tokens), None)
    headers = {"Authorization": f"Bearer {TOKEN}"} if tokens else {}
    document = call(app, "GET", "/openapi.json", headers=headers).json()
    routes = {route.path for route in app.routes if isinstance(route, Route)}
    assert routes - document["paths"].keys() == {"/", "/metrics", "/api/bq-sync/openapi.json"}
    flush = document["paths"]["/api/bq-sync/flush"]["post"]
    assert bool(flush["security"]) is bool(tokens)
    assert ("401" in flush["responses"]) is bool(tokens)
    assert document["components"]["schemas"]["TablesRequest"]["properties"]["tables"]["items"]["enum"] == [
        "logs",
        "summaries",
    ]
