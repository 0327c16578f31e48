"""A few chaos rounds, of the kinds that don't take long; `python -m tests.chaos.rounds` plays hundreds of all."""

from pathlib import Path

import pytest

from tests.chaos.faults.plan import ALL
from tests.chaos.one_site import replayable
from tests.chaos.rounds import Run

pytestmark = pytest.mark.chaos

ROUNDS = 3

# They wait until a lock is freed or a point is reached, or for connections that were cut for a minute.
LONG = {
    "worker killed at a point",
    "workers frozen and taken over",
    "worker frozen at a point",
    "line cut",
    "backup restored by the book",
}


@pytest.mark.timeout(600)  # what is seldom seen may take long: a blocked table is tried again after 300 s
def test_rounds(tmp_path: Path) -> None:
    seed = replayable().randrange(1_000_000)
    run = Run(tmp_path, seed, ROUNDS, [kind for kind in ALL.values() if kind.name not in LONG])
    run.play()
    assert run.played == ROUNDS
