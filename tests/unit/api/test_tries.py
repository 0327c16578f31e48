"""How often a token may be tried at /login."""

from starlette.applications import Starlette

from api.app import create_app
from api.tries import AT_ONCE, EVERY_SECONDS, Tries
from tests.fakes.clock import FakeClock
from tests.unit.api.client import TOKEN, assert_problem, call_path, settings


def login(app: Starlette, token: str) -> int:
    return call_path(app, "POST", "/login", json={"token": token}).status_code


def test_after_many_wrong_tokens_nobody_may_try_for_a_while() -> None:
    app = create_app(settings(api_token=TOKEN), None)
    assert [login(app, "wrong") for _ in range(AT_ONCE)] == [401] * AT_ONCE
    refused = call_path(app, "POST", "/login", json={"token": TOKEN})  # nor does it say whether this one is right
    assert "too many wrong tokens" in assert_problem(refused, 429)["detail"]
    assert int(refused.headers["retry-after"]) in (1, 2, 3)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert call_path(app, "GET", "/api/bq-sync/session", headers=headers).status_code == 200


def test_right_tokens_take_nothing() -> None:
    app = create_app(settings(api_token=TOKEN), None)
    assert {login(app, TOKEN) for _ in range(2 * AT_ONCE)} == {204}


def test_tries_come_back_one_by_one() -> None:
    clock = FakeClock()
    tries = Tries(clock.monotonic)
    assert [tries.take() for _ in range(AT_ONCE)] == [0] * AT_ONCE
    assert tries.take() == EVERY_SECONDS
    clock.now += EVERY_SECONDS - 1
    assert tries.take() == 1
    clock.now += 1
    assert (tries.take(), tries.take()) == (0, EVERY_SECONDS)
    clock.now += 1000 * EVERY_SECONDS
    assert [tries.take() for _ in range(AT_ONCE + 1)][-2:] == [0, EVERY_SECONDS]
