"""What verification found: named by id and column, never by value."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from delivery.both_sides import Day, Span
from delivery.day_counts import DayDifference
from delivery.rows import Key


class Damage(StrEnum):
    """What can be wrong with a row."""

    MISSING = "missing"  # it is marked as sent, but BigQuery doesn't have it
    DUPLICATE = "duplicate"  # BigQuery has it more than once
    DIFFERENT = "different"  # BigQuery has other values
    EXTRA = "extra"  # BigQuery has a row of this table's that isn't here


@dataclass(frozen=True, slots=True)
class Damaged:
    """A row that is damaged.

    Attributes:
        id: what it is known by in BigQuery; of an extra row it may be no id that the table could have made.
        key: its key here, if that can be told.
        columns: of a different row, BigQuery's columns that differ.
    """

    damage: Damage
    id: tuple[object, ...]
    key: Key | None
    day: Day
    columns: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class ReusedKeys:
    """New rows get keys that BigQuery has rows of already: such a row would be taken for the former one."""

    next: int
    highest: int


@dataclass(slots=True)
class VerifyReport:
    """Of one table; filled in while the comparison goes on.

    Attributes:
        rows_here: source rows of the span, whatever their state; `waiting` of them aren't sent yet, `history` never
            were, `unsent` are of a table without flag, and nothing says that they were sent.
        rows_there: rows that BigQuery has of the span.
        unreadable: rows that are marked as sent, but couldn't be sent as they are now, so that nothing is compared.
        days: that have other counts on both sides.
        to_compare, compared: rows of which the values are, and were, compared.
        damaged: every row in which something was found.
        expired: rows that BigQuery has dropped with their partitions since; they were there, by the ledger.
        asked_again: rows that were missing and that the worker was asked to send again.
        bytes: that BigQuery read, by its own estimate.
        empty: the table has no row at all here, so that BigQuery wasn't asked.
        problem: why the comparison ended before its end.
    """

    table: str
    span: Span
    started_at: datetime
    deep: bool = False
    rows_here: int = 0
    waiting: int = 0
    history: int = 0
    unsent: int = 0
    rows_there: int = 0
    unreadable: set[Key] = field(default_factory=set)
    to_compare: int = 0
    days: list[DayDifference] = field(default_factory=list)
    compared: int = 0
    expired: int = 0
    damaged: list[Damaged] = field(default_factory=list)
    reused: ReusedKeys | None = None
    asked_again: int = 0
    bytes: int = 0
    empty: bool = False
    problem: str | None = None

    @property
    def counts(self) -> Counter[Damage]:
        return Counter(row.damage for row in self.damaged)

    @property
    def equal(self) -> bool:
        """BigQuery has every row that it should have, once and with its values, as far as that was compared."""
        return self.problem is None and not self.damaged and not self.unreadable and self.reused is None

    def as_json(self) -> dict[str, object]:
        counts = self.counts
        return {
            "table": self.table,
            "equal": self.equal,
            "problem": self.problem,
            "deep": self.deep,
            "from": _text(self.span.first),
            "until": _text(self.span.last),
            "startedAt": f"{self.started_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "rowsHere": self.rows_here,
            "rowsInBigQuery": None if self.empty or self.problem else self.rows_there,
            "waiting": self.waiting,
            "history": self.history,
            "unsent": self.unsent,
            "compared": self.compared,
            "expired": self.expired,
            "unreadable": sorted(self.unreadable, key=lambda key: (isinstance(key, str), key)),
            "days": [day_as_json(day) for day in self.days],
            "counts": {damage.value: counts[damage] for damage in Damage},
            "rows": [_row(row) for row in self.damaged],
            "reusedIds": None if self.reused is None else {"next": self.reused.next, "highest": self.reused.highest},
            "askedAgain": self.asked_again,
            "bytesRead": self.bytes,
        }


def day_as_json(day: DayDifference) -> dict[str, object]:
    return {
        "day": _text(day.day),
        "here": day.here,
        "open": day.open,
        "inBigQuery": day.there,
        "doubled": day.doubled,
    }


def _row(row: Damaged) -> dict[str, object]:
    return {
        "damage": row.damage.value,
        "id": [value if value is None else str(value) for value in row.id],
        "key": row.key,
        "day": _text(row.day),
        "columns": list(row.columns),
    }


def _text(day: Day) -> str | None:
    return None if day is None else day.isoformat()
