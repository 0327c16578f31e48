"""What `bq-sync backfill` says while it runs, and in the end."""

from collections import Counter

import pytest

from cli.backfill import Estimate, told
from cli.progress import Progress
from delivery.backfill_report import BackfillReport, Fate, Total
from tests.fakes.clock import FakeClock


def test_it_says_how_far_it_is_and_how_long_the_rest_takes() -> None:
    clock = FakeClock()
    estimate = Estimate(clock.monotonic)
    report = BackfillReport()
    assert estimate.line("logs", report) == "logs  counting rows"
    report.total, report.passed, report.under_way = Total(1_200_000, is_estimate=True), 12_100, 100
    clock.now += 60
    shown = "logs  ░░░░░░░░░░░░░░░░░░░░   1%  12,000 of about 1,200,000 rows, 200 a second, 99 min left"
    assert estimate.line("logs", report) == shown
    report.waits_for = "no worker owns logs"
    assert estimate.line("logs", report).endswith("left; no worker owns logs")


def test_of_nothing_all_is_done() -> None:
    assert "100%  0 of 0 rows" in Estimate().line("logs", BackfillReport(Total(0)))


def test_elsewhere_than_on_a_terminal_it_says_so_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    clock = FakeClock()
    with Progress(lambda: "a line", clock.monotonic) as progress:
        for _ in range(25):
            clock.now += 1
            progress.show()
    assert capsys.readouterr().err == "a line\na line\n"


def test_in_the_end_it_says_what_became_of_the_rows_and_what_to_do() -> None:
    fates = Counter({Fate.SENT: 1200, Fate.THERE: 3, Fate.FAILED: 1, Fate.WAITS: 2, Fate.FAILED_BEFORE: 4})
    assert told("logs", BackfillReport(under_way=5, fates=fates)) == [
        "logs  1,200 rows sent, 3 were there already",
        "logs  1 row failed: see `bq-sync failed --table logs`",
        "logs  2 rows left alone: an item of theirs waits already",
        "logs  4 rows left alone: they failed before: `bq-sync failed --table logs`, mend them, and `bq-sync retry`",
        "logs  5 rows on the way",
    ]
    assert told("logs", BackfillReport(fates=Counter({Fate.WOULD_SEND: 7}))) == [
        "logs  7 rows would be sent, 0 were there already"
    ]
