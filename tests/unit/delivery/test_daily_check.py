"""When the daily check runs, what it keeps, and that it never stands in the way of what follows it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from delivery.both_sides import Bounds, DayCount, FoundRows, KeyPage, Reading, Scope, Span
from delivery.daily_check import DailyCheck
from delivery.errors import DestinationError, ErrorClass, Failure
from delivery.lease import Lease
from delivery.rows import Key
from delivery.source import SourceError, SourceRow
from delivery.steps import Gentle, run
from delivery.triage import RowState

NOW = datetime(2026, 11, 8, 3, tzinfo=UTC)
YESTERDAY = NOW - timedelta(days=1)
T1: Scope = ("T1",)


@dataclass
class Sides:
    """Both sides of a table with one row, which both have, and where checks of it are kept."""

    here: Exception | None = None  # what the database answers instead
    there: Exception | None = None
    last_at: datetime | None = None
    kept: list[Mapping[str, object]] = field(default_factory=list)

    def bounds(self, span: Span) -> Bounds | None:
        return None

    def keys(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        if self.here is not None:
            raise self.here
        return KeyPage([1], None)

    def keys_in_order(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        raise NotImplementedError

    def next_key(self) -> int | None:
        return None

    def rows(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]:
        return {key: SourceRow(RowState.SYNCED, (key,)) for key in keys}

    def last(self) -> datetime | None:
        return self.last_at

    def keep(self, lease: Lease, result: Mapping[str, object]) -> None:
        self.kept.append(result)

    def check(self, now: datetime = NOW) -> list[Mapping[str, object]]:
        """What one run keeps."""
        check = DailyCheck(self, self, There(self), _read, self, 7, None)
        before = len(self.kept)
        run(check.steps(Lease("logs", "token", 1), now, Gentle(lambda: 0.0, hurry=True)), lambda _seconds: None)
        return self.kept[before:]


@dataclass
class There:
    sides: Sides

    def counts(self, span: Span, scopes: Collection[Scope]) -> Sequence[DayCount]:
        if self.sides.there is not None:
            raise self.sides.there
        return [DayCount(YESTERDAY.date(), T1, 1, 1)]

    def rows(self, span: Span, scopes: Collection[Scope]) -> FoundRows:
        raise NotImplementedError

    def counts_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        return 0

    def rows_bytes(self, span: Span, scopes: Collection[Scope]) -> int:
        return 0


def _read(values: Sequence[object]) -> Reading | None:
    return Reading(1, ("det_1", "T1"), T1, YESTERDAY)


def _refused(error_class: ErrorClass) -> DestinationError:
    return DestinationError(Failure(error_class, "no", definite=True))


def test_it_runs_once_a_day() -> None:
    (kept,) = Sides().check()
    assert (kept["daysThatDiffer"], kept["rowsHere"], kept["from"], kept["until"]) == (0, 1, "2026-11-01", "2026-11-07")
    assert Sides(last_at=NOW - timedelta(hours=19)).check() == []
    assert len(Sides(last_at=NOW - timedelta(hours=21)).check()) == 1
    assert len(Sides(last_at=NOW + timedelta(days=300)).check()) == 1  # by a clock that was wrong


@pytest.mark.parametrize(
    "sides", [Sides(here=SourceError("no answer")), Sides(there=_refused(ErrorClass.TRANSIENT))], ids=["here", "there"]
)
def test_while_a_side_is_away_nothing_is_kept_and_what_follows_goes_on(sides: Sides) -> None:
    assert sides.check() == []


def test_why_nothing_can_be_compared_is_kept() -> None:
    (kept,) = Sides(there=_refused(ErrorClass.BLOCKED)).check()
    assert kept["problem"] == "no"
