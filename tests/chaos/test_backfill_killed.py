"""Backfills are killed at random moments, in both forms, and their worker too: run again, each row is there once."""

import time
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import FULL, START_SECONDS, Site, replayable, until

pytestmark = pytest.mark.chaos

KILLS = 10 if FULL else 3
LONGEST_SECONDS = 3.0  # from a backfill's first sign to its end
BACKFILL_SECONDS = 240.0 if FULL else 90.0


@pytest.fixture
def site(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> Site:
    """All that it holds is history."""
    site = make_site(mariadb, emulator, stream_settle_seconds=1)
    site.fill()
    site.run("DELETE FROM bq_sync_queue")
    for table in site.settings.tables:
        site.run(f"UPDATE `{table}` SET synced_to_bq = NULL")
    return site


def history(site: Site) -> int:
    return sum(
        site.number(f"SELECT COUNT(*) FROM `{table}` WHERE synced_to_bq IS NULL") for table in site.settings.tables
    )


def has_less(site: Site, before: int) -> bool:
    return history(site) < before


def is_leased_anew(site: Site, before: dict[str, str]) -> bool:
    return site.tokens() != before


def killed_at_random(site: Site, random: Random, begun: Callable[[], bool], *arguments: str) -> None:
    backfill = site.command("backfill", *arguments)
    until(lambda: begun() or not backfill.running, START_SECONDS, "it does something", site.logs)
    time.sleep(random.uniform(0, LONGEST_SECONDS))
    backfill.kill()


def run_to_its_end(site: Site, *arguments: str) -> None:
    backfill = site.command("backfill", *arguments)
    assert backfill.wait(BACKFILL_SECONDS) == 0, backfill.log_tail(40)
    assert history(site) == 0


@pytest.mark.timeout(600)
def test_through_the_queue(site: Site) -> None:
    random = replayable()
    arguments = ("--most-waiting", "1500" if FULL else "150")
    worker = site.worker()
    with site.producing():
        for _ in range(KILLS):
            killed_at_random(site, random, partial(has_less, site, history(site)), *arguments)
            if random.random() < 0.5:
                worker.kill()
                worker = site.worker()
        run_to_its_end(site, *arguments)
    site.finish()


@pytest.mark.timeout(600)
def test_by_load_jobs(site: Site) -> None:
    random = replayable()
    arguments = ("--load", "--chunk-rows", "4000" if FULL else "250")
    for _ in range(KILLS):
        killed_at_random(site, random, partial(is_leased_anew, site, site.tokens()), *arguments)
        if random.random() < 0.5:
            for _ in site.killed_at_random(random, 1, LONGEST_SECONDS):
                pass
    run_to_its_end(site, *arguments)
    site.worker()
    site.finish()
