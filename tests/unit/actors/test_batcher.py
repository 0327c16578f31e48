"""Batcher: rows become batches, as large and as soon as they should."""

from datetime import UTC, datetime, timedelta

import pytest

from actors.batcher import AHEAD, Batcher
from actors.messages import (
    AppendMeasured,
    BatchReady,
    ColumnsFound,
    Flush,
    QuotaExceeded,
    RowsDecided,
    RowsFound,
    Tick,
    WriterReady,
)
from delivery.finding import Found
from delivery.pace import Pace
from delivery.rows import TIMED_ROWS, Key
from delivery.settle import Outcome, RowRef
from tests.fakes.clock import FakeClock, FakeScheduler
from tests.fakes.inbox import Inbox, pump
from tests.fakes.mapping import payload, sample_mapping, sent_rows
from tests.fakes.source import MemoryColumns

BATCH_SIZE = 3
INTERVAL = 30.0


class World:
    """A Batcher between stand-ins, with batches of 3 rows and an interval of 30 s."""

    def __init__(self, most_rows: int = 100, most_bytes: int = 10**6) -> None:
        self.clock = FakeClock()
        self.scheduler = FakeScheduler(self.clock)
        self.writer, self.marker = Inbox(), Inbox()
        self.batcher = Batcher(
            Inbox(),
            self.writer,
            self.marker,
            sample_mapping(),
            self.scheduler,
            self.clock,
            Pace.start(BATCH_SIZE, most_rows, most_bytes),
            BATCH_SIZE,
            INTERVAL,
            table="logs",
        )

    def tell(self, *messages: object) -> None:
        for message in messages:
            self.batcher.on_receive(message)
            pump(self.batcher)

    def find(self, *keys: Key, label: str | None = "some", suspect: bool = False) -> None:
        self.tell(RowsFound(tuple(Found(key, values=(key, label), suspect=suspect) for key in keys)))

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.batcher))

    def batches(self) -> list[tuple[Key, ...]]:
        """The keys of the batches that the writer got since."""
        return [batch.outgoing.rows.keys for batch in self.writer.take(BatchReady)]

    def after_the_first(self) -> "World":
        """With a first batch gone through, so that the interval counts."""
        self.find(0)
        assert self.batches() == [(0,)]
        self.tell(WriterReady())
        return self


def test_the_first_rows_go_at_once() -> None:
    world = World()
    world.find(1)
    world.advance(0)
    assert world.batches() == [(1,)]


def test_then_rows_wait_until_the_interval_has_passed() -> None:
    world = World().after_the_first()
    world.advance(10)
    world.find(1)
    world.advance(5)
    world.find(2)
    world.advance(INTERVAL - 15 - 0.1)
    assert world.batches() == []
    world.advance(0.1)
    assert world.batches() == [(1, 2)]


def test_or_until_batch_size_rows_wait() -> None:
    world = World().after_the_first()
    world.find(1, 2)
    assert world.batches() == []
    world.find(3)
    assert world.batches() == [(1, 2, 3)]


def test_what_is_sent_is_what_the_ledger_keeps_in_the_same_order() -> None:
    world = World()
    world.tell(RowsFound((Found(2, item=5, payload=payload("then")), Found(1, values=(1, "now")))))
    batch = world.writer.take_one(BatchReady).outgoing
    assert batch.rows == sent_rows(2, 1)
    assert batch.items == (5, None)
    rows = batch.encoded.record_batch.to_pylist()  # type: ignore[attr-defined]  # ArrowRows
    assert [(row["event_id"], row["label"]) for row in rows] == [("det_2", "then"), ("det_1", "now")]


def test_while_the_writer_is_busy_rows_gather_and_batches_grow_with_the_pace() -> None:
    world = World()
    for start in range(0, 100, 10):
        world.find(*range(start, start + 10))
    sizes = [len(batch) for batch in world.batches()]
    for _ in range(6):
        world.tell(AppendMeasured(sizes[-1], 1000, 0.1), WriterReady())
        sizes += [len(batch) for batch in world.batches()]
    assert sizes == [3, 3, 6, 12, 24, 48, 4]


def test_two_batches_are_with_the_writer_at_most() -> None:
    world = World()
    world.find(*range(20))
    assert len(world.batches()) == AHEAD
    world.tell(WriterReady())
    assert len(world.batches()) == 1


def test_batches_stay_within_the_bytes() -> None:
    world = World(most_bytes=2500)
    world.tell(AppendMeasured(3, 10**6, 0.1))
    for key in range(6):
        world.find(key, label="x" * 1000)
    for _ in range(6):
        world.tell(WriterReady())
        world.advance(INTERVAL)
    batches = world.batches()
    assert all(len(batch) <= 2 for batch in batches)
    assert [key for batch in batches for key in batch] == list(range(6))


def test_a_row_larger_than_a_batch_should_be_goes_alone() -> None:
    world = World(most_bytes=2500)
    world.find(1, label="x" * 5000)
    world.find(2, label="x" * 5000)
    assert world.batches() == [(1,), (2,)]


def test_rows_of_different_shapes_go_in_different_batches() -> None:
    world = World()
    rows = [Found(1, values=(1, "some")), Found(2, item=9, payload=payload("some", extra="more"))]
    world.tell(RowsFound((*rows, Found(3, values=(3, "some")))))
    for _ in range(2):
        world.tell(WriterReady())
        world.advance(INTERVAL)
    assert world.batches() == [(1,), (2,), (3,)]


def test_a_bad_row_fails_alone() -> None:
    world = World()
    world.tell(RowsFound((Found(1, values=(1, "some")), Found(2, item=7, values=(2, None)), Found(3, values=(3, "x")))))
    failed = world.marker.take_one(RowsDecided)
    assert (failed.rows, failed.outcome) == ((RowRef(2, 7),), Outcome.FAILED)
    assert failed.reason is not None
    assert "label" in failed.reason
    assert world.batches() == [(1, 3)]


def test_a_row_whose_conversion_fails_unforeseen_fails_alone() -> None:
    world = World()
    world.tell(RowsFound((Found(1, values=(1, "some")), Found(2, values=(2,)))))  # a value is missing: a bug of ours
    failed = world.marker.take_one(RowsDecided)
    assert (failed.rows, failed.outcome) == ((RowRef(2),), Outcome.FAILED)
    assert world.batches() == [(1,)]


def test_rows_that_were_read_by_columns_go_with_the_others() -> None:
    world = World()
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    world.tell(RowsFound((Found(1, item=5, payload=payload("then")),)), WriterReady())
    world.tell(ColumnsFound(MemoryColumns([2, 3], [(2, "two"), (3, "three")], {1: noon})))
    world.tell(RowsFound((Found(4, item=6, payload=payload("four")),)))
    first, second = (batch.outgoing for batch in world.writer.take(BatchReady))
    assert first.rows == sent_rows(1)
    assert second.rows == sent_rows(2, 3, 4)
    assert second.items == (None, None, 6)
    assert second.since == {1: noon.timestamp()}
    rows = second.encoded.record_batch.to_pylist()  # type: ignore[attr-defined]  # ArrowRows
    assert [row["label"] for row in rows] == ["two", "three", "four"]


def test_a_bad_row_fails_alone_among_those_that_were_read_by_columns() -> None:
    world = World()
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    world.tell(ColumnsFound(MemoryColumns([1, 2, 3], [(1, "one"), (2, None), (3, "three")], {2: noon})))
    failed = world.marker.take_one(RowsDecided)
    assert (failed.rows, failed.outcome) == ((RowRef(2),), Outcome.FAILED)
    assert failed.reason is not None
    assert "label" in failed.reason
    outgoing = world.writer.take_one(BatchReady).outgoing
    assert (outgoing.rows, outgoing.since) == (sent_rows(1, 3), {1: noon.timestamp()})


def test_what_is_unforeseen_by_columns_is_found_out_row_by_row() -> None:
    world = World()
    world.tell(ColumnsFound(MemoryColumns([1, 2], [(1, "one"), (2,)])))  # a value is missing: a bug of ours
    assert world.marker.take_one(RowsDecided).rows == (RowRef(2),)
    assert world.batches() == [(1,)]


def test_a_bad_payload_fails_alone() -> None:
    world = World()
    world.tell(RowsFound((Found(1, item=7, payload="no JSON"), Found(2, item=8, payload=payload("some")))))
    assert world.marker.take_one(RowsDecided).rows == (RowRef(1, 7),)
    assert world.batches() == [(2,)]


def test_a_batch_with_a_suspect_row_is_looked_up() -> None:
    world = World()
    world.find(1)
    world.find(2, 3, 4, suspect=True)
    assert [batch.look_up for batch in world.writer.take(BatchReady)] == [False, True]


def test_a_quota_makes_batches_smaller_and_the_wait_longer() -> None:
    world = World().after_the_first()
    world.tell(QuotaExceeded())
    world.find(1, 2)
    world.advance(INTERVAL * 2)
    assert world.batches()[0] == (1,)  # a single row is all that a batch may hold now


def test_a_quota_stretches_the_interval() -> None:
    world = World(most_rows=100).after_the_first()
    world.tell(AppendMeasured(3, 1000, 0.1), AppendMeasured(6, 1000, 0.1), QuotaExceeded(), QuotaExceeded())
    world.find(1)
    world.advance(INTERVAL * 4 - 1)
    assert world.batches() == []
    world.advance(1)
    assert world.batches() == [(1,)]


def test_a_quota_holds_back_however_much_waits_until_it_eases() -> None:
    world = World(most_rows=100).after_the_first()
    world.tell(QuotaExceeded(), QuotaExceeded())
    world.find(*range(1, 50))
    assert world.batches() == []
    world.advance(INTERVAL * 4)
    assert world.batches() == [(1,)]
    world.tell(WriterReady(), AppendMeasured(1, 1000, 0.1), AppendMeasured(1, 1000, 0.1))
    assert len(world.batches()) == 2


def test_a_flush_doesnt_wait_for_a_quota_to_ease() -> None:
    world = World(most_rows=100).after_the_first()
    world.tell(QuotaExceeded(), QuotaExceeded())
    world.find(1)
    world.tell(Flush(7))
    assert world.batches() == [(1,)]


def test_a_flush_sends_what_waits_and_follows_it() -> None:
    world = World().after_the_first()
    world.find(1, 2)
    world.tell(Flush(7))
    assert [type(message) for message in world.writer.messages] == [BatchReady, Flush]
    world.find(4)
    assert world.batches() == [(1, 2)]  # what came behind it keeps waiting


def test_a_flush_of_nothing_passes_at_once() -> None:
    world = World()
    world.tell(Flush(7))
    assert world.writer.messages == [Flush(7)]


@pytest.mark.parametrize("behind", [0, 5])
def test_a_flush_passes_behind_all_that_was_found_before_it(behind: int) -> None:
    world = World()
    world.find(*range(10))
    world.tell(Flush(7))
    world.find(*range(10, 10 + behind))
    for _ in range(10):
        world.tell(WriterReady())
    before = world.writer.messages[: world.writer.messages.index(Flush(7))]
    keys = [key for batch in before if isinstance(batch, BatchReady) for key in batch.outgoing.rows.keys]
    assert set(keys) >= set(range(10))


def test_ticks_that_come_early_do_nothing() -> None:
    world = World().after_the_first()
    world.find(1)
    world.tell(Tick(), Tick(), Tick())
    assert world.batches() == []
    world.advance(INTERVAL)
    assert world.batches() == [(1,)]


def test_some_rows_of_a_large_batch_are_known_by_the_time_since_which_they_wait() -> None:
    many = 2 * TIMED_ROWS
    world = World(most_rows=many)
    world.tell(*[AppendMeasured(many, many, 0.01)] * 20)
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    rows = [Found(key, values=(key, "some"), since=noon + timedelta(seconds=key)) for key in range(many - 1)]
    world.tell(RowsFound((*rows, Found(many, values=(many, "ageless")))))
    outgoing = world.writer.take_one(BatchReady).outgoing
    assert len(outgoing) == many
    assert 0.9 * TIMED_ROWS < len(outgoing.since) <= TIMED_ROWS
    assert outgoing.since == {place: noon.timestamp() + place for place in range(0, many, 2)}
    assert outgoing.take([1, 4, 2]).since == {1: noon.timestamp() + 4, 2: noon.timestamp() + 2}
