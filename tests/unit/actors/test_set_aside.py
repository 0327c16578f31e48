"""Which rows are left aside, and which of them are guilty in the end."""

import pytest

from actors.set_aside import MOST, PROOFS, SetAside, Verdict
from delivery.rows import Key
from delivery.settle import RowRef
from delivery.trial import WITNESSES

LEFT_ASIDE, GUILTY, SERVICES = Verdict.LEFT_ASIDE, Verdict.GUILTY, Verdict.SERVICES
OTHERS = 1000  # keys of rows that are well


class Court:
    def __init__(self) -> None:
        self.aside = SetAside()

    def accuse(self, key: int) -> Verdict:
        return self.aside.accuse(RowRef(key), "broken")

    def others_arrive(self) -> None:
        self.aside.arrived([RowRef(OTHERS)])

    def prove(self, key: int, times: int = PROOFS) -> None:
        """It fails alone, others get through, and it is heard."""
        for _ in range(times):
            assert self.accuse(key) is LEFT_ASIDE
            self.others_arrive()
            assert self.aside.is_due(key) == (RowRef(key),)

    @property
    def left_aside(self) -> list[Key | None]:
        return [case.row.key for case in self.aside.cases]

    @property
    def guilty(self) -> list[Key | None]:
        return [case.row.key for case in self.aside.take_guilty(())]


def test_a_row_is_guilty_once_others_went_often_enough_between_its_failures() -> None:
    court = Court()
    court.prove(1)
    assert court.left_aside == []
    assert court.accuse(1) is GUILTY
    assert court.guilty == [1]


def test_what_goes_between_two_failures_counts_once() -> None:
    court = Court()
    court.prove(1, PROOFS - 1)
    for _ in range(5):
        court.others_arrive()
    assert court.accuse(1) is LEFT_ASIDE


def test_what_recovery_finds_in_bigquery_says_nothing_of_the_accused() -> None:
    court = Court()
    court.prove(1, PROOFS - 1)
    court.accuse(1)
    court.aside.take_guilty({OTHERS})
    court.aside.hear_all()
    assert court.accuse(1) is LEFT_ASIDE


def test_what_got_through_speaks_against_one_row_alone() -> None:
    """Else a service that fails, is well and fails again, would have all of them failed."""
    court = Court()
    for row in (1, 2):
        court.accuse(row)
    for _ in range(PROOFS):
        court.others_arrive()
        for row in (1, 2):
            court.aside.is_due(row)
        verdicts = [court.accuse(row) for row in (1, 2)]
    assert verdicts == [GUILTY, LEFT_ASIDE]
    court.others_arrive()
    court.aside.is_due(2)
    assert court.accuse(2) is GUILTY


def test_a_row_that_was_heard_is_not_left_aside_again_before_it_fails_alone() -> None:
    court = Court()
    court.prove(1, 1)
    assert court.aside.take_guilty(()) == []  # a pipeline that failed for other reasons starts anew
    assert court.left_aside == []


def test_no_row_is_heard_before_others_had_their_turn() -> None:
    court = Court()
    court.accuse(1)
    court.accuse(2)
    assert court.aside.is_due(1) == ()
    assert court.aside.arrived([RowRef(OTHERS)]) == (RowRef(1),)
    assert court.left_aside == [2]
    assert court.aside.is_due(2) == (RowRef(2),)
    assert court.aside.is_due(2) == ()


def test_where_there_are_no_others_all_are_heard() -> None:
    court = Court()
    court.accuse(1)
    court.accuse(2)
    assert court.aside.hear_all() == (RowRef(1), RowRef(2))
    assert court.left_aside == []


def test_a_row_that_arrived_after_all_is_acquitted() -> None:
    court = Court()
    court.prove(1)
    court.aside.arrived([RowRef(1)])
    assert court.accuse(1) is LEFT_ASIDE
    court.aside.take_guilty({1})
    assert court.left_aside == []


def test_another_item_of_the_row_is_judged_by_itself() -> None:
    court = Court()
    court.prove(1)
    assert court.aside.accuse(RowRef(1, item=2), "broken") is LEFT_ASIDE


@pytest.mark.parametrize("rows", [(1, 2, 3), (1, 2, 1), (1, 1, 1)])
def test_rows_that_fail_alone_while_none_gets_through_are_the_services_trouble(rows: tuple[int, ...]) -> None:
    court = Court()
    for row in rows[:2]:
        assert court.accuse(row) is LEFT_ASIDE
        court.aside.hear_all()
    assert not court.aside.nothing_goes
    assert court.accuse(rows[2]) is SERVICES
    assert court.aside.nothing_goes
    court.others_arrive()
    assert not court.aside.nothing_goes


def test_while_nothing_goes_others_are_tried_each_time() -> None:
    court = Court()
    verdicts = [court.accuse(row) for row in range(3 * WITNESSES)]
    assert verdicts == 3 * [*[LEFT_ASIDE] * (WITNESSES - 1), SERVICES]
    assert court.left_aside == list(range(3 * WITNESSES))


def test_what_is_known_of_a_row_ends_when_it_is_done_with() -> None:
    court = Court()
    court.prove(1)
    court.aside.failed([RowRef(1)])  # by a trial, say; it is mended and retried later
    assert court.accuse(1) is LEFT_ASIDE


def test_no_more_rows_are_left_aside_than_there_is_room_for() -> None:
    court = Court()
    for row in range(MOST + 1):
        court.accuse(row)
    assert court.left_aside == [MOST]


def test_what_gets_through_between_two_rows_that_fail_clears_the_service() -> None:
    court = Court()
    for row in range(10):
        assert court.accuse(row) is LEFT_ASIDE
        if row % 2:
            court.others_arrive()
