"""Twenty workers are killed, one after another, at random moments, while the camera goes on."""

import os
import time
from collections.abc import Callable
from random import Random, SystemRandom

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import Site

pytestmark = pytest.mark.chaos

KILLS = 20
LONGEST_SECONDS = 1.0  # from a worker's first lease to its end: through recovery, and some batches further
SEED = "CHAOS_SEED"


@pytest.mark.timeout(300)
def test_killed_at_random_moments(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> None:
    seed = int(os.environ.get(SEED, SystemRandom().randrange(1_000_000)))
    print(f"{SEED}={seed} replays this run's moments")
    random = Random(seed)
    # Many small batches, so that there is nearly always one on its way.
    site = make_site(mariadb, emulator, batch_size=10, max_batch_rows=50, interval_seconds=0.2)
    in_doubt = 0
    site.fill()
    with site.producing():
        for _ in range(KILLS):
            owners = site.tokens()
            worker = site.worker()
            site.leased_anew(owners)
            time.sleep(random.uniform(0, LONGEST_SECONDS))
            worker.kill()
            in_doubt += site.open_batches()
        site.worker()
    site.finish()
    print(f"{KILLS} workers were killed; {in_doubt} batches were open then")
    assert in_doubt
