"""Rows that are left aside for a while, so that one that BigQuery chokes on doesn't hold up those behind it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from delivery.rows import Key
from delivery.settle import RowRef
from delivery.trial import WITNESSES


@dataclass(frozen=True, slots=True)
class Case:
    """A row that was sent alone, again and again, and what came of it; `others_went`: others got through since."""

    row: RowRef
    reason: str
    others_went: bool = False


class SetAside:
    """Of one table: rows that fail alone, by an error that tells neither why nor whether anything was written.

    As in a trial (`delivery.trial`) such a row is guilty only if others got through without it, and if it then fails
    alone once more; where row after row fails it is the service's trouble. Other than in a trial recovery lies between
    any two attempts. Only keys are kept: whether a row still waits, and what it holds, is read anew.
    """

    def __init__(self) -> None:
        self._cases: dict[Key | None, Case] = {}
        self._guilty: dict[Key | None, Case] = {}
        self._failing: set[RowRef] = set()

    def accuse(self, row: RowRef, reason: str) -> bool:
        """The row failed alone. Returns whether it is the service's trouble as far as anybody can tell."""
        case = self._cases.pop(row.key, None)
        if case is not None and case.others_went:
            self._guilty[row.key] = Case(row, reason)
            return False
        self._cases[row.key] = Case(row, reason)
        if sum(not case.others_went for case in self._cases.values()) < WITNESSES:
            return False
        self._cases.clear()
        return True

    def got_through(self, keys: Collection[Key | None]) -> None:
        """BigQuery has these rows."""
        if not keys:
            return
        for key in keys:
            self._cases.pop(key, None)
        self._cases = {key: replace(case, others_went=True) for key, case in self._cases.items()}

    def take_guilty(self, there: Collection[Key | None]) -> list[Case]:
        """Those to be failed now, recovery having found that they aren't in BigQuery; these are."""
        self.got_through(there)
        guilty = [case for key, case in self._guilty.items() if key not in there]
        self._guilty.clear()
        self._failing = {case.row for case in guilty}
        return guilty

    def failed(self, settled: Iterable[RowRef]) -> tuple[RowRef, ...]:
        """Of settled rows those that were left aside, and may be found again by their keys: one may be retried."""
        done = self._failing.intersection(settled)
        self._failing -= done
        return tuple(RowRef(row.key) for row in done if row.item is not None)

    @property
    def cases(self) -> list[Case]:
        """Those to be left aside."""
        return list(self._cases.values())
