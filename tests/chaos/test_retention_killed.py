"""Workers are killed at random moments of a retention run; those that follow delete exactly what may go."""

import time
from collections.abc import Callable
from contextlib import closing

import pytest

from database.commands import CommandKind
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import DRAIN_SECONDS, FULL, START_SECONDS, Site, replayable, until
from tests.integration.pipeline import RETRY

pytestmark = pytest.mark.chaos

TABLE = "detection_logs"
OLD, YOUNG = (20_000, 2_000) if FULL else (1_500, 100)
KILLS = 10 if FULL else 4
CHUNK = 50 if FULL else 20  # rows of one transaction
LONGEST_SECONDS = 1.0 if FULL else 0.5  # from the first row that a worker deletes to its end


@pytest.mark.timeout(600)
def test_killed_at_random_moments_of_a_run(
    make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator
) -> None:
    random = replayable()
    site = make_site(mariadb, emulator, retention_chunk_rows=CHUNK, retention_schedule="never")
    site.insert(TABLE, OLD)
    site.run(f"UPDATE {TABLE} SET detected_at = detected_at - INTERVAL 90 DAY")
    site.insert(TABLE, YOUNG)
    first = site.worker()
    site.drain()
    assert site.sent(TABLE) == OLD + YOUNG
    removed = sorted(random.sample(range(1, OLD), 10))
    with closing(emulator.client()) as client:
        ids = ", ".join(f"'det_{key}'" for key in removed)
        table = f"`{site.settings.project_id}.{site.settings.dataset_id}.semantic_events`"
        client.query_and_wait(f"DELETE FROM {table} WHERE event_id IN ({ids})", retry=RETRY, job_retry=None)

    site.ask(CommandKind.RETENTION, TABLE)
    until(lambda: site.number("SELECT COUNT(*) FROM detection_logs") < OLD + YOUNG, START_SECONDS, "begun", site.logs)
    first.kill()
    left = [len(site.keys(TABLE, OLD))]
    with site.producing():
        for _ in range(KILLS):
            worker = site.worker()
            until(lambda: len(site.keys(TABLE, OLD)) < left[-1], START_SECONDS, "it deletes on", site.logs)
            time.sleep(random.uniform(0, LONGEST_SECONDS))
            worker.kill()
            left.append(len(site.keys(TABLE, OLD)))
        print(f"old rows that were left after each kill: {left}")
        assert left[-1] > len(removed), "every one was killed before the run's end"
        site.worker()
        until(
            lambda: site.number("SELECT COUNT(*) FROM bq_sync_command WHERE state = 'done'") == 1,
            DRAIN_SECONDS,
            "the run is done",
            site.logs,
        )
    site.drain()
    assert site.keys(TABLE, OLD) == removed
    assert site.number(f"SELECT COUNT(*) FROM {TABLE} WHERE id > {OLD}") == site.sent(TABLE) - OLD + len(removed)
