"""Rows that are left aside for a while, so that one that BigQuery chokes on doesn't hold up those behind it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from enum import Enum

from delivery.rows import Key
from delivery.settle import RowRef
from delivery.trial import WITNESSES


class Verdict(Enum):
    """What follows when a row has failed alone."""

    LEFT_ASIDE = "left aside"  # until it is heard
    GUILTY = "guilty"  # unless recovery finds it in BigQuery
    SERVICES = "the service's"  # trouble, as far as anybody can tell


@dataclass(frozen=True, slots=True)
class Case:
    """A row that was sent alone, again and again, and what came of it; `others_went`: others got through since."""

    row: RowRef
    reason: str
    others_went: bool = False


class SetAside:
    """Of one table: rows that fail alone, by an error that tells neither why nor, often, whether anything was written.

    As in a trial (`delivery.trial`) such a row is guilty only if others got through without it, and if it then fails
    alone once more; where they fail in a row it is the service's trouble. Other than in a trial recovery lies between
    any two attempts. Only keys are kept: whether a row still waits, and what it holds, is read anew.

    A row is left aside once each time that it fails alone. Once it is heard it is sent with others; if they fail for
    it, batches become smaller until it stands alone.
    """

    def __init__(self) -> None:
        self._aside: dict[Key | None, Case] = {}
        self._heard: dict[Key | None, Case] = {}  # were left aside, and aren't any more
        self._guilty: dict[Key | None, Case] = {}
        self._failing: set[RowRef] = set()
        self._in_a_row = 0  # rows left aside since something arrived

    def accuse(self, row: RowRef, reason: str, *, refused: bool = False) -> Verdict:
        """The row failed alone.

        `refused`: for sure, so that it is no use to go on with others before there are some to be sent with it.
        """
        case = self._aside.pop(row.key, None) or self._heard.pop(row.key, None)
        if case is not None and case.others_went:
            self._guilty[row.key] = Case(row, reason)
            return Verdict.GUILTY
        if refused:
            self._heard[row.key] = Case(row, reason)
            return Verdict.SERVICES
        self._aside[row.key] = Case(row, reason)
        self._in_a_row += 1
        if self._in_a_row < WITNESSES:
            return Verdict.LEFT_ASIDE
        self._aside.clear()
        self._heard.clear()
        self._in_a_row = 0
        return Verdict.SERVICES

    def settled(self, rows: Iterable[RowRef], *, arrived: bool) -> None:
        """These rows are done with. `arrived`: they were sent after all that was accused until now, and got through."""
        for row in rows:
            if (case := self._heard.get(row.key)) is not None and case.row == row:
                del self._heard[row.key]
        if arrived:
            self._in_a_row = 0
            self._aside = _others_went(self._aside)
            self._heard = _others_went(self._heard)

    def take_guilty(self, there: Collection[Key | None]) -> list[Case]:
        """Those to be failed now, recovery having found that they aren't in BigQuery; these are."""
        for key in there:
            self._aside.pop(key, None)
            self._heard.pop(key, None)
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
        return list(self._aside.values())

    def hear(self, key: Key | None) -> bool:
        """Leave this row aside no longer. Returns whether it was."""
        case = self._aside.pop(key, None)
        if case is None:
            return False
        self._heard[key] = case
        return True


def _others_went(cases: dict[Key | None, Case]) -> dict[Key | None, Case]:
    return {key: replace(case, others_went=True) for key, case in cases.items()}
