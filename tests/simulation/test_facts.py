"""Without any one of the eight facts of docs/exactly-once.md the simulation finds a history that breaks the promise."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from actors import sending, sync_marker
from actors.bq_writer import BqWriter
from actors.messages import AppendDone
from actors.sending import Sending
from database.durability import Durability
from delivery import complete, recovery
from delivery.begin import KnownStream, NewStream
from delivery.destination import AlreadyThere, Appended, AppendResult
from delivery.errors import LeaseLost, LedgerError
from delivery.position import Position
from delivery.recovery import Recovery
from delivery.retry import Attempts, Decision, TakeApart, decide
from tests.simulation import database
from tests.simulation.history import SETTINGS, decided, run, small_world
from tests.simulation.world import Past

MOST = 6000  # histories until a mutation must be found
SHRINKS = 400  # histories for making it short

Patch = pytest.MonkeyPatch


def anybody_may_write(patch: Patch) -> None:
    """1. It is asked for in SQL (`database.leases`), which the simulated database mirrors: there it isn't."""
    patch.setattr(database, "demand", lambda db, lease: None)


def sends_before_it_begins(patch: Patch) -> None:
    """2. A batch is written down once BigQuery has answered."""
    begin: Callable[..., None] = BqWriter._begin
    receive: Callable[..., None] = BqWriter.on_receive
    queue_up: Callable[..., None] = Sending._queue_up
    answers: dict[object, AppendResult] = {}  # by the actor that they are for

    def send_first(writer: Any, hand: Any, at: Position) -> None:
        def call() -> None:
            writer.actor_ref.tell(AppendDone(writer._destination.send(at.name, at.offset, hand.encoded), 0.0))

        writer._steps._background.run(call)

    def then_begin(writer: Any, message: object) -> None:
        if isinstance(message, AppendDone) and writer._begun is None and writer._hand is not None:
            answers[writer.actor_ref] = message.result
            begin(writer, writer._hand, writer._at)
        else:
            receive(writer, message)

    def go_on(sending: Any) -> None:
        if sending._actor in answers:
            sending.answered(answers.pop(sending._actor), 0.0)
        else:
            queue_up(sending)

    patch.setattr(BqWriter, "_begin", send_first)
    patch.setattr(BqWriter, "on_receive", then_begin)
    patch.setattr(Sending, "_queue_up", go_on)


def another_request_at_the_same_offset(patch: Patch) -> None:
    """3. What wasn't answered is sent again in halves."""

    def impatient(failure: Any, attempts: Attempts, rows: int, **how: Any) -> Decision:
        return decide(failure, attempts, rows, **how) if failure.definite else TakeApart(failure.reason)

    patch.setattr(sending, "decide", impatient)


def what_is_there_is_ours(patch: Patch) -> None:
    """4. The next owner goes on with a stream on which nothing is begun, and takes what is there for its own."""
    close: Callable[..., None] = Recovery._close
    ready: Callable[..., None] = BqWriter._ready
    answered: Callable[..., None] = Sending.answered

    def leaves_open(this: Recovery, stream: Any) -> None:
        with this.ledger.transaction(this.lease) as tx:
            begun = any(extent.state == "begun" for extent in tx.extents(stream.id))
        if begun:
            close(this, stream)

    def goes_on(writer: Any, hand: Any) -> None:
        if writer._at is None:
            with suppress(LedgerError, LeaseLost), writer._steps._ledger.transaction(writer._steps._lease) as tx:
                for stream in tx.open_streams()[-1:]:
                    extents = tx.extents(stream.id)
                    known = KnownStream(stream.id, max(extent.id for extent in extents))
                    writer._at = Position(NewStream(stream.name), known, recovery.ledger_end(extents))
        ready(writer, hand)

    def ours(this: Sending, result: AppendResult, seconds: float) -> None:
        answered(this, Appended() if isinstance(result, AlreadyThere) else result, seconds)

    patch.setattr(Recovery, "_close", leaves_open)
    patch.setattr(BqWriter, "_ready", goes_on)
    patch.setattr(Sending, "answered", ours)


def completed_before_the_flags(patch: Patch) -> None:
    """5. A batch is completed first, and its flags are set after."""

    def steps(batch_id: int, keys: Any, chunk: int) -> Iterator[complete.Step]:
        yield partial(complete._keep_answer, batch_id=batch_id)
        yield partial(complete._complete, batch_id=batch_id, rows=len(keys))
        yield partial(complete._flag, keys=keys)

    patch.setattr(sync_marker, "steps", steps)


def counts_without_finalizing(patch: Patch) -> None:
    """6. Recovery reads how many rows a stream has, and leaves it open to requests that are on their way."""

    def count(this: Any, stream: Any) -> int:
        return len(this.destination._table.streams.get(stream.name, ()))

    patch.setattr(Recovery, "_count", count)


def a_new_stream_is_used_at_once(patch: Patch) -> None:
    """7. Nothing waits until the row of a new stream must be on the disk."""
    patch.setattr(Durability, "new_stream_seconds", 0.0)


def a_count_says_nothing_of_the_past(patch: Patch) -> None:
    """8. A count above the ledger's end is taken for a good one."""
    patch.setattr(recovery, "ledger_end", lambda extents: 1_000_000)


WITHOUT = [
    (anybody_may_write, Past.NONE),
    (sends_before_it_begins, Past.NONE),
    (another_request_at_the_same_offset, Past.NONE),
    (what_is_there_is_ours, Past.POWER_CUT),
    (completed_before_the_flags, Past.NONE),
    (counts_without_finalizing, Past.NONE),
    (a_new_stream_is_used_at_once, Past.POWER_CUT),
    (a_count_says_nothing_of_the_past, Past.POWER_CUT),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("mutation", "past"), WITHOUT, ids=[f"{str(w[0].__doc__)[0]}-{w[0].__name__}" for w in WITHOUT]
)
def test_without_the_fact_a_history_breaks_the_promise(
    mutation: Callable[[Patch], None], past: Past, monkeypatch: Patch
) -> None:
    mutation(monkeypatch)
    setting = next(s for s in SETTINGS if s.past is past)
    tried: dict[bytes, bool] = {}
    most = MOST

    def breaks(decisions: bytes) -> bool:
        nonlocal most
        if decisions not in tried and len(tried) < most:
            tried[decisions] = run(decisions, setting).is_lost_or_twice
            if tried[decisions] and most == MOST:
                most = len(tried) + SHRINKS
        return tried.get(decisions, False)

    with small_world():
        try:
            found = hypothesis.find(
                st.binary(min_size=30, max_size=80),
                breaks,
                settings=settings(
                    max_examples=MOST,
                    derandomize=True,  # which histories it makes up is no matter of luck
                    database=None,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                    phases=[Phase.generate, Phase.shrink],
                ),
            )
        except NoSuchExample:
            pytest.fail(f"{len(tried)} histories, and none of them breaks the promise")
        print(f"\n{mutation.__doc__}", *decided(found, setting), sep="\n")
