"""Histories of rows that BigQuery chokes on: an error that says neither why, nor whether anything was written."""

from itertools import count

import pytest

from delivery.errors import ErrorClass, Failure
from delivery.ledger import ItemStatus
from delivery.retry import PROBE_SECONDS
from tests.fakes.destination import Answered, MemoryDestination, Request
from tests.simulation.named import HOUR, REFUSED, Site

INTERNAL = Failure(ErrorClass.UNKNOWN, "INTERNAL: something broke", definite=False)
NEW_KEYS = count(10_000)
REFUSAL = Failure(ErrorClass.UNKNOWN, "what?", definite=True)


class Choking(MemoryDestination):
    """Breaks at each request with a refused row in it. `writes`: which of these it writes all the same; 0: none.

    `sobers`: from which of these on it says for sure that it writes nothing.
    """

    def __init__(self, writes: int = 0, sobers: int = 1_000_000) -> None:
        super().__init__()
        self._writes = writes
        self._sobers = sobers
        self.choked = 0

    def refused(self, request: Request) -> Failure | None:
        if super().refused(request) is None:
            return None
        self.choked += 1
        if request.stream is not None and self.choked == self._writes:
            self.streams[request.stream].extend(request.rows)
        return INTERNAL if self.choked < self._sobers else REFUSAL


def choking_on(*rows: int, of: int, bigquery: Choking) -> Site:
    site = Site(batch_size=4, bigquery=lambda _: bigquery)
    site.db.add_rows(*range(of))
    site.db.add_rows(*rows, label=REFUSED)
    return site


def while_others_come(site: Site, hours: float) -> None:
    """Every ten minutes a row that is well."""
    for _ in range(int(hours * 6)):
        site.db.add_rows(next(NEW_KEYS))
        site.advance(HOUR / 6)


def test_rows_that_bigquery_chokes_on_fail_and_hold_up_no_others() -> None:
    site = choking_on(3, 8, of=12, bigquery=Choking())
    site.advance(HOUR / 2)
    site.check_arrived(set(range(12)) - {3, 8})
    while_others_come(site, 6)
    site.check()


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("sobers", [1, 1_000_000], ids=["refused", "in doubt"])
@pytest.mark.parametrize("as_items", [True, False])
@pytest.mark.parametrize(("batch_size", "good"), [(4, 3), (4, 40), (100, 50)])
def test_bad_rows_that_come_first_hold_up_none_behind_them(
    rows: int, sobers: int, as_items: bool, batch_size: int, good: int
) -> None:
    site = Site(batch_size=batch_size, bigquery=lambda _: Choking(sobers=sobers))
    site.db.add_rows(*range(rows), label=REFUSED)
    if as_items:
        for row in range(rows):
            site.db.add_item(row)
    site.db.add_rows(*range(100, 100 + good))
    site.advance(3 * HOUR)
    site.check_arrived(range(100, 100 + good))
    while_others_come(site, 6 + 3 * rows)
    site.check()


def test_more_bad_rows_come_first_than_there_is_room_for() -> None:
    site = Site(batch_size=4, bigquery=lambda _: Choking(sobers=1))
    site.db.add_rows(*range(150), label=REFUSED)
    site.db.add_rows(*range(200, 211))
    site.advance(48 * HOUR)
    site.check_arrived(range(200, 211))


def test_a_row_that_bigquery_chokes_on_is_not_guilty_before_others_got_through() -> None:
    """It is the only one for hours: there is nobody to tell it from trouble of the service."""
    site = choking_on(1, of=0, bigquery=Choking())
    site.advance(4 * HOUR)
    assert site.db.items == {}
    while_others_come(site, 6)
    site.check()


def test_a_row_that_bigquery_chokes_on_is_heard_on_a_table_where_there_are_always_others() -> None:
    site = choking_on(3, of=8, bigquery=Choking())
    for key in range(8, 2600, 4):
        site.advance(5)
        site.db.add_rows(*range(key, key + 4))
    assert [item.record_id for item in site.db.items.values() if item.status is ItemStatus.FAILED] == ["3"]
    site.advance(HOUR)
    site.check()


@pytest.mark.parametrize("sobers", range(1, 12))
def test_a_row_that_was_left_aside_is_refused_for_sure_when_it_is_heard(sobers: int) -> None:
    """By then all others have got through, and there are none to be sent with it."""
    site = choking_on(1, of=0, bigquery=Choking(sobers=sobers))
    site.advance(60)
    while_others_come(site, 6)
    site.check()


@pytest.mark.parametrize("failure", [REFUSAL, INTERNAL], ids=["refused", "in doubt"])
@pytest.mark.parametrize("pause", [30, 200, 310, 700])
def test_a_service_that_fails_twice_fails_no_row(failure: Failure, pause: float) -> None:
    """Both times it meets the same row first, and others get through in between."""
    site = Site(batch_size=4)
    site.db.add_rows(1)
    site.db.add_item(1)
    site.db.add_rows(*range(10, 16))
    for _ in range(2):
        site.bigquery.faults.extend([Answered(failure)] * 5)
        site.advance(pause)
        site.bigquery.faults.clear()
        site.db.add_rows(next(NEW_KEYS))
        site.advance(60)
    site.advance(2 * HOUR)
    site.check()


def test_a_service_that_chokes_on_everything_fails_no_row_and_says_that_nothing_gets_through() -> None:
    site = Site(batch_size=4)
    site.db.add_rows(*range(8))
    site.db.add_item(0)
    site.bigquery.faults.extend([Answered(INTERNAL)] * 10_000)
    states = set()
    for _ in range(12):
        site.advance(PROBE_SECONDS)
        states.add(site.db.state)
    assert ItemStatus.FAILED not in {item.status for item in site.db.items.values()}
    assert "blocked" in states
    site.bigquery.faults.clear()
    site.advance(HOUR)
    site.check()


def test_one_of_a_rows_attempts_is_written_after_all_whichever_it_is() -> None:
    """Recovery finds it, or BigQuery says that it is there: then it didn't fail."""
    undisturbed = Choking()
    while_others_come(choking_on(3, of=8, bigquery=undisturbed), 3)
    for written in range(1, undisturbed.choked + 1):
        site = choking_on(3, of=8, bigquery=Choking(written))
        while_others_come(site, 3)
        there = "det_3" in site.bigquery.ids
        site.check_arrived(set(site.db.values) - (set() if there else {3}))
        assert (ItemStatus.FAILED in {item.status for item in site.db.items.values()}) is not there
