"""The metrics of a box that runs: what they say is so, and they are those of documentation, alerts and dashboard."""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml
from sqlalchemy import Engine

from api.app import create_app
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.metrics_site import Box, running_box
from tests.integration.promtool import needs_promtool, promtool
from tests.unit.api.client import settings
from tests.unit.metrics.asking import get
from tests.unit.metrics.measuring import Samples, parse, value

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
DOCUMENTATION = CHECKOUT / "docs" / "metrics.md"
HISTOGRAM = re.compile(r"_(bucket|count|sum)$")


@pytest.fixture(scope="module")
def box(mariadb: MariaDB, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with running_box(mariadb, emulator, tmp_path_factory.mktemp("box")) as box:
        yield box


@pytest.fixture(scope="module")
def exposed(box: Box) -> set[str]:
    """Every metric that the box shows, a histogram by its own name."""
    text = box.text()
    histograms = set(re.findall(r"^# TYPE (\w+) histogram$", text, re.MULTILINE))
    names = set(re.findall(r"^(\w+)(?:\{| )", text, re.MULTILINE))
    return {HISTOGRAM.sub("", name) if HISTOGRAM.sub("", name) in histograms else name for name in names}


def documented() -> dict[str, set[str]]:
    """Each metric of the documentation's tables, with the alerts that it names."""
    rows = re.findall(r"^\| `(bq_sync_\w+)` \|.*\| ([\w, ]*)\|$", DOCUMENTATION.read_text(), re.MULTILINE)
    return {name: set(re.findall(r"\w+", alerts)) for name, alerts in rows}


def named_in(text: str) -> set[str]:
    return {HISTOGRAM.sub("", name) for name in re.findall(r"\bbq_sync_\w+", text)}


@cache
def rules() -> dict[str, str]:
    """The expression of each alert."""
    (group,) = yaml.safe_load((DEPLOY / "prometheus" / "bq_sync.rules.yml").read_text())["groups"]
    return {rule["alert"]: rule["expr"] for rule in group["rules"]}


def carried(samples: Samples, name: str, **labels: str) -> float | None:
    return value(samples, name, table="notes", **labels)


def test_what_worker_and_database_tell(box: Box) -> None:
    samples = box.scrape()
    assert carried(samples, "bq_sync_rows_total", outcome="sent") == 10
    assert carried(samples, "bq_sync_rows_total", outcome="failed") == 1
    assert carried(samples, "bq_sync_synced_rows_total") == 10
    assert carried(samples, "bq_sync_queue_rows", state="failed") == 1
    assert carried(samples, "bq_sync_batch_rows_sum") == 10
    assert carried(samples, "bq_sync_delivery_latency_seconds_count") == 10
    assert (carried(samples, "bq_sync_sent_bytes_total") or 0) > 0
    assert carried(samples, "bq_sync_table_state", state="running") == 1
    assert value(samples, "bq_sync_table_state", table="memos", state="blocked") == 1
    assert carried(samples, "bq_sync_check_differing") == 1
    assert abs((carried(samples, "bq_sync_check_timestamp_seconds") or 0) - time.time()) < 3600
    assert carried(samples, "bq_sync_table_worker_alive") == 1
    assert carried(samples, "bq_sync_table_worker_info", host="127.0.0.1") == 1
    assert value(samples, "bq_sync_process_up", process="worker-0") == 1
    assert value(samples, "bq_sync_process_up", process="api-0") == 1
    for role in ("write", "read", "locks", "api"):
        assert value(samples, "bq_sync_database_statement_duration_seconds_count", role=role), role


def test_every_metric_is_documented_and_every_documented_one_is_there(exposed: set[str]) -> None:
    assert exposed == documented().keys()


def test_alerts_name_what_there_is_and_the_documentation_names_the_alerts(exposed: set[str]) -> None:
    told = documented()
    for alert, expression in rules().items():
        assert named_in(expression) <= exposed, alert
    for name, alerts in told.items():
        assert alerts <= rules().keys(), name
        assert all(name in named_in(rules()[alert]) for alert in alerts), name
    by_alerts = set().union(*told.values())
    assert rules().keys() - by_alerts == {"BqSyncApiAbsent"}


def test_the_dashboard_shows_what_there_is(exposed: set[str]) -> None:
    dashboard = json.loads((DEPLOY / "grafana" / "bq-sync.json").read_text())
    panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
    expressions = [target["expr"] for panel in panels for target in panel["targets"]]
    variables = [variable["definition"] for variable in dashboard["templating"]["list"] if "definition" in variable]
    for text in (*expressions, *variables):
        assert named_in(text), text
        assert named_in(text) <= exposed, text
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    assert all(panel["description"] for panel in panels)


def test_a_database_that_isnt_prepared_is_up(engine: Engine) -> None:
    answer = get(create_app(settings(), engine))
    samples = parse(answer.text)
    assert value(samples, "bq_sync_database_up") == 1
    assert value(samples, "bq_sync_table_state", table="logs", state="unprepared") == 1


@needs_promtool
def test_the_answer_passes_promtools_lint(box: Box) -> None:
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=box.text(), text=True, capture_output=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_openmetrics_says_the_same(box: Box) -> None:
    text = box.text("application/openmetrics-text; version=1.0.0")
    assert text.endswith("# EOF\n")
    assert 'bq_sync_rows_total{outcome="sent",table="notes"} 10.0' in text


def test_counters_survive_kill_9_of_the_worker(box: Box) -> None:
    box.worker.kill()
    box.site.wait_until(
        lambda: carried(box.scrape(), "bq_sync_table_worker_alive") == 0, "the database knows that the worker is gone"
    )
    dead = box.scrape()
    assert value(dead, "bq_sync_process_up", process="worker-0") == 0
    assert carried(dead, "bq_sync_rows_total", outcome="sent") == 10
    assert "mailbox" not in box.text()
    box.site.run("INSERT INTO notes (label) VALUES ('two')")
    box.worker.start()
    box.site.wait_until(lambda: len(box.site.sent("notes")) == 11, "the new worker sends")
    box.site.wait_until(lambda: carried(box.scrape(), "bq_sync_rows_total", outcome="sent") == 11, "its rows are added")
    assert value(box.scrape(), "bq_sync_process_starts_total", kind="worker") == 2
