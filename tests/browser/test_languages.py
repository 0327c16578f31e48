"""English and Japanese, light and dark; and that whatever the server may say is known in both languages."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from playwright.sync_api import BrowserContext, Page, expect

from bigquery.classify import of_exception
from bigquery.error_classes import GRPC_CODES, HTTP_CODES, REST_REASONS, STORAGE_ERRORS
from database.counting import Count
from database.daily_checks import DayThatDiffers, LastCheck
from database.failures import _MEANINGS
from database.retention_reports import LastRun
from database.rowless import Rowless
from database.status import Problem, Status
from database.table_status import TableStatus
from operations.health import DISABLED, Thresholds, judge
from tests.browser import states
from tests.browser.conftest import open_page
from tests.browser.fake_api import FakeApi

NewContext = Callable[..., BrowserContext]


def test_the_browser_decides_until_somebody_chooses(new_context: NewContext, fake: FakeApi, url: str) -> None:
    fake.now(states.degraded())
    page = open_page(new_context(locale="ja-JP"))
    page.goto(url)
    expect(page.get_by_role("heading", name="注意")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "ja")
    expect(page.locator("#reasons")).to_contain_text("約 50,115 行が送信待ちです")
    expect(page.locator("#reasons")).to_contain_text("BigQuery に接続できません")
    page.get_by_label("言語").select_option("English")
    expect(page.get_by_role("heading", name="Degraded")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Degraded")).to_be_visible()


def test_the_colours_that_were_chosen_are_remembered(new_context: NewContext, fake: FakeApi, url: str) -> None:
    fake.now(states.healthy())
    page = open_page(new_context(color_scheme="light"))
    page.goto(url)
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_label("Colours").select_option("Dark")
    dark = page.evaluate(ground)
    assert dark != light
    page.reload()
    assert page.evaluate(ground) == dark
    page.get_by_label("Colours").select_option("Auto")
    assert page.evaluate(ground) == light


def test_both_languages_have_every_text(page: Page, fake: FakeApi, url: str) -> None:
    fake.now(states.healthy())
    page.goto(url)
    differing = page.evaluate("""async () => {
      const { texts } = await import("/static/texts.js");
      const names = (of, path) => Object.entries(of).flatMap(([name, value]) =>
        typeof value === "object" ? names(value, `${path}${name}.`) : `${path}${name} ${typeof value}`);
      const [en, ja] = [texts.en, texts.ja].map((of) => new Set(names(of, "")));
      return [...en.symmetricDifference(ja)];
    }""")
    assert differing == []


def test_whatever_the_server_says_is_known(new_context: NewContext, fake: FakeApi, url: str) -> None:
    """Who adds a reason or an error to the program finds here that the page doesn't know it."""
    fake.now(states.healthy())
    page = open_page(new_context(locale="ja-JP"))
    page.goto(url)
    said = sorted({*errors(), *reasons()})
    assert len(said) > 60
    unknown = page.evaluate(
        """async (said) => {
          const { explain } = await import("/static/reasons.js");
          return said.filter((sentence) => explain(sentence).meaning === null);
        }""",
        said,
    )
    assert unknown == []


def errors() -> list[str]:
    """How causes begin, of BigQuery and of the database."""
    tables = (STORAGE_ERRORS, GRPC_CODES, REST_REASONS, HTTP_CODES)
    of_bigquery = [meaning for table in tables for _, meaning in table.values()]
    of_rows = ["1 row is left aside for now: what?", "a CHECK constraint (`is_json`) refuses a row as it is"]
    return [*of_bigquery, of_exception(OSError()).reason, *_MEANINGS.values(), *of_rows]


def reasons() -> list[str]:
    """What health may say."""
    now = datetime.now(UTC)
    much = Count(50_000, is_estimate=True)
    cause = of_exception(OSError()).reason
    rowless = Rowless(1, first_item=12, first_record="9", has_flag=True)
    lost = LastRun(now, finished=True, refused={"notInBigQuery": 2}, examples={"notInBigQuery": [4, 5]})
    stuck = LastRun(now, finished=False, problem=cause)
    day = DayThatDiffers(now.date(), 120, 118, 1)
    compared = LastCheck(now, now.date(), now.date(), None, 120, 118, 4, (day,) * 4)
    uncompared = LastCheck(now, now.date(), now.date(), cause)
    statuses = [
        Status(now, {}, (Problem("the database has no bq_sync_batch: run `bq-sync migrate`"),)),
        Status(now, {"logs": TableStatus("stopped")}),
        Status(now, {"logs": TableStatus("blocked", cause, owner_alive=True)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, failed=much)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, pending=much)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, oldest_pending_age_seconds=900)}),
        Status(now, {"logs": TableStatus("waiting", cause, owner_alive=True, oldest_pending_age_seconds=9e5)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, oldest_pending_age_seconds=-900)}),
        Status(
            now, {"logs": TableStatus("running", owner_alive=True, oldest_pending_age_seconds=9e5, rowless=rowless)}
        ),
        Status(
            now,
            {
                "logs": TableStatus(
                    "waiting",
                    cause,
                    owner_alive=True,
                    oldest_pending_age_seconds=9e5,
                    rowless=replace(rowless, items=3),
                )
            },
        ),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_retention=lost)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_retention=replace(lost, examples={}))}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_retention=stuck)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_check=compared)}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_check=replace(compared, days=()))}),
        Status(now, {"logs": TableStatus("running", owner_alive=True, last_check=uncompared)}),
        Status(now, {}, unconfigured={"lgos": much, "others": Count(3)}),
        Status(now - timedelta(hours=3), {"logs": TableStatus("running", owner_alive=True)}),
    ]
    found = [reason for status in statuses for reason in judge(status, now, Thresholds()).texts]
    assert len(found) >= len(statuses)
    return [*found, *DISABLED.texts]
