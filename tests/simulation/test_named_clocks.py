"""Histories in which somebody sets the machine's clock, which the database goes by too: only measures rest on it."""

import pytest

from delivery.backoff import FIRST_SECONDS
from delivery.destination import Missing
from tests.fakes.destination import UNAVAILABLE, Delayed
from tests.simulation.named import (
    HOUR,
    TWO_INTERVALS,
    Site,
    a_bit_of_everything,
    a_single_batch,
    at_each_point,
    at_the_point,
    die,
)

YEAR = 365 * 24 * HOUR
JUMPS = [-56 * YEAR, -HOUR, HOUR, 10 * YEAR]  # the first: 1970, after a power cut


@pytest.mark.parametrize("jump", [min(JUMPS), max(JUMPS)])
def test_the_clock_is_set_between_any_two_things_that_a_worker_does(jump: float) -> None:
    def ends(site: Site) -> None:
        site.advance(TWO_INTERVALS)
        site.check()

    at_each_point(a_bit_of_everything, lambda site: set_clock(site, jump), ends)


@pytest.mark.parametrize("jump", JUMPS)
def test_the_clock_is_set_while_a_batch_waits_to_be_repeated(jump: float) -> None:
    site = a_single_batch()
    site.surroundings.bigquery_away = UNAVAILABLE
    site.advance(1)
    set_clock(site, jump)
    site.surroundings.bigquery_away = None
    site.advance(FIRST_SECONDS)
    site.check()


@pytest.mark.parametrize("jump", [min(JUMPS), max(JUMPS)])
def test_the_clock_is_set_while_a_worker_is_dead(jump: float) -> None:
    def ends(site: Site) -> None:
        set_clock(site, jump)
        site.kill_and_replace()
        site.check()

    at_each_point(a_single_batch, die, ends, seconds=1)


@pytest.mark.parametrize("jump", JUMPS)
def test_the_clock_is_set_after_a_stream_was_made_that_is_collected(jump: float) -> None:
    site = a_single_batch()
    at_the_point(site, "after an append", die)
    site.bigquery.vanish("stream-0")
    set_clock(site, jump)
    site.start_worker()
    site.advance(HOUR)
    site.check()


@pytest.mark.parametrize("jump", JUMPS)
def test_the_clock_is_set_while_bigquery_doesnt_know_a_new_stream_that_is_appended_to(
    jump: float,
) -> None:
    site = a_single_batch()
    site.bigquery.faults.append(Delayed())
    at_the_point(site, "after an append", die)
    set_clock(site, jump)
    site.bigquery.finalize_answers.append(Missing())
    site.start_worker()
    site.advance(2)
    site.bigquery.arrive()
    site.advance(HOUR)
    site.check()


@pytest.mark.parametrize("jump", JUMPS)
def test_the_clock_is_set_while_an_item_waits_for_its_row(jump: float) -> None:
    site = Site()
    site.db.add_item(1)
    site.advance(TWO_INTERVALS)
    set_clock(site, jump)
    site.advance(TWO_INTERVALS)
    site.db.add_rows(1)
    site.advance(TWO_INTERVALS)
    site.check()


def set_clock(site: Site, jump: float) -> None:
    site.db.clock.set_by += jump
