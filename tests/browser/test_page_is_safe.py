"""What the server says can't become markup, and nothing comes from elsewhere."""

import httpx
import pytest
from playwright.sync_api import Error, Page, expect

from api.dashboard import FILES, HEADERS
from tests.browser import states
from tests.browser.fake_api import FakeApi

HOSTILE = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'


def test_hostile_texts_are_shown_as_texts(page: Page, fake: FakeApi, url: str) -> None:
    trouble = {"state": "blocked", "reason": HOSTILE, "lastError": HOSTILE + "2", "lastErrorAt": "2026-11-23T12:03:09Z"}
    row = states.failed_row(7, HOSTILE, HOSTILE) | {"recordId": HOSTILE}
    answers = states.site(
        states.table(failed=1, **trouble), level="unhealthy", reasons=(HOSTILE,), failed=(row,), siteId=HOSTILE
    )
    answers["POST /flush"] = (503, {"detail": HOSTILE})
    fake.now(answers)
    page.goto(url)
    for place in ("#reasons", "#tables", "#failed-rows", "#site"):
        expect(page.locator(place)).to_contain_text(HOSTILE)
    page.get_by_role("button", name="Send now").click()
    expect(page.get_by_role("article").get_by_role("status")).to_contain_text(HOSTILE)
    page.get_by_role("button", name=f"Give up {HOSTILE}").click()
    expect(page.get_by_role("dialog")).to_contain_text(HOSTILE)
    assert page.locator("img:not(svg)").evaluate_all("all => all.filter(one => one.tagName === 'IMG').length") == 0
    assert page.evaluate("window.hurt") is None


def test_not_even_our_own_script_could_make_markup_of_a_text(page: Page, fake: FakeApi, url: str) -> None:
    fake.now(states.healthy())
    page.goto(url)
    with pytest.raises(Error, match="TrustedHTML"):
        page.evaluate("document.body.innerHTML = '<b>bold</b>'")


def test_every_file_comes_with_its_headers_and_once(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for path in ("/", *(f"/static/{file.name}" for file in FILES.iterdir())):
            first = client.get(path)
            assert first.status_code == 200, path
            assert {name: first.headers[name] for name in HEADERS} == HEADERS
            again = client.get(path, headers={"If-None-Match": first.headers["ETag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["Content-Security-Policy"] == HEADERS["Content-Security-Policy"]


def test_only_the_files_are_served(url: str) -> None:
    with httpx.Client(base_url=url) as client:
        for path in ("/static/", "/static/..%2fdashboard.py", "/static/%00", "/static/nothing.js"):
            assert client.get(path).status_code == 404
        assert client.post("/static/page.js").status_code == 405
