"""Histories of the two ways in: items and rows that are committed in any order, at any moment, spelled in any way."""

import pytest

from delivery.ledger import ItemStatus
from tests.fakes.mapping import payload
from tests.simulation.named import TWO_INTERVALS, Site, at_each_point

PATIENCE = 600.0  # s: how long an item waits for its row


def rows_only() -> Site:
    site = Site()
    site.db.add_rows(1, 2, 3)
    return site


def checked(site: Site) -> None:
    site.advance(2 * TWO_INTERVALS)
    site.check()


@pytest.mark.parametrize("spelled", ["2", "007", "8"])  # row 8 waits for a batch of its own to fill
def test_an_item_is_committed_at_any_moment_before_or_after_its_row_was_sent_by_its_flag(spelled: str) -> None:
    def make() -> Site:
        site = rows_only()
        site.db.add_rows(7, 8)
        return site

    at_each_point(make, lambda site: site.db.add_item(spelled), checked, in_transactions=False)


def test_an_item_is_committed_and_its_row_at_any_moment_after_it() -> None:
    def make() -> Site:
        site = rows_only()
        site.db.add_item(9)
        return site

    at_each_point(make, lambda site: site.db.add_rows(9), checked, in_transactions=False)


@pytest.mark.parametrize("late", [PATIENCE / 2, 2 * PATIENCE])
def test_an_item_waits_ten_minutes_for_its_row_and_then_the_row_is_found_without_it(late: float) -> None:
    site = rows_only()
    item = site.db.add_item(9)
    site.advance(late)
    waits = late < PATIENCE
    assert site.db.items[item].status is (ItemStatus.PENDING if waits else ItemStatus.COMPLETED)
    site.db.add_rows(9)
    checked(site)
    assert (site.db.items[item].batch_id is not None) == waits, "who sent it"


def test_an_item_with_a_payload_is_sent_and_its_row_is_committed_at_any_moment_after_it() -> None:
    def make() -> Site:
        site = rows_only()
        site.db.add_item(9, payload=payload("as it stood"))
        return site

    at_each_point(make, lambda site: site.db.add_rows(9), checked, in_transactions=False)


@pytest.mark.parametrize("second", ["2", "02"])
def test_two_items_of_one_key_are_committed_against_the_order_of_their_ids_at_any_moment(second: str) -> None:
    def make() -> Site:
        site = rows_only()
        site.db.add_item(2, id=5)
        return site

    at_each_point(make, lambda site: site.db.add_item(second, id=4), checked, in_transactions=False)


def test_two_items_of_one_key_with_payloads_and_no_row_are_committed_against_the_order_of_their_ids() -> None:
    def make() -> Site:
        site = Site()
        site.db.add_item(2, id=5, payload=payload("second"))
        return site

    def ends(site: Site) -> None:
        site.advance(2 * TWO_INTERVALS)
        site.check_arrived({2})
        assert site.db.statuses(4, 5) == [ItemStatus.COMPLETED] * 2

    at_each_point(make, lambda site: site.db.add_item(2, id=4, payload=payload("first")), ends, in_transactions=False)


def test_the_first_of_two_items_of_one_key_goes_first_though_it_waits_for_its_row() -> None:
    site = Site()
    first, second = site.db.add_item(9), site.db.add_item(9, payload=payload("later"))
    site.advance(TWO_INTERVALS)
    assert site.bigquery.rows == []
    site.db.add_rows(9)
    checked(site)
    assert [site.db.items[item].batch_id for item in (first, second)] == [1, None], "who sent it"


def test_record_ids_that_mean_row_7_are_one_row() -> None:
    site = Site()
    site.db.add_rows(7)
    items = [site.db.add_item(record_id) for record_id in ("007", "7", "+7", "0000000000000000000007")]
    site.advance(2 * TWO_INTERVALS)
    site.check()
    assert {site.db.items[item].record_id for item in items} == {"7"}


@pytest.mark.parametrize("record_id", ["7 ", "7.0", "seven", "", "9223372036854775808"])
def test_a_record_id_that_is_no_key_fails_alone(record_id: str) -> None:
    site = Site()
    site.db.add_rows(7)
    item = site.db.add_item(record_id)
    site.advance(TWO_INTERVALS)
    site.check_arrived({7})
    assert site.db.statuses(item) == [ItemStatus.FAILED]


def test_a_row_with_a_low_id_is_committed_late_at_any_moment() -> None:
    def make() -> Site:
        site = Site()
        site.db.add_rows(5, 6, 7)
        return site

    at_each_point(make, lambda site: site.db.add_rows(1), checked, in_transactions=False)
