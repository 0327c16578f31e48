"""What the buttons ask of the API, what they say meanwhile, and what came of it."""

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser import states
from tests.browser.conftest import let_it_look, let_time_pass
from tests.browser.fake_api import Answers, Asked, FakeApi

LINK = "/api/bq-sync/commands/5f00"


@pytest.fixture
def shown(page: Page, fake: FakeApi, url: str) -> Page:
    """A page with failed rows, once it has read them: a test may then change what will be answered."""
    show(page, fake, url, states.unhealthy())
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    return page


def show(page: Page, fake: FakeApi, url: str, answers: Answers) -> None:
    fake.now(answers)
    page.goto(url)
    expect(page.locator("#freshness")).to_contain_text("Updated")


def card(page: Page) -> Locator:
    return page.get_by_role("article", name="detection_logs")


def test_flush_of_a_table(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /flush"] = {"ok": True, "flushedCount": 1042}
    card(shown).get_by_role("button", name="Send now").click()
    expect(card(shown).get_by_role("status")).to_have_text("Done: 1,042 rows sent.")
    assert fake.asked == [Asked("POST", "/flush", {"tables": ["detection_logs"]})]


def test_flush_of_all_leaves_out_what_is_paused(page: Page, fake: FakeApi, url: str) -> None:
    show(page, fake, url, states.paused())
    fake.answers["POST /flush"] = {"ok": True, "flushedCount": 0}
    page.get_by_role("button", name="Send all now").click()
    expect(page.locator("#all-result")).to_have_text("Done: nothing was waiting.")
    assert fake.asked == [Asked("POST", "/flush", {"tables": ["is21_logs"]})]


def test_a_flush_that_goes_on_is_followed(shown: Page, fake: FakeApi) -> None:
    running = {"ok": False, "flushedCount": 0, "tables": {"detection_logs": "running"}, "command": LINK}
    fake.answers["POST /flush"] = (202, running)
    fake.answers["GET /commands/5f00"] = {"tables": {"detection_logs": {"state": "running", "result": None}}}
    button = card(shown).get_by_role("button", name="Send now")
    button.click()
    result = card(shown).get_by_role("status")
    expect(result).to_contain_text("Still running")
    expect(button).to_be_disabled()
    button.click(force=True)
    let_time_pass(shown, lambda: fake.seen.count("/commands/5f00") == 2)
    expect(result).to_contain_text("Still running")
    fake.answers["GET /commands/5f00"] = {
        "tables": {"detection_logs": {"state": "done", "result": {"flushedCount": 7}}}
    }
    let_time_pass(shown, lambda: fake.seen.count("/commands/5f00") == 3)
    expect(result).to_have_text("Done: 7 rows sent.")
    expect(button).to_be_enabled()
    assert len(fake.asked) == 1


def test_nobody_there_to_flush(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /flush"] = (503, {"detail": "no worker took it for detection_logs: start `bq-sync worker`"})
    card(shown).get_by_role("button", name="Send now").click()
    expect(card(shown).get_by_role("status")).to_contain_text("no worker took it for detection_logs")


def test_no_answer_to_a_flush_is_no_failure(shown: Page, fake: FakeApi) -> None:
    fake.is_silent = True
    card(shown).get_by_role("button", name="Send now").click()
    expect(card(shown).get_by_role("status")).to_contain_text("it may be done or not")


def test_pause_and_resume(shown: Page, fake: FakeApi) -> None:
    fake.answers |= {
        "POST /pause": {"ok": True, "tables": {"detection_logs": "paused"}},
        "POST /resume": (202, {"ok": False, "tables": {"detection_logs": "resuming"}}),
    }
    fake.answers["GET /status"] = states.paused()["GET /status"]
    card(shown).get_by_role("button", name="Pause").click()
    result = card(shown).get_by_role("status")
    expect(result).to_have_text("Paused. Nothing is sent until you resume.")
    card(shown).get_by_role("button", name="Resume").click()  # which the status brought
    expect(result).to_have_text("Asked for, and kept: its worker hasn't said yet that it did so.")
    tables = {"tables": ["detection_logs"]}
    assert fake.asked == [Asked("POST", "/pause", tables), Asked("POST", "/resume", tables)]


def test_pausing_all(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /pause"] = {"ok": True, "tables": dict.fromkeys(states.TABLES, "paused")}
    shown.get_by_role("button", name="Pause all").click()
    expect(shown.locator("#all-result")).to_contain_text("Paused.")
    assert fake.asked == [Asked("POST", "/pause", None)]


def test_retry_takes_one_click(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /retry"] = {"ok": True, "retriedCount": 1}
    fake.answers |= without_failed(41)
    shown.get_by_role("button", name="Retry detection_logs 880041").click()
    expect(shown.locator("#failed-result")).to_have_text("1 row will be tried again.")
    expect(shown.locator("#failed-rows tr")).to_have_count(2)
    expect(shown.get_by_role("button", name="Retry detection_logs 880040")).to_be_focused()
    assert fake.asked == [Asked("POST", "/retry", {"ids": [41]})]


def test_giving_up_asks_first(shown: Page, fake: FakeApi) -> None:
    fake.answers["DELETE /failed"] = {"ok": True, "clearedCount": 1}
    give_up = shown.get_by_role("button", name="Give up detection_logs 880041")
    question = shown.get_by_role("dialog", name="Give up?")
    for answer in ("Enter", "Escape"):  # neither says yes
        give_up.click()
        expect(question).to_contain_text("detection_logs 880041 will never be sent to BigQuery")
        shown.keyboard.press(answer)
        expect(question).to_be_hidden()
    assert fake.asked == []
    give_up.click()
    fake.answers |= without_failed(41)
    question.get_by_role("button", name="Give up").click()
    expect(shown.locator("#failed-result")).to_have_text("1 row given up.")
    assert fake.asked == [Asked("DELETE", "/failed", {"ids": [41]})]


def test_all_of_a_table(shown: Page, fake: FakeApi) -> None:
    fake.answers |= {
        "POST /retry": {"ok": True, "retriedCount": 2},
        "DELETE /failed": {"ok": True, "clearedCount": 3},
        "GET /failed?limit=50&table=detection_logs": {"failed": list(states.FAILED[:2]), "next": None},
    }
    shown.get_by_label("Of table").select_option("detection_logs (2)")
    expect(shown.locator("#failed-rows tr")).to_have_count(2)
    shown.get_by_role("button", name="Retry all").click()
    question = shown.get_by_role("dialog")
    expect(question).to_contain_text("2 rows of detection_logs will be tried again")
    question.get_by_role("button", name="Retry all").click()
    expect(shown.locator("#failed-result")).to_have_text("2 rows will be tried again.")
    shown.get_by_label("Of table").select_option("All tables")
    shown.get_by_role("button", name="Give up all").click()
    expect(question).to_contain_text("3 rows of all tables will never be sent")
    question.get_by_role("button", name="Give up").click()
    expect(shown.locator("#failed-result")).to_have_text("3 rows given up.")
    assert fake.asked == [
        Asked("POST", "/retry", {"tables": ["detection_logs"]}),
        Asked("DELETE", "/failed", {"all": True}),
    ]


def test_more_failed_rows(page: Page, fake: FakeApi, url: str) -> None:
    answers = states.unhealthy()
    first, rest = states.FAILED[:1], states.FAILED[1:]
    answers["GET /failed"] = {"failed": list(first), "next": "/api/bq-sync/failed?limit=50&before=41"}
    answers["GET /failed?limit=50&before=41"] = {"failed": list(rest), "next": None}
    show(page, fake, url, answers)
    expect(page.locator("#failed-rows tr")).to_have_count(1)
    page.get_by_role("button", name="More").click()
    expect(page.locator("#failed-rows tr")).to_have_count(3)
    expect(page.get_by_role("button", name="More")).to_be_hidden()


def test_failed_rows_are_read_again_only_when_their_number_changes(shown: Page, fake: FakeApi) -> None:
    for _ in range(3):
        let_it_look(shown, fake)
    assert fake.seen.count("/failed") == 1


def test_retention_shows_a_dry_run_then_asks(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /retention"] = retention(wouldDelete=1200, refused={"foreignKey": 3})
    shown.get_by_role("button", name="Delete old rows").click()
    question = shown.get_by_role("dialog", name="Delete old rows?")
    expect(question).to_contain_text(
        "detection_logs: 1,200 rows would be deleted. 3 stay: another table's rows need them"
    )
    question.get_by_role("button", name="Cancel").click()
    assert fake.asked == [Asked("POST", "/retention", {"dryRun": True})]

    shown.get_by_role("button", name="Delete old rows").click()
    expect(question).to_be_visible()
    fake.answers["POST /retention"] = retention(deleted=1200, problem="the clock is wrong")
    question.get_by_role("button", name="Delete them").click()
    expect(shown.locator("#all-result")).to_contain_text("detection_logs: 1,200 rows deleted. the clock is wrong")
    assert fake.asked[-1] == Asked("POST", "/retention", {"dryRun": False})


def test_retention_with_nothing_to_delete_asks_nothing(shown: Page, fake: FakeApi) -> None:
    fake.answers["POST /retention"] = retention(wouldDelete=0)
    shown.get_by_role("button", name="Delete old rows").click()
    expect(shown.locator("#all-result")).to_have_text("There are no old rows to delete.")
    expect(shown.get_by_role("dialog")).to_be_hidden()


def retention(**report: object) -> dict[str, object]:
    return {"ok": True, "tables": {"detection_logs": {"state": "done", "result": report}}, "command": LINK}


def without_failed(number: int) -> Answers:
    """What is answered once this row of detection_logs no longer failed."""
    answers = states.unhealthy()
    status = answers["GET /status"]
    assert isinstance(status, dict)
    status["tableStats"]["detection_logs"]["failed"] -= 1
    rows = [row for row in states.FAILED if row["id"] != number]
    return {"GET /status": status, "GET /failed": {"failed": rows, "next": None}}
