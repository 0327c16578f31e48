"""Begin a batch before it is sent, and refuse it when BigQuery did: facts 2 and 3 of docs/exactly-once.md."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from delivery.ledger import BatchState, ItemStatus, Transaction
from delivery.rows import Outgoing, SentRows


@dataclass(frozen=True, slots=True)
class NewStream:
    """A stream that isn't in the ledger yet: its row stands in the transaction of its first batch."""

    name: str


@dataclass(frozen=True, slots=True)
class KnownStream:
    """A stream that was used before, and the batch that was begun on it last."""

    id: int
    last_batch: int


class DatabaseWentBackError(Exception):
    """The ledger has forgotten what it said of a batch: the database was restored while we ran. Nothing was written."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch that stands in the ledger: `outgoing` has the rows in it, `left_out` the places of those that aren't."""

    batch_id: int
    stream: KnownStream | None
    outgoing: Outgoing
    left_out: tuple[int, ...]


def begin(
    tx: Transaction,
    outgoing: Outgoing,
    stream: NewStream | KnownStream | None,
    offset: int | None,
    completed: Collection[int] = (),
) -> Begun | None:
    """Write what is about to be sent. Rows whose item is no longer pending are left out: somebody else decided them.

    Args:
        stream: None, and no offset, where it is written without streams.
        completed: the batches that were completed since it was asked last; the ledger must hold them so.

    Returns:
        None where no row is left; nothing was written then, the stream neither.

    Raises:
        DatabaseWentBackError: rows that wait now may have been sent before. Fact 8.
    """
    if isinstance(stream, KnownStream) and not tx.has_batch(stream.last_batch, stream.id):
        raise DatabaseWentBackError("the ledger lacks the last batch of the stream: the database went back in time")
    _demand(tx, completed)
    kept, left_out = _still_wanted(tx, outgoing)
    if not len(kept):
        return None
    if stream is None:
        return Begun(_enter(tx, kept, BatchState.BEGUN, None, None), None, kept, left_out)
    stream_id = tx.add_stream(stream.name) if isinstance(stream, NewStream) else stream.id
    batch_id = _enter(tx, kept, BatchState.BEGUN, stream_id, offset)
    return Begun(batch_id, KnownStream(stream_id, batch_id), kept, left_out)


def begin_found(tx: Transaction, outgoing: Outgoing, completed: Collection[int] = ()) -> Begun | None:
    """Write rows that a look-up found in BigQuery as an appended batch, to be completed like any other.

    Args:
        completed: as for `begin`.

    Raises:
        DatabaseWentBackError: as by `begin`.
    """
    _demand(tx, completed)
    kept, left_out = _still_wanted(tx, outgoing)
    if not len(kept):
        return None
    return Begun(_enter(tx, kept, BatchState.APPENDED, None, None), None, kept, left_out)


def begin_load(tx: Transaction, rows: SentRows, stream: NewStream, completed: Collection[int] = ()) -> int:
    """Write that a load job is to take these rows, a stream that takes one batch; the batch's id.

    Args:
        completed: as for `begin`.

    Raises:
        DatabaseWentBackError: as by `begin`.
    """
    _demand(tx, completed)
    return tx.add_batch(BatchState.BEGUN, tx.add_stream(stream.name), 0, rows)


def refuse(tx: Transaction, batch_id: int, outgoing: Outgoing, guilty: Mapping[int, str]) -> None:
    """Keep that BigQuery wrote nothing of the batch, and fail the rows (by place: reason) that it can't take.

    One transaction, before the batch's offset is used again. The other rows are free to be sent anew.

    Raises:
        DatabaseWentBackError: the batch is in hand, and the ledger doesn't have it so. Fact 8.
    """
    if not tx.set_state(batch_id, BatchState.REFUSED, was=BatchState.BEGUN):
        raise DatabaseWentBackError(f"the ledger lacks batch {batch_id} as begun: the database went back in time")
    tx.free_items(batch_id)
    for place, reason in guilty.items():
        item = outgoing.items[place]
        if item is None:
            tx.fail_row(outgoing.rows.rows[place].key, reason)
        else:
            tx.settle_items([item], ItemStatus.FAILED, reason)


def _demand(tx: Transaction, completed: Collection[int]) -> None:
    if completed and not tx.are_completed(completed):
        raise DatabaseWentBackError(
            "the ledger takes a completed batch for an open one: the database went back in time"
        )


def _still_wanted(tx: Transaction, outgoing: Outgoing) -> tuple[Outgoing, tuple[int, ...]]:
    spelled = tx.lock_pending([item for item in outgoing.items if item is not None])
    keep = [place for place, item in enumerate(outgoing.items) if item is None or item in spelled]
    for place in keep:
        item, key = outgoing.items[place], outgoing.rows.rows[place].key
        if item is not None and spelled[item] != str(key):
            tx.respell(item, key)
    if len(keep) == len(outgoing):
        return outgoing, ()
    kept = frozenset(keep)
    return outgoing.take(keep), tuple(place for place in range(len(outgoing)) if place not in kept)


def _enter(tx: Transaction, outgoing: Outgoing, state: BatchState, stream_id: int | None, offset: int | None) -> int:
    batch_id = tx.add_batch(state, stream_id, offset, outgoing.rows)
    tx.tie([item for item in outgoing.items if item is not None], batch_id)
    return batch_id
