"""Each state of a site, as an operator sees it; a screenshot of each is kept in build/screenshots."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser import states
from tests.browser.conftest import let_it_look, open_page
from tests.browser.fake_api import Answers, FakeApi

Screenshot = Callable[[Page, str], None]
NewContext = Callable[..., BrowserContext]

PHONE = {"width": 360, "height": 780}


def card(page: Page, table: str) -> str:
    return page.get_by_role("article", name=table).inner_text()


def test_healthy(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.healthy())
    page.goto(url)
    expect(page.get_by_role("heading", name="Healthy")).to_be_visible()
    expect(page.locator("#summary")).to_have_text("All is well: rows are being carried, and nothing needs you.")
    expect(page).to_have_title("Healthy · tokyo-3 · bq-sync")
    expect(page.locator("#freshness")).to_have_text("Updated 21:03:10")  # in the browser's zone
    expect(page.locator("#totals")).to_have_text("Waiting14Sent in the last hour6,699Failed1Last sent21:03:01")
    for text in ("Running", "184,211", "4 secs", "Last error, 20:40:12 · over"):
        assert text in card(page, "detection_logs")
    chart = page.get_by_role("article", name="ai_summary_cache").get_by_role("img")
    expect(chart).to_have_accessible_name("Rows per minute in the last hour: 40 in all, 5 at most, 0 in this minute.")
    expect(page.get_by_role("row")).to_have_count(2)  # the head, and one failed row
    expect(page.locator("#first-steps")).to_be_hidden()
    screenshot(page, "healthy")


def test_degraded(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.degraded())
    page.goto(url)
    expect(page.get_by_role("heading", name="Degraded")).to_be_visible()
    expect(page.locator("#reasons li")).to_have_count(2)
    expect(page.locator("#reasons")).to_contain_text("about 50,115 rows pending")
    text = card(page, "detection_logs")
    for part in ("Waiting", "about 48,200", "72 mins", "BigQuery can't be reached", "does this box reach the internet"):
        assert part in text
    assert text.count("BigQuery can't be reached") == 1  # the last error is the reason: it isn't said twice
    screenshot(page, "degraded")


def test_an_item_waits_for_its_row(page: Page, fake: FakeApi, url: str) -> None:
    rowless = {"items": 2, "id": 12, "recordId": "<b>4711</b>"}
    fake.now(states.site(states.table(rowless=rowless), states.table(), states.table()))
    page.goto(url)
    expect(page.get_by_role("article", name="detection_logs")).to_contain_text(
        "Waiting for rows that aren't there: 2 items, the first is item 12 for record <b>4711</b>."
    )
    expect(page.get_by_role("article", name="is21_logs")).not_to_contain_text("Waiting for rows")


def test_unhealthy(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.unhealthy())
    page.goto(url)
    expect(page.get_by_role("heading", name="Unhealthy")).to_be_visible()
    expect(page.locator("#reasons li").first).to_contain_text("detection_logs is blocked")
    for part in ("Blocked", "PERMISSION_DENIED", "Grant the service account roles/bigquery.dataEditor"):
        assert part in card(page, "detection_logs")
    assert "Running" in card(page, "is21_logs")
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    screenshot(page, "unhealthy")


def test_paused(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.paused())
    page.goto(url)
    expect(page.locator("#summary")).to_have_text("Nothing is wrong, but not everything is being sent:")
    expect(page.locator("#reasons")).to_contain_text("detection_logs, ai_summary_cache: paused by an operator")
    assert "Paused" in card(page, "detection_logs")
    assert "Pausing…" in card(page, "ai_summary_cache")  # its worker hasn't said so yet
    paused = page.get_by_role("article", name="detection_logs")
    expect(paused.get_by_role("button")).to_have_text(["Resume"])
    expect(page.get_by_role("article", name="is21_logs").get_by_role("button")).to_have_text(["Send now", "Pause"])
    screenshot(page, "paused")


def test_worker_dead(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.worker_dead())
    page.goto(url)
    expect(page.locator("#reasons")).to_contain_text("no worker is running for detection_logs")
    assert "No worker is running for this table, so nothing is sent. Start bq-sync worker" in card(
        page, "detection_logs"
    )
    assert "No worker" in card(page, "ai_summary_cache")
    for part in ("Paused, no worker", "Paused. No worker is running for this table either."):
        assert part in card(page, "is21_logs")
    screenshot(page, "worker-dead")


def test_first_start_with_nothing_configured(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.first_start())
    page.goto(url)
    expect(page.locator("#reasons")).to_contain_text("bq-sync is disabled and sends nothing")
    expect(page.get_by_role("heading", name="First steps")).to_be_visible()
    expect(page.locator("#steps li code")).to_have_text(
        ["BQ_SYNC_DATABASE_URL=mysql+pymysql://…", "bq-sync migrate", "bq-sync check", "enabled: true"]
    )
    expect(page.locator("#steps .done")).to_have_count(0)
    expect(page.locator("#all-tables")).to_be_hidden()
    screenshot(page, "first-start")


def test_first_steps_that_are_done(page: Page, fake: FakeApi, url: str, screenshot: Screenshot) -> None:
    fake.now(states.unprepared())
    page.goto(url)
    expect(page.locator("#steps .done")).to_contain_text("Say where the database is")
    assert "Not prepared" in card(page, "detection_logs")
    screenshot(page, "first-steps")
    fake.now(states.site(enabled=False, level="degraded", reasons=(states.DISABLED,)))
    let_it_look(page, fake)
    expect(page.locator("#steps .done")).to_have_count(2)
    fake.now(states.healthy())
    let_it_look(page, fake)
    expect(page.locator("#first-steps")).to_be_hidden()


VARIANTS: dict[str, tuple[Callable[[], Answers], dict[str, Any]]] = {
    "healthy-dark": (states.healthy, {"color_scheme": "dark"}),
    "unhealthy-phone": (states.unhealthy, {"viewport": PHONE}),
    "unhealthy-phone-dark-japanese": (states.unhealthy, {"viewport": PHONE, "color_scheme": "dark", "locale": "ja-JP"}),
    "degraded-japanese": (states.degraded, {"locale": "ja-JP"}),
    "first-start-phone": (states.first_start, {"viewport": PHONE}),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_fit_and_can_be_read(
    name: str, new_context: NewContext, fake: FakeApi, url: str, screenshot: Screenshot
) -> None:
    """Nothing is wider than the screen, and every text has the contrast that WCAG's AA asks for."""
    state, choices = VARIANTS[name]
    fake.now(state())
    page = open_page(new_context(**choices))
    page.goto(url)
    expect(page.locator("#reasons li, #totals div").first).to_be_visible()
    screenshot(page, name)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.evaluate(TOO_FAINT) == []


# Texts with too little contrast to what is behind them. Colours are painted to be read: the style has them as pairs.
TOO_FAINT = """
() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const painted = (color) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = color;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([red, green, blue]) => {
    const linear = [red, green, blue].map((of) => (of /= 255) <= 0.04045 ? of / 12.92 : ((of + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const color = painted(getComputedStyle(at).backgroundColor);
      if (color[3] === 255) return color;
    }
    return [255, 255, 255];
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const faint = [];
  let checked = 0;
  while (texts.nextNode()) {
    const node = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !node.checkVisibility()) continue;
    const [one, other] = [painted(getComputedStyle(node).color), behind(node)].map(luminance).sort((a, b) => b - a);
    checked += 1;
    if ((one + 0.05) / (other + 0.05) < 4.5) faint.push(node.textContent);
  }
  return checked > 10 ? faint : ["there are hardly any texts"];
}
"""
