"""What is to happen to the calls of a service, as a test says it: to the next ones, one table's, or from now on."""

import threading
from dataclasses import dataclass
from typing import Generic, TypeVar

Fault = TypeVar("Fault")


@dataclass(frozen=True)
class _Rule(Generic[Fault]):
    fault: Fault
    table: str | None
    lasting: bool


class Faults(Generic[Fault]):
    """Of one kind of call; where nothing is said, a call goes through. `calls` keeps each call's table, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._rules: list[_Rule[Fault]] = []
        self._lock = threading.Lock()

    @property
    def left(self) -> int:
        """How many are still to happen; a lasting one always is."""
        return len(self._rules)

    def add(self, *faults: Fault, table: str | None = None) -> None:
        """Each of these happens to one call, in this order: the next ones of the table, or of any."""
        with self._lock:
            self._rules += [_Rule(fault, table, lasting=False) for fault in faults]

    def last(self, fault: Fault, table: str | None = None) -> None:
        """From now on this happens to every call of the table, or of any, until `end`."""
        with self._lock:
            self._rules.append(_Rule(fault, table, lasting=True))

    def end(self) -> None:
        """From now on every call goes through."""
        with self._lock:
            self._rules.clear()

    def take(self, table: str) -> Fault | None:
        """What happens to this call of the table."""
        with self._lock:
            self.calls.append(table)
            for place, rule in enumerate(self._rules):
                if rule.table in (None, table):
                    if not rule.lasting:
                        del self._rules[place]
                    return rule.fault
        return None
