"""What happens on the way from the workers to the database and to BigQuery."""

import time
from random import Random

from sandbox.proxy import Proxy
from tests.chaos.arena import Arena
from tests.chaos.faults.kinds import kind

FOR_MINUTES = 0.04  # the share of cuts that last so long


def cut(arena: Arena, random: Random) -> str:
    """Connections are refused; now and then for a minute and more."""
    name, lines = _lines(arena, random)
    seconds = random.uniform(60, 100) if random.random() < FOR_MINUTES else random.uniform(0.2, 3)
    for line in lines:
        line.cut()
    return _last(name, lines, seconds, "cut")


def black_hole(arena: Arena, random: Random) -> str:
    """Connections stay, and nothing comes through until it ends."""
    name, lines = _lines(arena, random)
    for line in lines:
        line.cut(black_hole=True)
    return _last(name, lines, random.choice([random.uniform(0.3, 4), random.uniform(8, 12)]), "a black hole")


def answers_lost(arena: Arena, random: Random) -> str:
    """What is sent arrives, and nobody hears of it."""
    name, lines = _lines(arena, random)
    for line in lines:
        line.drop_answers()
    return _last(name, lines, random.uniform(0.3, 4), "answers lost")


def half_closed(arena: Arena, random: Random) -> str:
    name, lines = _lines(arena, random)
    times = random.randint(1, 4)
    for _ in range(times):
        for line in lines:
            line.half_close()
        time.sleep(random.uniform(0, 0.6))
    return f"{name}: half-closed {times}×"


def slow(arena: Arena, random: Random) -> str:
    name, lines = _lines(arena, random)
    for line in lines:
        line.delay = random.uniform(0.02, 0.3)
        line.kbps = random.choice([None, 200.0, 500.0, 2_000.0])
    return _last(name, lines, random.uniform(1, 4), "slow")


def lossy(arena: Arena, random: Random) -> str:
    """A third of all new connections break, after those that are open have broken."""
    name, lines = _lines(arena, random)
    for line in lines:
        line.loss = 0.33
        line.cut()
        line.restore()
    return _last(name, lines, random.uniform(1, 4), "lossy")


def _lines(arena: Arena, random: Random) -> tuple[str, list[Proxy]]:
    """The line to the database, that to BigQuery's streams alone, to all of BigQuery, or all of them."""
    names = random.choice([["database"], ["streams"], ["streams"], ["streams", "REST"], list(arena.lines)])
    return " and ".join(names), [arena.lines[name] for name in names]


def _last(name: str, lines: list[Proxy], seconds: float, what: str) -> str:
    time.sleep(seconds)
    for line in lines:
        line.delay, line.kbps, line.loss = 0.0, None, 0.0
        line.restore()
    return f"{name}: {what} for {seconds:.1f} s"


KINDS = [
    kind("line cut", cut, "lines"),
    kind("line a black hole", black_hole, "lines"),
    kind("answers lost", answers_lost, "lines"),
    kind("line half-closed", half_closed, "lines"),
    kind("line slow", slow, "lines"),
    kind("line lossy", lossy, "lines"),
]
