"""What is to be done with a found row or item: pure, a branch for each line of the table in docs/exactly-once.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from delivery.ledger import ItemStatus

PATIENCE_SECONDS = 600.0  # how long an item waits for its row: the row's transaction may still be open


class RowState(Enum):
    """What the source row says."""

    WAITING = "waiting"  # its flag is FALSE
    SYNCED = "synced"  # TRUE: BigQuery has it
    HISTORY = "history"  # NULL: there before bq-sync came
    UNFLAGGED = "unflagged"  # it is there; its table has no flag
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Item:
    """A queue item, as far as deciding needs it. `sent`: it was completed and names its batch."""

    id: int
    operation: str
    status: ItemStatus
    sent: bool = False
    resend: bool = False
    has_payload: bool = False
    age_seconds: float = 0.0


class Verdict(Enum):
    """What triage says."""

    SEND = "send"
    WAIT = "wait"  # not now; it is found again
    FLAG = "flag"  # BigQuery has the row through an item: its flag is set, nothing is sent
    DUPLICATE = "duplicate"  # BigQuery has the row: the item is completed, nothing is sent
    GONE = "gone"  # the item's row isn't there: completed; the flag would find it
    NOT_FOUND = "not found"  # the item's row isn't there, and no flag would find it: failed
    ABANDON = "abandon"  # an operation that the destination can't take


_UNDECIDED = frozenset({ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED, ItemStatus.ABANDONED})


def triage_row(inserts: Sequence[Item]) -> Verdict:
    """A row whose flag is FALSE, with all INSERT items of its key."""
    if any(item.status in _UNDECIDED for item in inserts):
        return Verdict.WAIT  # the item decides
    if any(item.sent for item in inserts):
        return Verdict.FLAG
    return Verdict.SEND


def triage_item(item: Item, row: RowState, inserts: Sequence[Item], *, in_flight: bool, has_flag: bool) -> Verdict:
    """A pending item, with the state of its row and all INSERT items of its key (itself may be among them).

    Args:
        in_flight: the key is found and not settled yet.
        has_flag: the table has a flag, so that its rows are found without items.
    """
    if item.operation != "INSERT":
        return Verdict.ABANDON  # every destination is append-only
    others = [other for other in inserts if other.id != item.id]
    if in_flight or any(_goes_first(other, item) for other in others):
        return Verdict.WAIT
    if not item.resend and (row is RowState.SYNCED or any(other.sent for other in others)):
        return Verdict.DUPLICATE
    if not item.has_payload and row is RowState.ABSENT:
        if item.age_seconds < PATIENCE_SECONDS:
            return Verdict.WAIT
        return Verdict.GONE if has_flag else Verdict.NOT_FOUND
    return Verdict.SEND


def _goes_first(other: Item, item: Item) -> bool:
    return other.status is ItemStatus.SYNCING or (other.status is ItemStatus.PENDING and other.id < item.id)
