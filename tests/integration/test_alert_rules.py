"""The alerts of deploy/prometheus, run by Prometheus's own engine: each fires when it should, and not otherwise."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.integration.promtool import needs_promtool, promtool

CHECKOUT = Path(__file__).parents[2]
RULES = CHECKOUT / "deploy" / "prometheus" / "bq_sync.rules.yml"
SAMPLES = 100  # that a case lasts, each a minute after the other unless it says more

Series = Mapping[str, str]
BOX = 'job="bq-sync", instance="box"'


@dataclass(frozen=True)
class Case:
    """Samples in promtool's notation, after SAMPLES of which the alert fires, or does not."""

    alert: str
    fires: bool
    samples: Series
    every_minutes: int = 1


def always(value: float) -> str:
    return f"{value}x{SAMPLES}"


def rising(by: float) -> str:
    return f"0+{by}x{SAMPLES}"


ENABLED = {"bq_sync_enabled": always(1)}
ALIVE = {"bq_sync_table_worker_alive table=logs": always(1)}
GONE = {"bq_sync_table_worker_alive table=logs": always(0)}
BLOCKED = {"bq_sync_table_state table=logs state=blocked": always(1)}
UNPREPARED = {"bq_sync_table_state table=logs state=unprepared": always(1)}
PAUSED = {"bq_sync_table_paused table=logs": always(1)}
RUNS = {"bq_sync_table_paused table=logs": always(0)}
PENDING = "bq_sync_queue_rows table={} state=pending"
FAILED = "bq_sync_queue_rows table={} state=failed"
OLDEST = "bq_sync_oldest_pending_age_seconds table=logs"
SYNCED = "bq_sync_synced_rows_total table=logs"
LATE = "bq_sync_delivery_latency_seconds_bucket table=logs le={}"
DAYS_DIFFERENT = "bq_sync_check_differing table=logs"
UNCOMPARED = "bq_sync_check_failed table=logs"
COMPARED_AT = "bq_sync_check_timestamp_seconds table=logs"
REFUSED = "bq_sync_retention_rows_total table=logs outcome=refused"
RESTARTS = "bq_sync_pipeline_restarts_total table=logs actor={}"
STARTS = "bq_sync_process_starts_total kind=worker"
QUOTA = "bq_sync_failed_attempts_total table=logs error_class={}"

CASES = (
    Case("BqSyncApiAbsent", True, {"up": always(0)}),
    Case("BqSyncApiAbsent", False, {"up": always(1)}),
    Case("BqSyncDisabled", True, {"bq_sync_enabled": always(0)}),
    Case("BqSyncDisabled", False, ENABLED),
    Case("BqSyncDatabaseDown", True, {**ENABLED, "bq_sync_database_up": always(0)}),
    Case("BqSyncDatabaseDown", False, {"bq_sync_enabled": always(0), "bq_sync_database_up": always(0)}),
    Case("BqSyncDatabaseDown", False, {**ENABLED, "bq_sync_database_up": always(1)}),
    Case("BqSyncUnprepared", True, UNPREPARED),
    Case("BqSyncUnprepared", False, BLOCKED),
    Case("BqSyncNoWorker", True, {**ENABLED, **GONE}),
    Case("BqSyncNoWorker", False, {**ENABLED, **ALIVE}),
    Case("BqSyncNoWorker", False, {**ENABLED, **GONE, **UNPREPARED}),
    Case("BqSyncNoWorker", False, {"bq_sync_enabled": always(0), **GONE}),
    Case("BqSyncBlocked", True, {**BLOCKED, **ALIVE}),
    Case("BqSyncBlocked", False, {**BLOCKED, **GONE}),
    Case("BqSyncBlocked", False, {"bq_sync_table_state table=logs state=blocked": always(0), **ALIVE}),
    Case("BqSyncRowsFailed", True, {FAILED.format("logs"): always(6), FAILED.format("notes"): always(5)}),
    Case("BqSyncRowsFailed", False, {FAILED.format("logs"): always(5), FAILED.format("notes"): always(5)}),
    Case("BqSyncOldestPendingTooOld", True, {OLDEST: always(301), **RUNS}),
    Case("BqSyncOldestPendingTooOld", False, {OLDEST: always(300), **RUNS}),
    Case("BqSyncOldestPendingTooOld", False, {OLDEST: always(301), **PAUSED}),
    Case("BqSyncPendingMany", True, {PENDING.format("logs"): always(501), PENDING.format("notes"): always(500)}),
    Case("BqSyncPendingMany", False, {PENDING.format("logs"): always(500), PENDING.format("notes"): always(500)}),
    Case("BqSyncPendingGrowing", True, {PENDING.format("logs"): rising(20), **RUNS}),
    Case("BqSyncPendingGrowing", False, {PENDING.format("logs"): rising(10), **RUNS}),
    Case("BqSyncPendingGrowing", False, {PENDING.format("logs"): rising(20), **PAUSED}),
    Case("BqSyncNothingSent", True, {**ENABLED, **RUNS, PENDING.format("logs"): always(1), SYNCED: always(7)}),
    Case("BqSyncNothingSent", False, {**ENABLED, **RUNS, PENDING.format("logs"): always(1), SYNCED: rising(1)}),
    Case("BqSyncNothingSent", False, {**ENABLED, **RUNS, PENDING.format("logs"): always(0), SYNCED: always(7)}),
    Case("BqSyncNothingSent", False, {**ENABLED, **PAUSED, PENDING.format("logs"): always(1), SYNCED: always(7)}),
    Case(
        "BqSyncLatencyHigh",
        True,
        {LATE.format("600"): rising(90), LATE.format("+Inf"): rising(100), LATE.format("1800"): rising(100)},
    ),
    Case(
        "BqSyncLatencyHigh",
        False,
        {LATE.format("600"): rising(96), LATE.format("+Inf"): rising(100), LATE.format("1800"): rising(100)},
    ),
    Case("BqSyncClock", True, {"bq_sync_database_clock_offset_seconds": always(-31)}),
    Case("BqSyncClock", True, {OLDEST: always(-31)}),
    Case("BqSyncClock", False, {"bq_sync_database_clock_offset_seconds": always(-30), OLDEST: always(-30)}),
    Case("BqSyncQuota", True, {QUOTA.format("quota"): rising(1)}),
    Case("BqSyncQuota", False, {QUOTA.format("transient"): rising(1)}),
    Case(
        "BqSyncPipelineRestarts",
        True,
        {RESTARTS.format("Poller"): rising(0.04), RESTARTS.format("Batcher"): rising(0.04)},
    ),
    Case("BqSyncPipelineRestarts", False, {RESTARTS.format("Poller"): rising(0.04)}),
    Case("BqSyncProcessRestarts", True, {STARTS: rising(0.1)}),
    Case("BqSyncProcessRestarts", False, {STARTS: rising(0.04)}),
    Case("BqSyncDaysDifferent", True, {DAYS_DIFFERENT: f"0x{SAMPLES - 1} 2x1"}),
    Case("BqSyncDaysDifferent", False, {DAYS_DIFFERENT: always(0)}),
    Case("BqSyncNotCompared", True, {COMPARED_AT: always(0)}, every_minutes=60),
    Case("BqSyncNotCompared", False, {COMPARED_AT: rising(1800)}, every_minutes=60),
    Case("BqSyncNotComparable", True, {UNCOMPARED: always(1)}, every_minutes=60),
    Case("BqSyncNotComparable", False, {UNCOMPARED: f"1x{SAMPLES - 30} 0x30"}, every_minutes=60),
    Case("BqSyncRetentionRefused", True, {REFUSED: f"0x{SAMPLES - 30} 3x30"}),
    Case("BqSyncRetentionRefused", False, {REFUSED: always(3)}),
    Case("BqSyncPaused", True, PAUSED, every_minutes=15),
    Case("BqSyncPaused", False, PAUSED),
    Case("BqSyncMetricsNotShared", True, {"bq_sync_metrics_shared": always(0)}),
    Case("BqSyncMetricsNotShared", False, {"bq_sync_metrics_shared": always(1)}),
)


def rules() -> list[dict[str, object]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, object]] = group["rules"]
    return found


def selector(short: str) -> str:
    """`name label=value ...` as Prometheus writes it, of this box."""
    name, *labels = short.split()
    quoted = (f'{label.partition("=")[0]}="{label.partition("=")[2]}"' for label in labels)
    return f"{name}{{{', '.join((BOX, *quoted))}}}"


def unit_test(case: Case) -> dict[str, object]:
    return {
        "name": f"{case.alert} fires: {case.fires}, with {dict(case.samples)}",
        "interval": f"{case.every_minutes}m",
        "input_series": [{"series": selector(short), "values": values} for short, values in case.samples.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) > bool 0',
                "eval_time": f"{SAMPLES * case.every_minutes}m",
                "exp_samples": [{"labels": "{}", "value": 1}] if case.fires else [],
            }
        ],
    }


def test_each_alert_has_a_case_for_and_one_against() -> None:
    names = {str(rule["alert"]) for rule in rules()}
    assert {case.alert for case in CASES if case.fires} == names
    assert {case.alert for case in CASES if not case.fires} == names


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: str(rule["alert"]))
def test_each_alert_says_how_bad_it_is_what_to_do_and_where_more_stands(rule: dict[str, dict[str, str]]) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    annotations = rule["annotations"]
    assert annotations.keys() == {"summary", "description", "runbook"}
    assert "{{ $labels.instance }}" in annotations["summary"]
    page, title = re.fullmatch(r'(docs/\w+\.md), "(.+)"', annotations["runbook"]).groups()  # type: ignore[union-attr]  # else it fails
    assert f"\n## {title}\n" in (CHECKOUT / page).read_text()


@needs_promtool
def test_the_rules_are_valid() -> None:
    done = subprocess.run([promtool(), "check", "rules", RULES], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_each_alert_fires_when_it_should_and_not_otherwise(tmp_path: Path) -> None:
    files = []
    for minutes in sorted({case.every_minutes for case in CASES}):
        tests = [unit_test(case) for case in CASES if case.every_minutes == minutes]
        files.append(tmp_path / f"every-{minutes}-minutes.yml")
        whole = {"rule_files": [str(RULES)], "evaluation_interval": f"{minutes}m", "tests": tests}
        files[-1].write_text(yaml.safe_dump(whole))
    done = subprocess.run([promtool(), "test", "rules", *files], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_promtool
def test_the_scrape_configuration_is_valid(tmp_path: Path) -> None:
    text = (RULES.parent / "scrape.yml").read_text().replace("/etc/prometheus/bq_sync.rules.yml", str(RULES))
    token = tmp_path / "token"
    token.write_text("a-token-that-may-only-look")
    file = tmp_path / "prometheus.yml"
    file.write_text(text.replace("/etc/prometheus/bq-sync-token", str(token)))
    done = subprocess.run([promtool(), "check", "config", file], text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
