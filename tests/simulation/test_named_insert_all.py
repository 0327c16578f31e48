"""Histories of insert_all: nothing fences off a request that is on its way, and BigQuery remembers no insertId."""

import pytest

from delivery.backoff import FIRST_SECONDS
from tests.fakes.destination import TIMEOUT, UNAVAILABLE, Answered, Delayed
from tests.fakes.insert_all import ARRIVAL_SECONDS, MemoryInsertAll
from tests.fakes.process import LOOKUP_SETTLE_SECONDS
from tests.simulation.named import HOUR, TWO_INTERVALS, Site, at_each_point, at_the_point, die

SETTLED = LOOKUP_SETTLE_SECONDS + TWO_INTERVALS
LATE = ARRIVAL_SECONDS - 10.0  # s: as late as a request may arrive, or nearly


def two_rows() -> Site:
    site = Site(bigquery=lambda db: MemoryInsertAll(db.clock, window_seconds=0))
    site.db.add_rows(1, 2)
    site.db.add_item(2)
    return site


def arrives_late(site: Site) -> None:
    """What is on its way arrives as late as it can, and everything is settled then."""
    site.advance(LATE)
    site.bigquery.arrive()
    site.advance(HOUR)
    site.check()


# kill -9


def test_a_worker_killed_between_any_two_things_it_does_is_replaced() -> None:
    def ends(site: Site) -> None:
        site.start_worker()
        arrives_late(site)

    at_each_point(two_rows, die, ends)


@pytest.mark.parametrize("arrives", [True, False])
def test_a_request_of_a_killed_worker_is_on_its_way(arrives: bool) -> None:
    site = two_rows()
    site.worker.destination.leaves_under_way = True
    at_the_point(site, "before an append", die)
    if not arrives:
        site.bigquery.under_way.clear()
    site.start_worker()
    arrives_late(site)


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
def test_the_clock_is_set_while_a_batch_is_doubted(jump: float) -> None:
    site = two_rows()
    site.bigquery.faults.append(Delayed())
    site.advance(TWO_INTERVALS)
    site.db.clock.set_by += jump
    site.advance(LATE - TWO_INTERVALS)
    site.bigquery.arrive()
    site.advance(SETTLED)
    site.check()


# answers that don't come


@pytest.mark.parametrize("written", [True, False])
def test_answers_are_lost(written: bool) -> None:
    site = two_rows()
    site.bigquery.faults.extend([Answered(TIMEOUT, written=written)] * 3)
    site.advance(HOUR)
    site.check()


# two owners


def test_an_owner_frozen_while_a_request_waits_to_be_repeated_wakes_when_its_successor_is_done() -> None:
    site = two_rows()
    site.bigquery.faults.append(Answered(UNAVAILABLE))
    site.advance(1)
    site.start_worker()
    site.advance(SETTLED)
    site.advance_all(FIRST_SECONDS + TWO_INTERVALS)
    site.check()


def test_a_doubt_from_before_a_standby_says_nothing_of_a_batch_that_got_its_number_since() -> None:
    """Numbers of batches come anew where an older dump is restored."""
    site = two_rows()
    first = site.worker
    dump = site.db.copy()
    site.bigquery.faults.append(Delayed())
    site.advance(2 * FIRST_SECONDS)  # it is doubted
    site.bigquery.under_way.clear()  # and never arrives
    site.start_worker()
    site.advance_all(TWO_INTERVALS)

    site.restore(dump)
    site.worker.destination.leaves_under_way = True
    at_the_point(site, "before an append", die, HOUR)
    assert list(site.db.batches) == [1]
    site.workers.append(first)
    site.db.lock_holder = None
    arrives_late(site)
