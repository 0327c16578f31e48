"""Rows that are left aside for a while, so that one that BigQuery chokes on doesn't hold up those behind it."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from delivery.retry import PROBE_SECONDS
from delivery.rows import Key
from delivery.settle import RowRef
from delivery.trial import WITNESSES


@dataclass(frozen=True, slots=True)
class Case:
    """A row that was sent alone, again and again, and what came of it.

    `until`: when it is sent again, by a monotonic clock. `others_went`: others were sent since, and got through.
    """

    row: RowRef
    reason: str
    until: float
    others_went: bool = False


class SetAside:
    """Of one table: rows that fail alone, by an error that tells neither why nor, often, whether anything was written.

    As in a trial (`delivery.trial`) such a row is guilty only if others got through without it, and if it then fails
    alone once more; where row after row fails it is the service's trouble. Other than in a trial recovery lies between
    any two attempts. Only keys are kept: whether a row still waits, and what it holds, is read anew.

    A row is left aside once each time that it fails alone. Once it is heard again it is sent with others; if they
    fail for it, batches become smaller until it stands alone.

    Args:
        monotonic: seconds since some fixed point; it only goes forward.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._aside: dict[Key | None, Case] = {}
        self._heard: dict[Key | None, Case] = {}  # were left aside, and aren't any more
        self._guilty: dict[Key | None, Case] = {}
        self._failing: set[RowRef] = set()

    def accuse(self, row: RowRef, reason: str, *, refused: bool = False) -> bool:
        """The row failed alone. Returns whether it is the service's trouble as far as anybody can tell.

        `refused`: for sure, so that it is no use to go on with others before there are some to be sent with it.
        """
        case = self._aside.pop(row.key, None) or self._heard.pop(row.key, None)
        if case is not None and case.others_went:
            self._guilty[row.key] = replace(case, row=row, reason=reason)
            return False
        if refused:
            self._heard[row.key] = Case(row, reason, self._monotonic())
            return True
        self._aside[row.key] = Case(row, reason, self._monotonic() + PROBE_SECONDS)
        if sum(not case.others_went for case in (*self._aside.values(), *self._heard.values())) < WITNESSES:
            return False
        self._aside.clear()
        self._heard.clear()
        return True

    def settled(self, keys: Collection[Key | None], *, arrived: bool) -> None:
        """These rows are done with. `arrived`: they were sent after all that was accused until now, and got through."""
        self._acquit(keys)
        if arrived:
            self._aside = _others_went(self._aside)
            self._heard = _others_went(self._heard)

    def take_guilty(self, there: Collection[Key | None]) -> list[Case]:
        """Those to be failed now, recovery having found that they aren't in BigQuery; these are."""
        self._acquit(there)
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

    @property
    def next_in(self) -> float:
        """In how many seconds the first of the cases is to be heard again."""
        return max(0.0, min(case.until for case in self._aside.values()) - self._monotonic())

    def hear(self) -> tuple[RowRef, ...]:
        """Leave those aside no longer whose time has come; these may be found again."""
        now = self._monotonic()
        due = {key: case for key, case in self._aside.items() if case.until <= now}
        self._aside = {key: case for key, case in self._aside.items() if key not in due}
        self._heard |= due
        return tuple(RowRef(case.row.key) for case in due.values())

    def _acquit(self, keys: Iterable[Key | None]) -> None:
        for key in keys:
            self._aside.pop(key, None)
            self._heard.pop(key, None)


def _others_went(cases: dict[Key | None, Case]) -> dict[Key | None, Case]:
    return {key: replace(case, others_went=True) for key, case in cases.items()}
