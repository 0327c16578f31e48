"""What is in flight, from RowsFound or RowsDecided to RowsSettled."""

import pytest

from actors.room import FIRST_GUESS, GENTLE_PAGE_ROWS, PAGE_ROWS, PAGES, Room
from delivery.finding import Found
from delivery.settle import RowRef


@pytest.fixture
def room() -> Room:
    return Room(most_rows=10, most_bytes=10**9)


def test_found_rows_are_in_flight_until_they_are_settled(room: Room) -> None:
    room.add([Found(1), Found(2, item=20)])
    assert room.has_key(1)
    assert room.has_key(2)
    assert room.has_item(20)
    room.free([RowRef(1), RowRef(2, 20)])
    assert not room.has_key(1)
    assert not room.has_key(2)
    assert not room.has_item(20)
    assert room.is_empty


def test_a_decided_item_leaves_its_key_alone(room: Room) -> None:
    room.add_decided(RowRef(1, 10))
    assert room.has_item(10)
    assert not room.has_key(1)


def test_a_decided_row_without_item_is_in_flight_by_its_key(room: Room) -> None:
    room.add_decided(RowRef(1))
    assert room.has_key(1)
    room.free([RowRef(1)])
    assert room.is_empty


@pytest.mark.parametrize("sent", [Found(1), Found(1, item=10)])
def test_an_item_that_was_decided_doesnt_let_go_of_a_row_that_is_being_sent(room: Room, sent: Found) -> None:
    room.add([sent])
    room.add_decided(RowRef(1, 11))  # an UPDATE of the same row, say
    room.free([RowRef(1, 11)])
    assert room.has_key(1)
    assert not room.has_item(11)


def test_rows_of_appended_batches_are_in_flight_from_the_start() -> None:
    room = Room(10, 10**9, keys=[1, 2])
    assert room.has_key(1)
    room.free([RowRef(1), RowRef(2)])
    assert room.is_empty


def test_room_is_counted_in_rows(room: Room) -> None:
    assert room.page() == 10
    room.add([Found(key) for key in range(7)])
    assert room.page() == 3
    room.add([Found(7), Found(8), Found(9)])
    assert room.page() == 0


def test_a_page_waits_until_there_is_room_for_a_large_one(room: Room) -> None:
    room.add([Found(key) for key in range(8)])
    assert room.page() == 0
    room.free([RowRef(0)])
    assert room.page() == 3


def test_room_is_counted_in_bytes() -> None:
    room = Room(10_000, most_bytes=10 * FIRST_GUESS)
    assert room.page() == 10 // PAGES
    room.add([Found(1, values=("x" * 9 * FIRST_GUESS,))])
    assert room.page() == 1
    room.add([Found(2, values=("x" * 9 * FIRST_GUESS,))])
    assert room.page() == 0
    room.free([RowRef(1), RowRef(2)])
    assert room.page() == 1  # where rows turn out to be large, the next page is a small one at once
    for key in range(3, 1003):
        room.add([Found(key)])
        room.free([RowRef(key)])
    assert room.page() > 100


def test_a_single_row_that_is_larger_than_all_room_still_fits() -> None:
    assert Room(10_000, most_bytes=100).page() == 1


def test_pages_are_bounded_and_small_rows_make_them_larger() -> None:
    room = Room(100_000, most_bytes=8 * PAGES * FIRST_GUESS)
    assert room.page() == 8
    for _ in range(20):
        room.add([Found(key) for key in range(100)])
        room.free([RowRef(key) for key in range(100)])
    assert room.page() == PAGE_ROWS


def test_a_page_that_was_too_long_is_an_eighth_next_time() -> None:
    room = Room(10 * PAGE_ROWS, 10**8)
    room.add([Found(1)])
    room.expect_larger_rows(PAGE_ROWS)
    assert room.page() <= PAGE_ROWS // 8
    room.expect_larger_rows(PAGE_ROWS // 8)
    assert room.page() <= PAGE_ROWS // 64


def test_rows_that_are_left_aside_take_no_room_and_are_not_found() -> None:
    room = Room(2, 10**9, aside=range(5))
    assert room.page() == 2
    assert room.is_empty
    assert room.leaves_aside
    assert room.has_key(4)
    room.free([RowRef(4, item=7)])  # another item of the key
    assert room.has_key(4)
    room.free([RowRef(key) for key in range(5)])
    assert not room.has_key(4)
    assert not room.leaves_aside


def test_a_page_is_smaller_where_others_are_there() -> None:
    room = Room(10 * PAGE_ROWS, 10**12)
    assert (room.page(), room.page(gentle=True)) == (PAGE_ROWS, GENTLE_PAGE_ROWS)
