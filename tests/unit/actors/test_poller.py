"""Poller: finds what waits, once, and says when everything was looked up."""

import pytest

from actors.messages import (
    ChildFailed,
    ColumnsFound,
    Flush,
    LookupPassDone,
    LookupsChanged,
    RecoveryNeeded,
    RetryNow,
    RowsDecided,
    RowsFound,
    RowsSettled,
    StateChanged,
    TableState,
    Tick,
)
from actors.poller import Poller
from actors.room import FIRST_GUESS, GENTLE_PAGE_ROWS, Room
from delivery.ledger import ItemStatus, Lookups
from delivery.rows import Key
from delivery.settle import Outcome, RowRef
from delivery.source import SourceChangedError
from delivery.throttle import Throttle
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.inbox import Inbox, pump
from tests.fakes.mapping import payload
from tests.fakes.source import MemorySource
from tests.fakes.throttle import Others

POLL_SECONDS = 10.0


class World:
    """A Poller between stand-ins, which tell it that rows are settled when a test says so."""

    def __init__(
        self,
        lookup_first: bool = False,
        most_rows: int = 100,
        most_bytes: int = 10**9,
        appended: tuple[Key, ...] = (),
        settle: float = 0.0,
        items_to: int = 0,
        aside: tuple[Key, ...] = (),
        throttle: Throttle | None = None,
        by_columns_from: int | None = None,
    ) -> None:
        self.db = MemoryDatabase()
        self.source = MemorySource(self.db, by_columns_from=by_columns_from)
        self.scheduler = FakeScheduler(self.db.clock)
        self.upstream, self.batcher, self.marker = Inbox(), Inbox(), Inbox()
        self.poller = Poller(
            self.upstream,
            self.batcher,
            self.marker,
            self.source,
            Room(most_rows, most_bytes, appended, aside),
            self.scheduler,
            self.db.clock,
            POLL_SECONDS,
            Lookups(first=lookup_first, items_to=items_to),
            settle,
            throttle=throttle,
            table="logs",
        )

    def tell(self, message: object) -> None:
        self.poller.on_receive(message)
        pump(self.poller)

    def tick(self) -> None:
        """Start polling, or let time pass until the next pass has begun."""
        if self.scheduler.delays:
            self.advance(POLL_SECONDS)
        else:
            self.tell(Tick())

    def advance(self, seconds: float) -> None:
        self.scheduler.advance(seconds, lambda: pump(self.poller))

    def found(self) -> list[Key]:
        return [row.key for message in self.batcher.take(RowsFound) for row in message.rows]

    def settle(self, *rows: RowRef | Key) -> None:
        """Set the rows' flags, and say so."""
        refs = [row if isinstance(row, RowRef) else RowRef(row) for row in rows]
        self.db.flags |= {ref.key for ref in refs if ref.key is not None}
        self.tell(RowsSettled(tuple(refs)))


def test_rows_and_items_are_found_once() -> None:
    world = World()
    world.db.add_rows(1, 2)
    world.db.add_item(2)
    world.tick()
    assert sorted(world.found(), key=str) == [1, 2]
    world.tick()
    assert world.found() == []


def test_a_page_that_is_too_long_is_read_in_smaller_ones() -> None:
    world = World(by_columns_from=3, most_rows=10_000)
    world.source.longest_page = 100
    world.db.add_rows(*range(1000))
    world.tick()
    pages = [list(message.rows.keys) for message in world.batcher.take(ColumnsFound)]
    assert sorted(key for page in pages for key in page) == list(range(1000))
    assert all(len(page) <= 100 for page in pages)


def test_rows_that_are_read_by_columns_are_in_flight_until_they_are_settled() -> None:
    world = World(by_columns_from=3)
    world.db.add_rows(1, 2, 3)
    world.tick()
    assert list(world.batcher.take_one(ColumnsFound).rows.keys) == [1, 2, 3]
    assert world.found() == []
    world.db.add_rows(4)
    world.tick()
    assert world.found() == [4]
    world.settle(1, 2, 3, 4)
    world.db.flags.clear()
    world.tick()
    assert list(world.batcher.take_one(ColumnsFound).rows.keys) == [1, 2, 3, 4]


def test_after_a_page_that_could_not_be_read_the_next_is_a_small_one() -> None:
    world = World(most_rows=10_000, by_columns_from=3, most_bytes=100 * FIRST_GUESS)
    world.db.add_rows(*range(5000))
    world.tick()
    pages = [len(message.rows.keys) for message in world.batcher.take(ColumnsFound)]
    assert pages[0] < 50
    assert max(pages) > 1000  # since its rows are small
    world.settle(*range(5000))
    world.db.flags.clear()
    world.source.failures.append(True)
    world.tick()
    world.tell(RetryNow())
    assert len(world.batcher.take(ColumnsFound)[0].rows.keys) == pages[0]


def test_each_pass_finds_what_came_since_also_below_what_was_found() -> None:
    world = World()
    world.db.add_rows(10)
    world.tick()
    world.db.add_rows(3, 11)  # 3: a transaction that took a low id and committed late
    world.tick()
    assert world.found() == [10, 3, 11]


def test_a_row_in_flight_is_found_again_only_if_it_still_waits_once_settled() -> None:
    world = World()
    world.db.add_rows(1, 2)
    world.tick()
    world.found()
    world.settle(1)
    world.tell(RowsSettled((RowRef(2),)))  # left out of its batch
    world.tick()
    assert world.found() == [2]


def test_a_row_whose_other_item_is_settled_meanwhile_isnt_found_twice() -> None:
    world = World()
    world.db.add_rows(1)
    world.tick()
    assert world.found() == [1]
    update = world.db.add_item(1, operation="UPDATE")
    world.tick()
    assert world.marker.take_one(RowsDecided).outcome is Outcome.ABANDONED
    world.db.change_items([update], status=ItemStatus.ABANDONED)
    world.tell(RowsSettled((RowRef(1, update),)))
    world.tick()
    assert world.found() == []


def test_rows_of_appended_batches_arent_found() -> None:
    world = World(appended=(1,))
    world.db.add_rows(1, 2)
    world.tick()
    assert world.found() == [2]


def test_it_reads_as_much_as_there_is_room_for_and_goes_on_when_rows_are_settled() -> None:
    world = World(most_rows=2)
    world.db.add_rows(1, 2, 3, 4, 5)
    world.tick()
    assert world.found() == [1, 2]
    world.settle(1, 2)
    assert world.found() == [3, 4]
    world.settle(3, 4)
    assert world.found() == [5]


def test_items_and_rows_take_turns() -> None:
    world = World(most_rows=4)
    world.db.add_rows(*range(1, 10))
    for key in (101, 102, 103):
        world.db.add_item(key, payload=payload("some"))
    world.tick()
    assert world.found() == [101, 102, 103, 1]


def test_decisions_go_to_the_marker_those_alike_together() -> None:
    world = World()
    world.db.add_rows(1, 2)
    world.db.flags = {1, 2}
    duplicates = [world.db.add_item(1), world.db.add_item(2)]
    update = world.db.add_item(1, operation="UPDATE")
    world.tick()
    decided = {message.outcome: message for message in world.marker.take(RowsDecided)}
    assert decided[Outcome.COMPLETED].rows == (RowRef(1, duplicates[0]), RowRef(2, duplicates[1]))
    assert decided[Outcome.ABANDONED].rows == (RowRef(1, update),)
    assert decided[Outcome.ABANDONED].reason
    world.tick()
    assert world.marker.take(RowsDecided) == []  # until they are settled


def test_a_table_that_was_altered_is_opened_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    def altered(_: object) -> None:
        raise SourceChangedError("the columns have other types than before")

    world = World()
    world.db.add_rows(1)
    monkeypatch.setattr(world.source, "rows", altered)
    world.tick()
    assert len(world.upstream.take(RecoveryNeeded)) == 1
    assert world.batcher.messages == []


def test_a_database_that_doesnt_answer_is_asked_again_later() -> None:
    world = World()
    world.db.add_rows(1)
    world.source.failures.append(True)
    world.tick()
    assert world.found() == []
    assert world.upstream.take_one(StateChanged).state is TableState.WAITING
    world.advance(5)
    assert world.found() == [1]
    assert world.upstream.take_one(StateChanged).state is TableState.RUNNING


def test_a_page_whose_second_half_fails_is_read_on_from_there() -> None:
    world = World()
    world.db.add_rows(1, 2)
    world.db.add_item(1)
    world.source.failures.extend([False] * 5 + [True])  # the items are read, the rows' read fails
    world.tick()
    assert world.found() == [1]
    world.advance(5)
    assert world.found() == [2]


def test_somebody_who_waits_has_it_tried_at_once() -> None:
    world = World()
    world.db.add_rows(1)
    world.source.failures.extend([True, True])
    world.tick()
    world.tell(RetryNow())
    world.tell(RetryNow())
    assert world.found() == [1]
    world.advance(600)  # the delays that were still running are void
    assert world.found() == []


def test_a_flush_passes_only_behind_what_was_read() -> None:
    world = World(most_rows=2)
    world.db.add_rows(1, 2, 3)
    world.tell(Flush(7))
    assert world.batcher.take(Flush) == []
    world.settle(1, 2)
    kinds = [type(message) for message in world.batcher.messages]
    assert kinds == [RowsFound, RowsFound, Flush]


def test_a_flush_within_a_pass_waits_for_a_whole_pass_of_its_own() -> None:
    world = World(most_rows=2)
    world.db.add_rows(10, 11, 12)
    world.tick()
    world.db.add_rows(1)  # behind the pass that is under way
    world.tell(Flush(7))
    world.settle(10, 11)
    world.settle(12)
    assert world.batcher.messages[-1] == Flush(7)
    assert world.found() == [10, 11, 12, 1]


def test_look_ups_end_after_a_full_pass_whose_rows_are_all_settled() -> None:
    world = World(lookup_first=True)
    world.db.add_rows(1, 2)
    world.tick()
    assert all(row.suspect for row in world.batcher.take_one(RowsFound).rows)
    assert world.upstream.take(LookupPassDone) == []
    world.settle(1)
    assert world.upstream.take(LookupPassDone) == []
    world.settle(2)
    assert len(world.upstream.take(LookupPassDone)) == 1


def test_look_ups_dont_end_by_a_pass_that_left_a_row_aside_and_keep_no_others_waiting() -> None:
    world = World(lookup_first=True, aside=(1,))
    world.db.add_rows(1, 2)
    world.tick()
    assert world.found() == [2]
    world.tell(RowsSettled((RowRef(2),)))
    world.db.flags.add(2)
    world.db.add_rows(3)
    world.tick()
    assert world.found() == [3]
    world.tell(RowsSettled((RowRef(3),)))
    world.db.flags.add(3)
    assert world.upstream.take(LookupPassDone) == []
    world.tell(RowsSettled((RowRef(1),)))  # it is heard
    world.tick()
    assert world.found() == [1]
    assert world.upstream.take(LookupPassDone) == []
    world.tell(RowsSettled((RowRef(1),)))
    assert len(world.upstream.take(LookupPassDone)) == 1


def test_look_ups_end_at_once_where_nothing_waits() -> None:
    world = World(lookup_first=True)
    world.tick()
    assert len(world.upstream.take(LookupPassDone)) == 1


def test_an_item_that_came_after_the_look_ups_began_doesnt_keep_them_going() -> None:
    world = World(lookup_first=True)
    world.db.add_item(1)  # for its row
    world.tick()
    assert len(world.upstream.take(LookupPassDone)) == 1


def test_look_ups_dont_end_while_an_item_waits() -> None:
    world = World(lookup_first=True, items_to=1)
    item = world.db.add_item(1)  # for its row
    world.tick()
    assert world.upstream.take(LookupPassDone) == []
    world.db.add_rows(1)
    world.tick()
    world.db.change_items([item], status=ItemStatus.COMPLETED)
    world.settle(RowRef(1, item))
    assert len(world.upstream.take(LookupPassDone)) == 1


def test_look_ups_dont_end_before_rows_that_settle_could_be_seen() -> None:
    world = World(lookup_first=True, settle=60)
    world.tick()
    world.db.clock.set_by = 3600.0  # somebody sets the clock, which says nothing of what has settled
    world.advance(3 * POLL_SECONDS)
    assert world.upstream.take(LookupPassDone) == []
    world.advance(60 + POLL_SECONDS)
    assert world.upstream.take(LookupPassDone) != []


def test_once_look_ups_ended_rows_are_trusted_again() -> None:
    world = World(lookup_first=True)
    world.tick()
    world.tell(LookupsChanged(Lookups()))
    world.upstream.take(LookupPassDone)
    world.db.add_rows(1)
    world.tick()
    assert not world.batcher.take_one(RowsFound).rows[0].suspect
    world.settle(1)
    assert world.upstream.take(LookupPassDone) == []


def test_without_look_ups_nothing_says_that_they_ended() -> None:
    world = World()
    world.db.add_rows(1)
    world.tick()
    world.settle(1)
    assert world.upstream.messages == []


def test_a_flush_during_the_last_look_ups_comes_through() -> None:
    world = World(lookup_first=True)
    world.db.add_rows(1)
    world.tick()
    world.tell(Flush(7))
    world.settle(1)
    world.tell(LookupsChanged(Lookups()))
    world.tick()
    assert world.batcher.take(Flush) == [Flush(7)]


def test_an_error_that_nobody_foresaw_is_the_owners() -> None:
    world = World()
    error = RuntimeError("a bug")
    world.poller.on_failure(RuntimeError, error, None)
    assert world.upstream.take_one(ChildFailed) == ChildFailed("Poller", error)


def test_beside_others_it_reads_small_pages_and_rests_between_them() -> None:
    world = World(most_rows=10_000, throttle=Others().throttle)
    world.db.add_rows(*range(3 * GENTLE_PAGE_ROWS))
    world.tick()
    assert len(world.found()) == GENTLE_PAGE_ROWS
    world.advance(1.0)
    assert len(world.found()) == 2 * GENTLE_PAGE_ROWS


def test_room_that_is_free_again_is_filled_after_a_rest() -> None:
    world = World(most_rows=2, throttle=Others().throttle)
    world.db.add_rows(1, 2, 3)
    world.tick()
    assert world.found() == [1, 2]
    world.settle(1, 2)
    assert world.found() == []
    world.advance(1.0)
    assert world.found() == [3]


def test_alone_it_reads_all_at_once() -> None:
    world = World(most_rows=10_000, throttle=Others(are_there=False).throttle)
    world.db.add_rows(*range(3 * GENTLE_PAGE_ROWS))
    world.tick()
    assert len(world.found()) == 3 * GENTLE_PAGE_ROWS


class KeptWaits(Throttle):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(1.0, lambda: False, lambda: 0.0)
        self.waited: list[float] = []

    def found(self, waited: float) -> None:
        self.waited.append(waited)


def test_how_long_rows_have_waited_decides_about_the_share() -> None:
    throttle = KeptWaits()
    world = World(throttle=throttle)
    world.db.add_item(1)
    world.db.add_rows(1)
    world.db.clock.now += 7
    world.tick()
    assert throttle.waited == [7.0]
