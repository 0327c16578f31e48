"""What happens to the box's clock, and power cuts, after which a box without a battery says 1970."""

import time
from random import Random

from tests.chaos.arena import Arena
from tests.chaos.faults.kinds import kind

HOUR = 3600
DAY = 24 * HOUR


def forward(arena: Arena, random: Random) -> str:
    return _wrong(arena, random, random.choice([600, HOUR, DAY, 400 * DAY]))


def back(arena: Arena, random: Random) -> str:
    return _wrong(arena, random, -random.choice([5, 600, HOUR, DAY, 100 * DAY]))


def power_cut(arena: Arena, random: Random) -> str:
    """Everything on the box ends at once, and comes back in any order."""
    _cut_power(arena, random)
    return "power cut"


def in_1970(arena: Arena, random: Random) -> str:
    """After a power cut; a while later somebody, or the network, sets the clock."""
    assert arena.clock is not None
    arena.kill_workers()
    arena.mariadb.kill()
    arena.clock.set(random.randrange(60 * DAY, 300 * DAY) - int(time.time()))
    _start(arena, random)
    seconds = random.uniform(1, 4)
    time.sleep(seconds)
    arena.clock.set(0)
    return f"power cut, and 1970 for {seconds:.1f} s"


def _wrong(arena: Arena, random: Random, ahead: int) -> str:
    assert arena.clock is not None
    seconds = random.uniform(0.5, 4)
    arena.clock.set(ahead)
    time.sleep(seconds)
    arena.clock.set(0)
    return f"clock {ahead:+} s for {seconds:.1f} s"


def _cut_power(arena: Arena, random: Random) -> None:
    arena.kill_workers()
    arena.mariadb.kill()
    time.sleep(random.uniform(0, 1))
    _start(arena, random)


def _start(arena: Arena, random: Random) -> None:
    if random.random() < 0.5:
        arena.start_worker()  # it finds no database
        time.sleep(random.uniform(0, 2))
    arena.mariadb.start()
    if not arena.workers:
        arena.start_worker()


KINDS = [
    kind("clock set forward", forward, "clock", needs="clock"),
    kind("clock set back", back, "clock", needs="clock"),
    kind("power cut", power_cut, "workers", "database"),
    kind("1970 after a power cut", in_1970, "workers", "database", "clock", needs="clock"),
]
