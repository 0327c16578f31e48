"""A real Chromium, one for each test process, and a context of its own for each test."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from api.serve import ApiServer
from tests.browser.fake_api import NOW, FakeApi

SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
TIMEOUT_MS = 15_000
REBOUND = "rebound.example"  # a name that the browser takes for 127.0.0.1


expect.set_options(timeout=TIMEOUT_MS)


# Of the package, not of the session: Playwright keeps an event loop in this thread, in which asyncio.run() of others
# would fail.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = shutil.which("chromium")
    assert program is not None, "chromium is missing: run `make chromium`"
    arguments = [f"--host-resolver-rules=MAP {REBOUND} 127.0.0.1", "--disable-gpu"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own sandbox refuses root
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> Iterator[list[str]]:
    """Errors that no script of a page caught: a test that expects one takes it out."""
    complaints: list[str] = []
    yield complaints
    assert complaints == []


@pytest.fixture
def new_context(browser: Browser, complaints: list[str]) -> Iterator[Callable[..., BrowserContext]]:
    """Contexts, each with choices of its own."""
    contexts: list[BrowserContext] = []

    def make(**choices: Any) -> BrowserContext:
        defaults = {"locale": "en-GB", "timezone_id": "Asia/Tokyo", "viewport": {"width": 1180, "height": 900}}
        context = browser.new_context(**(defaults | choices))
        context.set_default_timeout(TIMEOUT_MS)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        contexts.append(context)
        return context

    yield make
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_context: Callable[..., BrowserContext]) -> Page:
    """A page whose clock stands at NOW, and goes on only where the test says so."""
    return open_page(new_context())


def open_page(context: BrowserContext) -> Page:
    page = context.new_page()
    page.clock.install(time=NOW - timedelta(hours=1))  # it runs until it is stopped
    page.clock.pause_at(NOW)
    return page


def let_it_look(page: Page, fake: FakeApi) -> None:
    """Let time pass until the page has looked again, and that since now."""
    looks = fake.seen.count("/status")
    let_time_pass(page, lambda: fake.seen.count("/status") >= looks + 2)  # the first may be under way


def let_time_pass(page: Page, done: Callable[[], bool]) -> None:
    """Let the page's clock go on until that is so: what it waits for it gets in real time."""
    deadline = time.monotonic() + TIMEOUT_MS / 1000
    while not done():
        assert time.monotonic() < deadline, "it didn't come to that"
        page.clock.run_for(1_000)
        page.wait_for_timeout(10)


@pytest.fixture(scope="package")
def _fake() -> Iterator[tuple[FakeApi, str]]:
    fake = FakeApi()
    server = ApiServer(fake.application(), "127.0.0.1", 0)
    server.start(lambda: None)
    yield fake, server.url
    server.stop()


@pytest.fixture
def fake(_fake: tuple[FakeApi, str]) -> FakeApi:
    """As if it were new."""
    fake, _ = _fake
    fake.now({})
    fake.roles, fake.is_silent = {}, False
    return fake


@pytest.fixture
def url(_fake: tuple[FakeApi, str]) -> str:
    return _fake[1]


@pytest.fixture
def screenshot() -> Callable[[Page, str], None]:
    """Keep what the page looks like: somebody may want to see it."""

    def take(page: Page, name: str) -> None:
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return take
