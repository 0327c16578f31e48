"""Which rows are left aside, for how long, and which of them are guilty in the end."""

from actors.set_aside import SetAside
from delivery.retry import PROBE_SECONDS
from delivery.settle import RowRef
from tests.fakes.clock import FakeClock


class Court:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.aside = SetAside(self.clock.monotonic)

    def accuse(self, key: int, *, refused: bool = False) -> bool:
        return self.aside.accuse(RowRef(key), "broken", refused=refused)

    def pass_time(self) -> tuple[RowRef, ...]:
        self.clock.now += PROBE_SECONDS
        return self.aside.hear()

    @property
    def guilty(self) -> list[int | str | None]:
        return [case.row.key for case in self.aside.take_guilty(())]

    @property
    def left_aside(self) -> list[int | str | None]:
        return [case.row.key for case in self.aside.cases]


def test_a_row_is_guilty_once_others_went_and_it_fails_alone_again() -> None:
    court = Court()
    assert not court.accuse(1)
    assert court.left_aside == [1]
    court.aside.settled([2], arrived=True)
    assert court.pass_time() == (RowRef(1),)
    assert court.left_aside == []
    assert not court.accuse(1)
    assert court.guilty == [1]


def test_what_was_sent_before_the_accusation_says_nothing() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([2], arrived=False)  # recovery found it, or a look-up
    court.aside.take_guilty({3})
    court.pass_time()
    court.accuse(1)
    assert court.guilty == []


def test_a_row_that_was_heard_is_not_left_aside_again_before_it_fails_alone() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([2], arrived=True)
    court.pass_time()
    assert court.aside.take_guilty(()) == []  # a pipeline that failed for other reasons starts anew
    assert court.left_aside == []


def test_each_row_is_heard_when_its_time_has_come_however_often_pipelines_start() -> None:
    court = Court()
    court.accuse(1)
    court.clock.now += PROBE_SECONDS / 2
    assert court.aside.hear() == ()
    court.accuse(2)
    assert court.aside.next_in == PROBE_SECONDS / 2
    court.clock.now += PROBE_SECONDS / 2
    assert court.aside.hear() == (RowRef(1),)
    assert court.left_aside == [2]


def test_a_row_that_arrived_after_all_is_acquitted() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([2], arrived=True)
    court.pass_time()
    court.aside.settled([1], arrived=False)
    court.accuse(1)
    assert court.guilty == []


def test_three_rows_that_fail_alone_while_none_gets_through_are_the_services_trouble() -> None:
    court = Court()
    assert not court.accuse(1)
    court.pass_time()
    assert not court.accuse(2)
    assert court.accuse(3)
    assert court.left_aside == []


def test_a_row_that_was_refused_for_sure_blocks_the_table_until_there_are_others() -> None:
    court = Court()
    assert court.accuse(1, refused=True)
    assert court.left_aside == []
    court.aside.settled([2], arrived=True)
    assert not court.accuse(1, refused=True)
    assert court.guilty == [1]
