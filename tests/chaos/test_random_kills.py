"""Ten workers are killed, one after another, at random moments, while the camera goes on."""

from collections.abc import Callable

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.chaos.one_site import FULL, Site, replayable

pytestmark = pytest.mark.chaos

KILLS = 40 if FULL else 10
LONGEST_SECONDS = 1.0  # from a worker's first lease to its end: through recovery, and some batches further


@pytest.mark.timeout(300)
def test_killed_at_random_moments(make_site: Callable[..., Site], mariadb: MariaDB, emulator: Emulator) -> None:
    random = replayable()
    # Many small batches, so that there is nearly always one on its way.
    site = make_site(mariadb, emulator, batch_size=10, max_batch_rows=50, interval_seconds=0.2)
    in_doubt = 0
    site.fill()
    with site.producing():
        for _ in site.killed_at_random(random, KILLS, LONGEST_SECONDS):
            in_doubt += site.open_batches()
        site.worker()
    site.finish()
    print(f"{KILLS} workers were killed; {in_doubt} batches were open then")
    assert in_doubt
