"""Which faults a round has."""

from collections.abc import Sequence
from random import Random

from tests.chaos.arena import Arena
from tests.chaos.faults import backups, bigquery, clock, database, lines, workers
from tests.chaos.faults.kinds import Kind

ALL = {
    kind.name: kind
    for kinds in (workers.KINDS, database.KINDS, bigquery.KINDS, lines.KINDS, clock.KINDS, backups.KINDS)
    for kind in kinds
}
TWO_AT_ONCE = 0.3  # the share of rounds with a second fault, that begins while the first one lasts


def possible(arena: Arena, chosen: Sequence[Kind]) -> list[Kind]:
    """Those of the chosen kinds that can be done here."""
    return [kind for kind in chosen if kind.needs not in arena.lacks]


def draw(random: Random, kinds: Sequence[Kind]) -> list[Kind]:
    """One fault, or two that don't get in each other's way."""
    drawn = [random.choice(kinds)]
    others = [kind for kind in kinds if not kind.touches & drawn[0].touches]
    if others and random.random() < TWO_AT_ONCE:
        drawn.append(random.choice(others))
    return drawn
