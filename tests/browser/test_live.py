"""The page keeps up by itself, says when it can't, and asks for a token where one is needed."""

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser import states
from tests.browser.conftest import let_it_look, let_time_pass
from tests.browser.fake_api import FakeApi

Screenshot = Callable[[Page, str], None]


def test_it_follows(page: Page, fake: FakeApi, url: str) -> None:
    fake.now(states.healthy())
    page.goto(url)
    expect(page.locator("#level")).to_have_text("Healthy")
    fake.now(states.unhealthy())
    let_it_look(page, fake)
    expect(page.locator("#level")).to_have_text("Unhealthy")
    expect(page.locator("#failed-rows tr")).to_have_count(3)


def test_what_is_opened_or_focused_stays_so(page: Page, fake: FakeApi, url: str) -> None:
    fake.now(states.healthy())
    page.goto(url)
    over = page.get_by_role("article", name="detection_logs").locator("details")
    over.locator("summary").click()
    button = page.get_by_role("button", name="Retry is21_logs 880038")
    button.focus()
    answers = states.healthy()
    status = answers["GET /status"]
    assert isinstance(status, dict)
    status["tableStats"]["detection_logs"]["pending"] = 4_711
    fake.now(answers)
    let_it_look(page, fake)
    expect(page.get_by_role("article", name="detection_logs")).to_contain_text("4,711")
    expect(over).to_have_attribute("open", "")
    expect(button).to_be_focused()


def test_without_answers_nothing_looks_well(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.healthy())
    page.goto(url)
    expect(page.locator("#level")).to_have_text("Healthy")
    fake.is_silent = True
    let_it_look(page, fake)
    expect(page.locator("#freshness")).to_have_text("No answer since 21:03:10. What you see is from then.")
    expect(page.locator("#level")).to_have_text("Not known")
    expect(page.locator("#dashboard")).to_contain_class("stale")
    expect(page).to_have_title("Not known · tokyo-3 · bq-sync")
    screenshot(page, "stale")
    page.clock.fast_forward(60_000)
    fake.is_silent = False
    let_it_look(page, fake)
    expect(page.locator("#level")).to_have_text("Healthy")
    expect(page.locator("#freshness")).to_contain_text("Updated 21:04")
    expect(page.locator("#dashboard")).not_to_contain_class("stale")


def test_a_database_that_does_not_answer(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    why = "the database at 127.0.0.1:3306 can't be reached (ConnectionRefusedError, error 2003)"
    fake.now(states.healthy())
    page.goto(url)
    expect(page.locator("#level")).to_have_text("Healthy")
    fake.now(
        {
            "GET /health": (503, {"status": "unhealthy", "reasons": [why]}),
            "GET /status": (503, {"detail": why}),
            "GET /activity": (503, {"detail": why}),
        }
    )
    let_it_look(page, fake)
    expect(page.locator("#level")).to_have_text("Unhealthy")
    expect(page.locator("#reasons")).to_contain_text("Does the database run")
    expect(page.locator("#freshness")).to_have_text("No figures since 21:03:10. What you see is from then.")
    expect(page.locator("#dashboard")).to_contain_class("stale")
    screenshot(page, "database-silent")


def test_an_answer_that_nobody_foresaw_is_no_answer(page: Page, fake: FakeApi, url: str, complaints: list[str]) -> None:
    fake.now(states.healthy())
    page.goto(url)
    expect(page.locator("#level")).to_have_text("Healthy")
    fake.answers["GET /status"] = {"something": "else"}
    let_time_pass(page, lambda: complaints != [])  # and not only until a slow answer was given up
    expect(page.locator("#level")).to_have_text("Not known")
    fake.now(states.healthy())
    let_it_look(page, fake)
    expect(page.locator("#level")).to_have_text("Healthy")  # it goes on
    assert set(complaints) == {"Cannot convert undefined or null to object"}  # for who opens the console
    complaints.clear()


def test_login(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.unhealthy())
    fake.roles = {"tok-control": "control", "tok-read": "read"}
    page.goto(url)
    token = page.get_by_label("Token", exact=True)
    expect(token).to_be_focused()
    expect(page.locator("#dashboard")).to_be_hidden()
    screenshot(page, "login")
    token.fill("wrong")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("That isn't a token of this bq-sync.")
    token.fill("tok-control")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Unhealthy")).to_be_visible()
    expect(page.get_by_role("button", name="Pause all")).to_be_visible()
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Log out").click()
    expect(token).to_be_visible()


def test_a_token_that_may_only_look(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.unhealthy())
    fake.roles = {"tok-read": "read"}
    page.goto(url)
    page.get_by_label("Token", exact=True).fill("tok-read")
    page.keyboard.press("Enter")
    expect(page.locator("#read-only")).to_be_visible()
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
    screenshot(page, "read-only")


def test_a_token_that_was_replaced_is_asked_for_anew(page: Page, fake: FakeApi, url: str) -> None:
    fake.now(states.unhealthy())
    fake.roles = {"tok-read": "read", "tok-control": "control"}
    page.goto(url)
    page.get_by_label("Token", exact=True).fill("tok-control")
    page.keyboard.press("Enter")
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    fake.roles = {"tok-read": "read"}
    let_time_pass(page, page.locator("#login").is_visible)
    page.get_by_label("Token", exact=True).fill("tok-read")
    page.keyboard.press("Enter")
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    expect(page.locator("main").get_by_role("button")).to_have_count(0)
