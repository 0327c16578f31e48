"""Which rows are left aside, and which of them are guilty in the end."""

import pytest

from actors.set_aside import SetAside, Verdict
from delivery.rows import Key
from delivery.settle import RowRef

LEFT_ASIDE, GUILTY, SERVICES = Verdict.LEFT_ASIDE, Verdict.GUILTY, Verdict.SERVICES


class Court:
    def __init__(self) -> None:
        self.aside = SetAside()

    def accuse(self, key: int, *, refused: bool = False) -> Verdict:
        return self.aside.accuse(RowRef(key), "broken", refused=refused)

    @property
    def left_aside(self) -> list[Key | None]:
        return [case.row.key for case in self.aside.cases]


def test_a_row_is_guilty_once_others_went_and_it_fails_alone_again() -> None:
    court = Court()
    assert court.accuse(1) is LEFT_ASIDE
    assert court.left_aside == [1]
    court.aside.settled([RowRef(2)], arrived=True)
    assert court.aside.hear(1)
    assert court.left_aside == []
    assert court.accuse(1) is GUILTY
    assert [case.row.key for case in court.aside.take_guilty(())] == [1]


def test_what_was_sent_before_the_accusation_says_nothing() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([RowRef(2)], arrived=False)  # recovery found it, or a look-up
    court.aside.take_guilty({3})
    court.aside.hear(1)
    assert court.accuse(1) is LEFT_ASIDE


def test_a_row_that_was_heard_is_not_left_aside_again_before_it_fails_alone() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([RowRef(2)], arrived=True)
    court.aside.hear(1)
    assert court.aside.take_guilty(()) == []  # a pipeline that failed for other reasons starts anew
    assert court.left_aside == []


def test_a_row_that_isnt_left_aside_needs_no_hearing() -> None:
    court = Court()
    assert not court.aside.hear(1)
    court.accuse(1)
    assert court.aside.hear(1)
    assert not court.aside.hear(1)


def test_a_row_that_arrived_after_all_is_acquitted() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([RowRef(2)], arrived=True)
    court.aside.hear(1)
    court.aside.settled([RowRef(1)], arrived=False)
    assert court.accuse(1) is LEFT_ASIDE


def test_another_item_of_the_row_that_is_settled_changes_nothing() -> None:
    court = Court()
    court.accuse(1)
    court.aside.settled([RowRef(1, item=2)], arrived=False)
    assert court.left_aside == [1]
    assert court.aside.hear(1)


@pytest.mark.parametrize("rows", [(1, 2, 3), (1, 2, 1), (1, 1, 1)])
def test_rows_that_fail_alone_while_none_gets_through_are_the_services_trouble(rows: tuple[int, ...]) -> None:
    court = Court()
    for _ in range(2):
        for row in rows[:2]:
            assert court.accuse(row) is LEFT_ASIDE
            court.aside.hear(row)
        assert court.accuse(rows[2]) is SERVICES
        assert court.left_aside == []


def test_what_gets_through_between_two_rows_that_fail_clears_the_service() -> None:
    court = Court()
    for row in range(10):
        assert court.accuse(row) is LEFT_ASIDE
        court.aside.settled([RowRef(100 + row)], arrived=row % 2 == 0)


def test_a_row_that_was_refused_for_sure_blocks_the_table_until_there_are_others() -> None:
    court = Court()
    assert court.accuse(1, refused=True) is SERVICES
    assert court.left_aside == []
    court.aside.settled([RowRef(2)], arrived=True)
    assert court.accuse(1, refused=True) is GUILTY
