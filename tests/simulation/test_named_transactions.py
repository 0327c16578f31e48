"""Histories of transactions that the database refuses in the middle: while a batch is completed, and anywhere else."""

from collections import Counter

import pytest

from delivery import complete
from delivery.ledger import BatchState
from tests.simulation.named import TWO_INTERVALS, Site, a_bit_of_everything

COMPLETING = {"set_state", "set_flags", "complete_items", "count_synced"}  # what a completing transaction does
REASONS = {
    "lock wait timeout": "Lock wait timeout exceeded; try restarting transaction (1205)",
    "deadlock": "Deadlock found when trying to get lock; try restarting transaction (1213)",
    "full disk": "The table 'bq_sync_batch' is full (1114)",
}


class Refusing:
    """Refuses the n-th operation of these names, so many times."""

    def __init__(self, names: set[str] | None, number: int, times: int, reason: str) -> None:
        self._names = names
        self._number = number
        self._left = times
        self._reason = reason
        self.seen = Counter[str]()

    def __call__(self, name: str) -> str | None:
        if self._names is not None and name not in self._names:
            return None
        self.seen[name] += 1
        if self.seen.total() > self._number and self._left:
            self._left -= 1
            return self._reason
        return None


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("times", [1, 5])
@pytest.mark.parametrize("chunk", [500, 1])  # all in one transaction; or each row in one of its own
def test_a_completing_transaction_is_refused_at_each_of_its_operations(
    reason: str, times: int, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(complete, "CHUNK", chunk)
    undisturbed = completing_one(Refusing(COMPLETING, 0, 0, ""))
    for number in range(undisturbed.seen.total()):
        completing_one(Refusing(COMPLETING, number, times, REASONS[reason]))


def completing_one(refusing: Refusing) -> Refusing:
    """Two rows, one with an item. In the end everything says so once, and nobody had to be recovered."""
    site = Site()
    site.db.add_rows(1, 2)
    site.db.add_item(2)
    site.surroundings.operation_fails = refusing
    site.advance(2 * TWO_INTERVALS)
    site.check()
    assert site.db.synced_rows == 2
    assert set(site.db.states()) == {BatchState.COMPLETED}
    assert len(site.bigquery.streams) == 1, "recovery was needed"
    assert site.db.state == "running"
    return refusing


def test_any_transaction_is_refused_at_each_of_its_operations() -> None:
    operations = 0
    refusing = Refusing(None, 0, 0, "")
    while operations <= refusing.seen.total():
        site = a_bit_of_everything()
        refusing = Refusing(None, operations, 1, REASONS["deadlock"])
        site.surroundings.operation_fails = refusing
        site.advance(4 * TWO_INTERVALS)
        site.check()
        operations += 1


def test_a_full_disk_for_hours_loses_nothing_and_says_why() -> None:
    site = a_bit_of_everything()
    refusing = Refusing({"add_batch", *COMPLETING}, 0, 10**6, REASONS["full disk"])
    site.surroundings.operation_fails = refusing
    site.advance(6 * 3600)
    assert REASONS["full disk"] in str(site.db.reason)
    assert refusing.seen.total() < 6 * 3600 / 7, "it isn't asked more often than every 7.5 s in the long run"
    site.surroundings.operation_fails = lambda _: None
    site.advance(TWO_INTERVALS)
    site.check()
