"""`bq-sync verify --repair` and the worker are killed at random moments; run again, every row is there once."""

import time
from collections.abc import Callable
from contextlib import closing
from random import Random

import pytest

from sandbox.child import Child
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import FULL, Site, replayable
from tests.integration.pipeline import RETRY

pytestmark = pytest.mark.chaos

TABLE = "detection_logs"
ROWS = 5_000 if FULL else 1_000
KILLS = 10 if FULL else 3
LONGEST_SECONDS = 5.0  # from its start to its end; without being killed it takes about that


@pytest.mark.timeout(300)
def test_killed_at_random_moments_of_a_repair(
    make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator
) -> None:
    random = replayable()
    site = make_site(mariadb, emulator, retention_schedule="never")
    for table in site.settings.tables:
        site.insert(table, ROWS if table == TABLE else 50)
    first = site.worker()
    site.drain()
    with closing(emulator.client()) as client:
        dataset = f"{site.settings.project_id}.{site.settings.dataset_id}"
        for column, name in (("event_id", "semantic_events"), ("inference_id", "inference_logs")):
            gone = f"DELETE FROM `{dataset}.{name}` WHERE {column} LIKE '%7'"
            client.query_and_wait(gone, retry=RETRY, job_retry=None)
    removed = ROWS - site.sent(TABLE)
    assert removed > ROWS // 20
    for _ in range(KILLS):
        killed_at_random(site, random)
        if random.random() < 0.5:
            first.kill()
            first = site.worker()
    repaired = site.command("verify", "--repair", "--hurry")
    assert repaired.wait(120) in (0, 7), repaired.log_tail()
    site.drain()
    checked = site.command("verify", "--deep", "--hurry")
    assert checked.wait(120) == 0, checked.log_tail(60)
    site.finish()


def killed_at_random(site: Site, random: Random) -> None:
    """Start a repair, and kill it."""
    repair: Child = site.command("verify", "--repair", "--hurry")
    time.sleep(random.uniform(0, LONGEST_SECONDS))
    repair.kill()
