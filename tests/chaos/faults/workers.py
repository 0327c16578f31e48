"""What happens to worker processes: they are killed, frozen, stopped, and fight for tables."""

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from random import Random

from sqlalchemy.exc import DBAPIError

from sandbox.child import Child
from tests.chaos.arena import Arena
from tests.chaos.doomed_worker import Fate, Point
from tests.chaos.faults.kinds import kind
from tests.chaos.one_site import LARGE, is_frozen

REACH_SECONDS = 20.0  # until a doomed worker's point; where another fault holds it up, it isn't reached
TAKEN_OVER_SECONDS = 25.0  # 15 are promised, of a database that answers


def killed(arena: Arena, random: Random) -> str:
    """One after another at random moments, each replaced."""
    times = random.randint(1, 3)
    for _ in range(times):
        victim = random.choice(arena.workers)
        arena.workers.remove(victim)
        victim.kill()
        arena.start_worker()
        time.sleep(random.uniform(0.2, 1.8))  # from before its first lease until well into its work
    return f"{times} killed"


def all_killed(arena: Arena, random: Random) -> str:
    arena.kill_workers()
    time.sleep(random.uniform(0, 1))
    arena.start_worker()
    return "all killed"


def killed_at_point(arena: Arena, random: Random) -> str:
    point = _point(arena, random)
    doomed = _doomed(arena, random, point, Fate.KILL)
    reached = _wait(lambda: not doomed.running, REACH_SECONDS)
    if not reached:
        doomed.kill()
    arena.start_worker()
    return f"killed at {point}" if reached else f"{point} wasn't reached"


def frozen(arena: Arena, random: Random) -> str:
    """All at once, for longer than the server keeps a lock of those who are silent; then they wake up."""
    asleep = list(arena.workers)
    for worker in asleep:
        worker.freeze()
    return f"{len(asleep)} frozen, {_wake_beside_successor(arena, random, asleep)}"


def frozen_at_point(arena: Arena, random: Random) -> str:
    point = _point(arena, random)
    doomed = _doomed(arena, random, point, Fate.FREEZE)
    arena.workers.append(doomed)
    if not _wait(lambda: is_frozen(doomed), REACH_SECONDS):
        arena.workers.remove(doomed)
        doomed.kill()
        arena.start_worker()
        return f"{point} wasn't reached"
    return f"frozen at {point}, {_wake_beside_successor(arena, random, [doomed])}"


def paused(arena: Arena, random: Random) -> str:
    """For less long than that: it keeps its locks."""
    victim = random.choice(arena.workers)
    seconds = random.uniform(0.2, 6)
    victim.freeze()
    time.sleep(seconds)
    victim.thaw()
    return f"one frozen for {seconds:.1f} s"


def stopped(arena: Arena, random: Random) -> str:
    """As by an upgrade."""
    victim = random.choice(arena.workers)
    arena.workers.remove(victim)
    code = victim.terminate()
    time.sleep(random.uniform(0, 0.5))
    arena.start_worker()
    return f"one stopped with {code}"


def fight(arena: Arena, random: Random) -> str:
    """Two or three start at the same moment, for the same tables; then all but one are killed."""
    arena.kill_workers()
    many = random.randint(2, 3)
    for _ in range(many):
        arena.start_worker()
    time.sleep(random.uniform(1, 3))
    random.shuffle(arena.workers)
    for victim in arena.workers[1:]:
        victim.kill()
    del arena.workers[1:]
    return f"{many} fought"


def _point(arena: Arena, random: Random) -> Point:
    points = list(Point)
    if arena.site.settings.batch_size < LARGE:
        points.remove(Point.BETWEEN_FLAGS)  # batches are completed in one transaction
    if arena.site.settings.write_method == "insert_all":
        points = [point for point in points if point not in (Point.FINALIZED, Point.COUNT_KEPT)]  # of streams
    return random.choice(points)


def _doomed(arena: Arena, random: Random, point: Point, fate: Fate) -> Child:
    """A worker alone, with enough before it that it gets to its point."""
    nth = 1 if point in (Point.FINALIZED, Point.COUNT_KEPT, Point.BETWEEN_FLAGS) else random.randint(1, 3)
    arena.kill_workers()
    with suppress(DBAPIError):  # another fault's doing
        arena.site.insert("detection_logs", LARGE if point is Point.BETWEEN_FLAGS else 50)
    return arena.site.doomed(point, fate, nth)


def _wake_beside_successor(arena: Arena, random: Random, asleep: list[Child]) -> str:
    owners = arena.owners()
    began = time.monotonic()
    arena.start_worker()
    over = _wait(lambda: _all_new(owners, arena.owners()), TAKEN_OVER_SECONDS)
    seconds = time.monotonic() - began
    time.sleep(random.uniform(0, 1))
    for worker in asleep:
        worker.thaw()
    return f"taken over after {seconds:.1f} s" if over else "not taken over"


def _all_new(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    return bool(now) and all(now.get(table) != token for table, token in before.items())


def _wait(holds: Callable[[], bool], seconds: float) -> bool:
    """Whether it came to hold in so many seconds."""
    deadline = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return held


KINDS = [
    kind("worker killed", killed, "workers"),
    kind("all workers killed", all_killed, "workers"),
    kind("worker killed at a point", killed_at_point, "workers"),
    kind("workers frozen and taken over", frozen, "workers"),
    kind("worker frozen at a point", frozen_at_point, "workers"),
    kind("worker frozen for seconds", paused, "workers"),
    kind("worker stopped", stopped, "workers"),
    kind("workers fight", fight, "workers"),
]
