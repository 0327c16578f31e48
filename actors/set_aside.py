"""Rows that are left aside for a while, so that one that BigQuery chokes on doesn't hold up those behind it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from delivery.rows import Key
from delivery.settle import RowRef
from delivery.trial import WITNESSES

PROOFS = 2  # so often others have to get through between two failures of a row
MOST = 10_000  # rows left aside at once; beyond that they are tried again from the first on


class Verdict(Enum):
    """What follows when a row has failed alone."""

    LEFT_ASIDE = "left aside"  # until it is heard
    GUILTY = "guilty"  # unless recovery finds it in BigQuery
    SERVICES = "the service's"  # trouble, as far as anybody can tell; the row is left aside all the same


@dataclass(frozen=True, slots=True)
class Case:
    """A row that failed alone, and why.

    `others_went`: others got through since. `proofs`: how often they did before, each time between two of its failures.
    `is_due`: it has been left aside for long enough.
    """

    row: RowRef
    reason: str
    proofs: int = 0
    others_went: bool = False
    is_due: bool = False


class SetAside:
    """Of one table: rows that fail alone, by an error that doesn't tell why.

    As in a trial (`delivery.trial`) such a row is guilty only if others got through without it, and if it then fails
    alone once more. Other than in a trial minutes lie between that, in which a service may fail, be well, and fail
    again: so it takes PROOFS of that, and what got through last speaks against one row alone, the first that is found
    guilty. Where rows fail in a row it is the service's trouble. Only keys are kept: whether a row still waits, and
    what it holds, is read anew.

    A row is left aside once each time that it fails alone, and not heard before others had their turn, though MOST
    bad rows follow one another. Once it is heard it is sent with others; if they fail for it, batches become smaller
    until it stands alone.

    Attributes:
        nothing_goes: as far as is known: row after row failed, and none has got through since.
    """

    def __init__(self) -> None:
        self._aside: dict[Key | None, Case] = {}
        self._heard: dict[Key | None, Case] = {}  # were left aside, and aren't any more
        self._guilty: dict[Key | None, Case] = {}
        self._failing: set[RowRef] = set()
        self._in_a_row = 0  # rows that failed alone since something arrived, or since the service was blamed last
        self.nothing_goes = False

    def accuse(self, row: RowRef, reason: str) -> Verdict:
        """The row failed alone."""
        case = self._aside.pop(row.key, None) or self._heard.pop(row.key, None)
        proofs = case.proofs + case.others_went if case is not None and case.row == row else 0
        if proofs >= PROOFS:
            self._guilty[row.key] = Case(row, reason)
            self._aside = _others_went(self._aside, False)
            self._heard = _others_went(self._heard, False)
            return Verdict.GUILTY
        if len(self._aside) >= MOST:
            self._heard |= self._aside
            self._aside.clear()
        self._aside[row.key] = Case(row, reason, proofs)
        self._in_a_row += 1
        if self._in_a_row < WITNESSES:
            return Verdict.LEFT_ASIDE
        self._in_a_row = 0
        self.nothing_goes = True
        return Verdict.SERVICES

    def arrived(self, rows: Iterable[RowRef]) -> tuple[RowRef, ...]:
        """These rows were sent after all that was accused until now, and got through. Returns those to be heard now."""
        for row in rows:
            self._heard.pop(row.key, None)
        self._aside = _others_went(self._aside, True)
        self._heard = _others_went(self._heard, True)
        self._in_a_row = 0
        self.nothing_goes = False
        return self._hear([key for key, case in self._aside.items() if case.is_due])

    def take_guilty(self, there: Collection[Key | None]) -> list[Case]:
        """Those to be failed now, recovery having found that they aren't in BigQuery; these are."""
        for key in there:
            self._aside.pop(key, None)
            self._heard.pop(key, None)
        guilty = [case for key, case in self._guilty.items() if key not in there]
        self._guilty.clear()
        self._failing = {case.row for case in guilty}
        return guilty

    def failed(self, settled: Collection[RowRef]) -> tuple[RowRef, ...]:
        """Of settled rows those that were left aside, and may be found again by their keys: one may be retried."""
        for row in settled:
            if (case := self._heard.get(row.key)) is not None and case.row == row:
                del self._heard[row.key]  # whatever became of it: if it comes again it is another matter
        done = self._failing.intersection(settled)
        self._failing -= done
        return tuple(RowRef(row.key) for row in done if row.item is not None)

    @property
    def cases(self) -> list[Case]:
        """Those to be left aside."""
        return list(self._aside.values())

    def is_due(self, key: Key | None) -> tuple[RowRef, ...]:
        """This row was left aside for long enough. Returns whether it is to be heard now."""
        if (case := self._aside.get(key)) is None:
            return ()
        self._aside[key] = replace(case, is_due=True)
        return self._hear([key] if case.others_went else [])

    def hear_all(self) -> tuple[RowRef, ...]:
        """None of those that were found instead has failed, for a while: leave none aside any longer."""
        return self._hear(list(self._aside))

    def _hear(self, keys: Collection[Key | None]) -> tuple[RowRef, ...]:
        for key in keys:
            self._heard[key] = self._aside.pop(key)
        return tuple(RowRef(key) for key in keys)


def _others_went(cases: dict[Key | None, Case], went: bool) -> dict[Key | None, Case]:
    return {key: replace(case, others_went=went) for key, case in cases.items()}
