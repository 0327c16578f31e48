"""A history: bytes, each of which decides one step, and what becomes of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from unittest import mock

import pykka
import structlog

from actors import room, table_owner
from delivery import complete
from tests.simulation.check import check_end
from tests.simulation.steps import STEPS
from tests.simulation.threads import Inbox
from tests.simulation.violation import Violation
from tests.simulation.world import Past, Setting, World

SETTINGS = [
    Setting(past, streams, named, repeated, late, both)
    for past, streams in product(Past, (True, False))
    for named, repeated, late, both in product((True, False), (True, False), (True, False), (False, True))
]


@contextmanager
def small_world() -> Iterator[None]:
    """What the code does in hundreds it does in twos and threes here; it logs nothing, and knows no threads."""
    with (
        mock.patch.object(structlog, "get_logger", _silent),  # a Mock would remember every call
        mock.patch.object(pykka.ThreadingActor, "_create_actor_inbox", staticmethod(Inbox)),
        mock.patch.object(complete, "CHUNK", 2),
        mock.patch.object(room, "PAGE_ROWS", 3),
        mock.patch.object(table_owner, "STANDBY_SECONDS", 10.0),
    ):
        yield


class _Silence:
    """A logger."""

    def bind(self, **fields: object) -> "_Silence":
        return self

    def info(self, event: str, **fields: object) -> None: ...

    warning = error = debug = info


def _silent(*_: object) -> _Silence:
    return _Silence()


@dataclass
class Run:
    """What became of a history."""

    steps: int
    violation: str | None
    events: list[str]

    @property
    def is_lost_or_twice(self) -> bool:
        """A row is, or is said to be there and isn't; else it may only be late."""
        return self.violation is not None and "in BigQuery" in self.violation


def run(decisions: bytes, setting: Setting, *, tables: int = 1, told: bool = False) -> Run:
    """Let the history happen, all of it to the first of so many tables. To be called in a `small_world`."""
    world = World(setting, tables=tables, told=told)
    violation = None
    try:
        for decision in decisions:
            step = STEPS[decision % len(STEPS)]
            if decision:
                world.say(step.words)
            step.happen(world)
        world.check()
        world.demand_that_others_go_on()
        world.heal()
        for site in world.sites:
            if (wrong := check_end(site)) is not None:
                raise Violation(wrong)
    except Violation as found:
        violation = str(found)
        world.say(violation)
    finally:
        world.end()
    return Run(len(decisions), violation, world.events or [])


def decided(decisions: bytes, setting: Setting, tables: int = 1) -> list[str]:
    """The history in words."""
    return [str(setting), *run(decisions, setting, tables=tables, told=True).events]
