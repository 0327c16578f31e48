"""Decide rows and items without sending them: every outcome that isn't the end of a batch."""

from collections.abc import Sequence
from enum import Enum
from typing import NamedTuple

from delivery.ledger import ItemStatus, Transaction
from delivery.rows import Key


class Outcome(Enum):
    """What becomes of a row that isn't sent."""

    FLAGGED = "flagged"  # BigQuery has it through an item: its flag is set
    COMPLETED = "completed"  # its item has nothing left to do
    FAILED = "failed"  # it can't be sent as it is
    ABANDONED = "abandoned"  # it will never be sent


_STATUS = {
    Outcome.COMPLETED: ItemStatus.COMPLETED,
    Outcome.FAILED: ItemStatus.FAILED,
    Outcome.ABANDONED: ItemStatus.ABANDONED,
}


class RowRef(NamedTuple):
    """A found row: by its key, by its queue item, or both. An item whose record id is no key has none."""

    key: Key | None
    item: int | None = None


def settle(tx: Transaction, rows: Sequence[RowRef], outcome: Outcome, reason: str | None) -> None:
    """Keep the outcome of these rows. Items that are no longer pending are left as they are."""
    if outcome is Outcome.FLAGGED:
        tx.set_flags([row.key for row in rows if row.key is not None])
        return
    spelled = tx.lock_pending([row.item for row in rows if row.item is not None])
    for row in rows:
        if row.item is None:
            if row.key is not None and outcome is Outcome.FAILED:
                tx.fail_row(row.key, reason or "")
        elif row.key is not None and row.item in spelled and spelled[row.item] != str(row.key):
            tx.respell(row.item, row.key)  # from now on it is found by its key
    tx.settle_items(list(spelled), _STATUS[outcome], reason)
