"""What a kind of fault is."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from tests.chaos.arena import Arena

# Strikes, lasts, and heals; returns what it did, in a few words for the round's line.
Strike = Callable[[Arena, Random], str]

EVERYTHING = frozenset({"workers", "database", "bigquery", "lines", "clock"})


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        touches: what it takes hold of: two faults at once have nothing of it in common.
        needs: what it isn't possible without, of that which an arena may lack.
    """

    name: str
    strike: Strike
    touches: frozenset[str]
    needs: str | None = None


def kind(name: str, strike: Strike, *touches: str, needs: str | None = None) -> Kind:
    return Kind(name, strike, frozenset(touches) or EVERYTHING, needs)
