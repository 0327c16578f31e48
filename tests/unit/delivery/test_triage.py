"""Each line of the table of docs/exactly-once.md that says what is done with a found row or item."""

import pytest

from delivery.ledger import ItemStatus
from delivery.triage import PATIENCE_SECONDS, Item, RowState, Verdict, triage_item, triage_row


def insert(id_: int, status: ItemStatus = ItemStatus.PENDING, *, sent: bool = False, **more: object) -> Item:
    return Item(id_, "INSERT", status, sent=sent, **more)  # type: ignore[arg-type]  # fields of Item


def decide(
    item: Item,
    row: RowState = RowState.WAITING,
    *others: Item,
    in_flight: bool = False,
    has_flag: bool = True,
) -> Verdict:
    return triage_item(item, row, [item, *others], in_flight=in_flight, has_flag=has_flag)


SENT = insert(1, ItemStatus.COMPLETED, sent=True)
COMPLETED_WITHOUT_BATCH = insert(1, ItemStatus.COMPLETED)

UNDECIDED = [ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED, ItemStatus.ABANDONED]


@pytest.mark.parametrize("status", UNDECIDED)
def test_false_row_with_an_undecided_insert_item_is_left_to_the_item(status: ItemStatus) -> None:
    assert triage_row([insert(1, status)]) is Verdict.WAIT


@pytest.mark.parametrize("status", UNDECIDED)
def test_false_row_with_a_sent_and_an_undecided_item_is_left_to_the_item(status: ItemStatus) -> None:
    assert triage_row([SENT, insert(2, status)]) is Verdict.WAIT


def test_false_row_with_a_sent_insert_item_gets_its_flag_set() -> None:
    assert triage_row([SENT]) is Verdict.FLAG


def test_false_row_without_item_is_sent() -> None:
    assert triage_row([]) is Verdict.SEND


def test_false_row_whose_item_was_completed_without_sending_is_sent() -> None:
    assert triage_row([COMPLETED_WITHOUT_BATCH]) is Verdict.SEND


def test_insert_item_of_a_true_row_is_completed_without_sending() -> None:
    assert decide(insert(1), RowState.SYNCED) is Verdict.DUPLICATE


@pytest.mark.parametrize("row", list(RowState))
def test_insert_item_of_whose_key_another_was_sent_is_completed_without_sending(row: RowState) -> None:
    assert decide(insert(2), row, SENT) is Verdict.DUPLICATE


def test_insert_item_whose_sibling_was_completed_without_sending_is_sent() -> None:
    assert decide(insert(2), RowState.WAITING, COMPLETED_WITHOUT_BATCH) is Verdict.SEND


def test_insert_item_waits_while_another_of_its_key_is_syncing() -> None:
    assert decide(insert(1), RowState.WAITING, insert(2, ItemStatus.SYNCING)) is Verdict.WAIT


def test_insert_item_waits_while_another_of_its_key_is_pending_with_a_lower_id() -> None:
    first, second = insert(1), insert(2)
    assert decide(second, RowState.WAITING, first) is Verdict.WAIT
    assert decide(first, RowState.WAITING, second) is Verdict.SEND


def test_insert_item_waits_while_its_key_is_in_flight() -> None:
    assert decide(insert(1), in_flight=True) is Verdict.WAIT


@pytest.mark.parametrize("status", [ItemStatus.FAILED, ItemStatus.ABANDONED])
def test_insert_item_doesnt_wait_for_one_that_failed_or_was_given_up(status: ItemStatus) -> None:
    assert decide(insert(2), RowState.WAITING, insert(1, status)) is Verdict.SEND


@pytest.mark.parametrize("row", [RowState.WAITING, RowState.HISTORY, RowState.UNFLAGGED])
def test_insert_item_otherwise_is_sent_also_of_a_null_row(row: RowState) -> None:
    assert decide(insert(1), row) is Verdict.SEND


def test_insert_item_with_payload_needs_no_row() -> None:
    assert decide(insert(1, has_payload=True), RowState.ABSENT) is Verdict.SEND


@pytest.mark.parametrize("has_flag", [True, False])
def test_item_whose_row_isnt_there_waits_ten_minutes(has_flag: bool) -> None:
    young = insert(1, age_seconds=PATIENCE_SECONDS - 1)
    assert PATIENCE_SECONDS == 600
    assert decide(young, RowState.ABSENT, has_flag=has_flag) is Verdict.WAIT


def test_item_whose_row_isnt_there_is_gone_then_where_the_flag_path_would_find_the_row() -> None:
    assert decide(insert(1, age_seconds=PATIENCE_SECONDS), RowState.ABSENT) is Verdict.GONE


def test_item_whose_row_isnt_there_fails_then_where_there_is_no_flag() -> None:
    assert decide(insert(1, age_seconds=PATIENCE_SECONDS), RowState.ABSENT, has_flag=False) is Verdict.NOT_FOUND


@pytest.mark.parametrize("row", [RowState.WAITING, RowState.SYNCED, RowState.HISTORY, RowState.UNFLAGGED])
def test_item_with_resend_is_sent_whatever_else_is_there(row: RowState) -> None:
    assert decide(insert(2, resend=True), row, SENT) is Verdict.SEND


def test_item_with_resend_waits_for_its_turn_like_any_other() -> None:
    assert decide(insert(2, resend=True), RowState.SYNCED, insert(1, ItemStatus.SYNCING)) is Verdict.WAIT
    assert decide(insert(2, resend=True), RowState.SYNCED, in_flight=True) is Verdict.WAIT


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
@pytest.mark.parametrize("row", list(RowState))
def test_update_and_delete_are_abandoned(operation: str, row: RowState) -> None:
    assert decide(Item(1, operation, ItemStatus.PENDING), row, in_flight=True) is Verdict.ABANDON
