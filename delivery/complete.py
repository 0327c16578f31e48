"""Complete a batch that BigQuery has: flags and items, in short steps that can be repeated.

Fact 5 of docs/exactly-once.md.
"""

from collections.abc import Callable, Iterator
from functools import partial

from delivery.ledger import BatchState, Transaction
from delivery.rows import Key

CHUNK = 1500  # rows flagged in one transaction: some tens of milliseconds, while nobody is there to wait for it
GENTLE_CHUNK = 50  # while others are there, who may wait for the processor, or the disk, until it is done

Step = Callable[[Transaction], None]


def steps(batch_id: int, keys: tuple[Key, ...], chunk: int = CHUNK) -> Iterator[Step]:
    """What is left to do once BigQuery has the batch, in order; each step is one transaction.

    A batch of up to `chunk` rows is completed in one.
    """
    if len(keys) <= chunk:
        yield partial(_all_at_once, batch_id=batch_id, keys=keys)
        return
    yield partial(_keep_answer, batch_id=batch_id)
    for start in range(0, len(keys), chunk):
        yield partial(_flag, keys=keys[start : start + chunk])
    yield partial(_complete, batch_id=batch_id, rows=len(keys))


def _all_at_once(tx: Transaction, batch_id: int, keys: tuple[Key, ...]) -> None:
    _keep_answer(tx, batch_id)
    _flag(tx, keys)
    _complete(tx, batch_id, len(keys))


def _flag(tx: Transaction, keys: tuple[Key, ...]) -> None:
    tx.set_flags(keys)


def _keep_answer(tx: Transaction, batch_id: int) -> None:
    # False where a repeated step, or recovery, has kept it already.
    tx.set_state(batch_id, BatchState.APPENDED, was=BatchState.BEGUN)


def _complete(tx: Transaction, batch_id: int, rows: int) -> None:
    if tx.set_state(batch_id, BatchState.COMPLETED, was=BatchState.APPENDED):
        tx.complete_items(batch_id)
        tx.count_synced(rows)
