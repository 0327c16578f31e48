"""Which decision follows from which failure, after how many attempts."""

import pytest

from delivery.errors import ErrorClass, Failure
from delivery.retry import Attempts, Decision, GiveBack, Hold, LeaveAside, Recover, Reject, Repeat, TakeApart, decide


def after(error_class: ErrorClass, made: int = 1, unknown: int = 0, rows: int = 100, **bad: str) -> Decision:
    bad_rows = {int(place.removeprefix("row")): reason for place, reason in bad.items()}
    failure = Failure(error_class, "reason", definite=unknown == 0, bad_rows=bad_rows)
    return decide(failure, Attempts(made, unknown), rows)


@pytest.mark.parametrize("made", [1, 2, 50])
def test_transient_errors_are_repeated_however_long_they_last(made: int) -> None:
    assert after(ErrorClass.TRANSIENT, made) == Repeat()


@pytest.mark.parametrize(("made", "rows"), [(1, 100), (2, 100), (50, 1)])
def test_a_quota_is_waited_for(made: int, rows: int) -> None:
    assert after(ErrorClass.QUOTA, made, rows=rows) == Repeat()


def test_a_batch_that_a_quota_keeps_refusing_is_made_smaller() -> None:
    assert after(ErrorClass.QUOTA, made=3) == GiveBack()
    assert after(ErrorClass.QUOTA, made=3, unknown=1) == Repeat()


def test_bad_rows_that_arent_named_are_looked_for_at_once() -> None:
    assert after(ErrorClass.BAD_ROW) == TakeApart("reason", sure=True)
    assert after(ErrorClass.BAD_ROW, rows=1) == Reject({0: "reason"})


def test_bad_rows_of_a_batch_of_which_others_may_be_written_go_in_smaller_ones() -> None:
    """Once recovery knows which are there, the same rows would be refused in the same way."""
    assert after(ErrorClass.BAD_ROW, unknown=1) == Recover("reason", smaller=True)
    assert after(ErrorClass.BAD_ROW, unknown=1, row3="bad") == Recover("reason", smaller=True)


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.QUOTA, ErrorClass.UNKNOWN])
def test_without_a_fence_recovery_decides_every_unknown_outcome(error_class: ErrorClass) -> None:
    failure = Failure(error_class, "reason", definite=False)
    assert decide(failure, Attempts(made=1, unknown=1), rows=4, fenced=False) == Recover("reason", smaller=True)


def test_an_item_may_want_fewer_attempts() -> None:
    failure = Failure(ErrorClass.UNKNOWN, "reason", definite=True)
    assert decide(failure, Attempts(made=1), rows=4, used_up=True) == TakeApart("reason")


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.QUOTA])
@pytest.mark.parametrize("unknown", [1, 2])
def test_a_batch_of_unknown_outcome_is_repeated_as_it_is(error_class: ErrorClass, unknown: int) -> None:
    assert isinstance(after(error_class, made=unknown, unknown=unknown), Repeat)


@pytest.mark.parametrize("error_class", [ErrorClass.TRANSIENT, ErrorClass.QUOTA, ErrorClass.UNKNOWN])
def test_after_three_unknown_outcomes_recovery_decides_and_the_next_is_smaller(error_class: ErrorClass) -> None:
    assert after(error_class, made=3, unknown=3) == Recover("reason", smaller=True)


@pytest.mark.parametrize(("made", "unknown"), [(1, 0), (1, 1), (4, 2)])
def test_trouble_with_the_stream_is_recoverys(made: int, unknown: int) -> None:
    assert after(ErrorClass.STREAM, made, unknown) == Recover("reason")


@pytest.mark.parametrize(("made", "unknown"), [(1, 0), (1, 1), (4, 2)])
def test_a_blocked_table_is_held(made: int, unknown: int) -> None:
    assert after(ErrorClass.BLOCKED, made, unknown) == Hold("reason")


def test_bad_rows_are_taken_out() -> None:
    assert after(ErrorClass.BAD_ROW, row3="bad") == Reject({3: "bad"})


def test_bad_rows_are_taken_out_after_definite_refusals_too() -> None:
    assert after(ErrorClass.BAD_ROW, made=4, row3="bad") == Reject({3: "bad"})


def test_bad_rows_prove_nothing_after_an_attempt_of_unknown_outcome() -> None:
    refused = Failure(ErrorClass.BAD_ROW, "reason", definite=True, bad_rows={3: "bad"})
    assert decide(refused, Attempts(made=2, unknown=1), rows=100) == Recover("reason")


@pytest.mark.parametrize("made", [1, 4])
def test_an_unknown_error_is_repeated(made: int) -> None:
    assert after(ErrorClass.UNKNOWN, made) == Repeat()


def test_an_unknown_error_that_stays_takes_the_batch_apart() -> None:
    assert after(ErrorClass.UNKNOWN, made=5) == TakeApart("reason")


def test_a_single_row_that_isnt_taken_may_be_the_reason_or_not() -> None:
    assert after(ErrorClass.UNKNOWN, made=5, rows=1) == LeaveAside("reason")
    assert after(ErrorClass.UNKNOWN, made=5, unknown=1, rows=1) == Recover("reason", smaller=True, alone=True)


@pytest.mark.parametrize("unknown", [0, 1])
def test_a_single_row_is_tried_often_enough_whatever_its_item_has_been_through(unknown: int) -> None:
    failure = Failure(ErrorClass.UNKNOWN, "reason", definite=unknown == 0)
    assert decide(failure, Attempts(made=1, unknown=unknown), rows=1, used_up=True) == Repeat()


def test_a_piece_of_a_batch_on_trial_is_taken_apart_at_once() -> None:
    failure = Failure(ErrorClass.UNKNOWN, "reason", definite=True)
    assert decide(failure, Attempts(made=1), rows=2, on_trial=True) == TakeApart("reason")


def test_an_unknown_error_after_an_unknown_outcome_is_decided_by_recovery_first() -> None:
    assert after(ErrorClass.UNKNOWN, made=5, unknown=1) == Recover("reason", smaller=True)


@pytest.mark.parametrize(("made", "unknown"), [(5, 1), (3, 3)])
def test_an_unknown_error_of_a_single_row_whose_outcome_is_unknown_accuses_it(made: int, unknown: int) -> None:
    assert after(ErrorClass.UNKNOWN, made, unknown, rows=1) == Recover("reason", smaller=True, alone=True)


def test_no_row_is_accused_of_what_passes_by_itself() -> None:
    assert after(ErrorClass.TRANSIENT, made=3, unknown=3, rows=1) == Recover("reason", smaller=True)


def test_attempts_are_counted_by_what_is_known_of_them() -> None:
    attempts = Attempts().after(definite=True).after(definite=False).after(definite=True)
    assert attempts == Attempts(made=3, unknown=1)
