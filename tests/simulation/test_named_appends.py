"""Histories of appends: answers that don't come, bad rows, and errors that say nothing of rows."""

import pytest

from delivery.errors import ErrorClass, Failure
from delivery.ledger import ItemStatus
from tests.fakes.destination import Answered, Delayed
from tests.simulation.named import HOUR, REFUSED, TWO_INTERVALS, Site

UNKNOWN = Failure(ErrorClass.UNKNOWN, "something that nobody has seen before", definite=True)
MINUTES = 60.0


# answers that don't come


@pytest.mark.parametrize("seconds", [0, 6, 20, 30, 300])
def test_a_timed_out_append_of_100_rows_arrives_while_50_of_them_are_sent_anew_at_its_offset(seconds: float) -> None:
    """It arrives after its first, second or third attempt, before or after recovery has decided, or at the very end."""
    site = Site(batch_size=100)
    site.db.add_rows(*range(100))
    site.bigquery.faults.extend([Delayed()] * 3)
    site.advance(seconds)
    site.bigquery.arrive()
    site.advance(10 * MINUTES)
    site.bigquery.arrive()
    site.check()


def test_after_three_attempts_without_an_answer_half_as_many_rows_are_sent_on_a_stream_of_their_own() -> None:
    site = Site(batch_size=100)
    site.db.add_rows(*range(100))
    site.bigquery.faults.extend([Delayed()] * 3)
    site.advance(10 * MINUTES)
    assert [len(batch.rows) for batch in site.db.batches.values()] == [100, 50, 50]
    assert [len(rows) for rows in site.bigquery.streams.values()] == [0, 100]


def test_a_refusal_that_names_a_bad_row_proves_nothing_of_an_earlier_attempt_that_is_still_on_its_way() -> None:
    site = Site(batch_size=4)
    site.db.add_rows(1, 2, 3, 4)
    named = Failure(ErrorClass.BAD_ROW, "rows", definite=True, bad_rows={1: "label: no good"})
    site.bigquery.faults.extend([Delayed(), Answered(named)])
    site.advance(3)
    site.advance(10)  # the second attempt is refused
    site.bigquery.arrive()
    site.advance(10 * MINUTES)
    site.check()


# bad rows


def test_a_bad_row_is_taken_out_and_the_next_batch_follows_at_the_right_offset() -> None:
    site = Site(batch_size=4)
    site.db.add_rows(*range(1, 12))
    site.db.add_rows(2, label=REFUSED)
    site.advance(TWO_INTERVALS)
    site.check()
    assert [len(rows) for rows in site.bigquery.streams.values()] == [10], "recovery was needed"
    offsets = [(batch.offset, len(batch.rows)) for batch in site.db.batches.values()]
    assert offsets[:3] == [(0, 4), (0, 3), (3, 4)]


def test_a_batch_of_bad_rows_alone_leaves_its_offset_to_the_next() -> None:
    site = Site(batch_size=2)
    site.db.add_rows(1, 2, label=REFUSED)
    site.db.add_rows(3, 4)
    site.advance(TWO_INTERVALS)
    site.check()
    assert [len(rows) for rows in site.bigquery.streams.values()] == [2], "recovery was needed"


# errors that say nothing of rows


def test_one_bad_row_that_is_never_named_is_found_among_good_ones() -> None:
    site = Site(batch_size=16)
    site.bigquery.names_bad_rows = False
    site.db.add_rows(*range(1, 17))
    site.db.add_rows(11, label=REFUSED)
    site.advance(10 * MINUTES)
    site.check()
    assert len(site.bigquery.streams) == 1, "recovery was needed"


@pytest.mark.parametrize("rows", [1, 2, 7])
def test_an_error_of_the_whole_service_fails_no_row_however_long_it_lasts(rows: int) -> None:
    site = Site(batch_size=4)
    site.db.add_rows(*range(rows))
    site.db.add_item(0)
    site.bigquery.faults.extend([Answered(UNKNOWN)] * 1000)
    blocked = 0
    for _ in range(180):
        site.advance(60)
        blocked += site.db.state == "blocked" and UNKNOWN.reason in str(site.db.reason)
    assert blocked > 180 / 2  # else it is being tried
    (item,) = site.db.items.values()
    assert item.status in (ItemStatus.PENDING, ItemStatus.SYNCING)
    site.bigquery.faults.clear()
    site.advance(20 * MINUTES)
    site.check()
    assert site.db.state == "running"


def test_an_error_of_the_whole_service_that_begins_while_a_bad_row_is_searched_fails_no_good_row() -> None:
    site = Site(batch_size=4)
    site.db.add_rows(1, 2, 3, 4)
    site.bigquery.faults.extend([*[Answered(UNKNOWN)] * 5, None, *[Answered(UNKNOWN)] * 1000])
    site.advance(2 * HOUR)
    site.bigquery.faults.clear()
    site.advance(HOUR)
    site.check()
