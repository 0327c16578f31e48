"""The page, the API and a database: nothing is a fake here. And pages of others, which may do nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from sqlalchemy import Engine, text
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from api.app import create_app
from api.serve import ApiServer
from database.schema import metadata
from tests.browser.conftest import REBOUND
from tests.unit.api.client import READ_TOKEN, TOKEN, settings

pytestmark = pytest.mark.integration

NewContext = Callable[..., BrowserContext]
API = "/api/bq-sync"


@pytest.fixture
def prepared(engine: Engine) -> Engine:
    """A database with two tables, and two rows of one that BigQuery can't take."""
    metadata.create_all(engine)
    with engine.begin() as connection:
        for table in ("logs", "summaries"):
            flag = "synced_to_bq BOOLEAN DEFAULT FALSE, KEY (synced_to_bq)"
            connection.execute(text(f"CREATE TABLE {table} (id BIGINT AUTO_INCREMENT PRIMARY KEY, {flag})"))
        connection.execute(
            text(
                "INSERT INTO bq_sync_queue (table_name, record_id, operation, sync_status, last_error)"
                " VALUES ('logs', '7', 'INSERT', 'failed', 'severity: too large'),"
                " ('logs', '8', 'INSERT', 'failed', 'severity: too large')"
            )
        )
    return engine


@contextmanager
def serving(app: Starlette) -> Iterator[str]:
    server = ApiServer(app, "127.0.0.1", 0)
    server.start(lambda: None)
    try:
        yield server.url
    finally:
        server.stop()


@pytest.fixture
def real_url(prepared: Engine) -> Iterator[str]:
    with serving(create_app(settings(), prepared)) as url:
        yield url


@pytest.fixture
def real_page(new_context: NewContext) -> Page:
    return new_context().new_page()  # its clock is the real one


def items(engine: Engine) -> dict[str, str]:
    with engine.connect() as connection:
        return {
            row.record_id: row.sync_status
            for row in connection.execute(text("SELECT record_id, sync_status FROM bq_sync_queue"))
        }


def paused(engine: Engine) -> set[str]:
    with engine.connect() as connection:
        return set(connection.scalars(text("SELECT table_name FROM bq_sync_table WHERE paused")))


def test_an_operator_at_work(real_page: Page, real_url: str, prepared: Engine) -> None:
    page = real_page
    page.goto(real_url)
    expect(page.get_by_role("heading", name="Unhealthy")).to_be_visible()  # no worker runs
    expect(page.locator("#failed-rows tr")).to_have_count(2)

    page.get_by_role("button", name="Retry logs 7").click()
    expect(page.locator("#failed-result")).to_have_text("1 row will be tried again.")
    assert items(prepared) == {"7": "pending", "8": "failed"}

    page.get_by_role("button", name="Give up logs 8").click()
    expect(page.get_by_role("dialog")).to_contain_text("logs 8 will never be sent")
    assert items(prepared)["8"] == "failed"
    page.get_by_role("dialog").get_by_role("button", name="Give up").click()
    expect(page.locator("#failed-result")).to_have_text("1 row given up.")
    assert items(prepared) == {"7": "pending", "8": "abandoned"}
    expect(page.locator("#failed-hint")).to_have_text("None: BigQuery took every row.")

    logs = page.get_by_role("article", name="logs")
    logs.get_by_role("button", name="Pause").click()
    expect(logs.get_by_role("status")).to_contain_text("Paused.")
    assert paused(prepared) == {"logs"}
    logs.get_by_role("button", name="Resume").click()
    expect(logs.get_by_role("status")).to_have_text("Resumed.")
    assert paused(prepared) == set()


def test_login_with_real_tokens(new_context: NewContext, prepared: Engine) -> None:
    with serving(create_app(settings(api_token=TOKEN, api_read_token=READ_TOKEN), prepared)) as url:
        context = new_context()
        page = context.new_page()
        page.goto(url)
        page.get_by_label("Token", exact=True).fill("control-control-contrary")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_be_visible()
        assert context.cookies() == []
        page.get_by_label("Token", exact=True).fill(TOKEN)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="Retry logs 7").click()
        expect(page.locator("#failed-result")).to_have_text("1 row will be tried again.")
        assert items(prepared)["7"] == "pending"
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert (cookie["sameSite"], cookie["path"]) == ("Strict", "/")
        assert TOKEN not in cookie["value"]

        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token", exact=True)).to_be_visible()
        assert context.cookies() == []
        page.get_by_label("Token", exact=True).fill(READ_TOKEN)
        page.keyboard.press("Enter")
        expect(page.locator("#read-only")).to_be_visible()
        refused = page.evaluate(f"fetch('{API}/pause', {{method: 'POST'}}).then((answer) => answer.status)")
        assert refused == 403


# What a page elsewhere may try: as a form, which needs no permission, and by scripts in each way that fetch has.
ELSEWHERE = """<!doctype html>
<form method="post" action="{url}{api}/pause" target="frame"><button>Win a prize</button></form>
<iframe name="frame"></iframe>
"""
TRIES = """
async (url) => {
  const tries = [
    [`${url}/api/bq-sync/pause`, { method: "POST", mode: "no-cors" }],
    [`${url}/api/bq-sync/pause`, { method: "POST" }],
    [`${url}/api/bq-sync/pause`, { method: "POST", mode: "no-cors", credentials: "include" }],
    [`${url}/api/bq-sync/pause`, { method: "POST", mode: "no-cors", referrerPolicy: "no-referrer", body: "{}" }],
    [`${url}/api/bq-sync/failed`, { method: "DELETE" }],
    [`${url}/api/bq-sync/retry`, { method: "POST", headers: { "Content-Type": "application/json" }, body: "{}" }],
    [`${url}/api/bq-sync/status`, {}],
  ];
  const read = [];
  for (const [where, how] of tries) {
    try {
      read.push(await (await fetch(where, how)).text());
    } catch {
      read.push("");
    }
  }
  return read;
}
"""


def test_a_page_of_another_site_changes_nothing_and_learns_nothing(
    real_page: Page, real_url: str, prepared: Engine
) -> None:
    async def elsewhere(_: Request) -> Response:
        return HTMLResponse(ELSEWHERE.format(url=real_url, api=API))

    with serving(Starlette(routes=[Route("/", elsewhere)])) as other:
        real_page.goto(other)
        with real_page.expect_response(f"**{API}/pause") as answer:
            real_page.get_by_role("button", name="Win a prize").click()
        assert answer.value.status == 403
        assert set(real_page.evaluate(TRIES, real_url)) == {""}
    assert paused(prepared) == set()
    assert set(items(prepared).values()) == {"failed"}


def test_a_page_whose_name_was_given_our_address_is_refused(real_page: Page, real_url: str, prepared: Engine) -> None:
    """DNS rebinding: to the browser such a page and the API are one site."""
    rebound = real_url.replace("127.0.0.1", REBOUND)
    page_answer = real_page.goto(rebound)
    assert page_answer is not None
    assert page_answer.status == 421
    ask = f"(method) => fetch('{API}/pause', {{method}}).then((answer) => answer.status)"
    assert [real_page.evaluate(ask, method) for method in ("POST", "GET", "DELETE")] == [421, 421, 421]
    assert paused(prepared) == set()


def test_no_page_may_hold_ours_in_a_frame(real_page: Page, real_url: str) -> None:
    async def framing(_: Request) -> Response:
        return HTMLResponse(f'<iframe src="{real_url}"></iframe>')

    with serving(Starlette(routes=[Route("/", framing)])) as other:
        real_page.goto(other)
        assert real_page.frames[1].url.startswith("chrome-error:")
