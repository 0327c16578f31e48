"""Histories in which a worker dies, or is frozen and wakes up beside its successor, between any two things it does."""

from collections.abc import Callable

import pytest

from delivery.destination import NoCount
from delivery.ledger import BatchState
from tests.fakes.database import MemoryDatabase
from tests.simulation.named import (
    TWO_INTERVALS,
    Site,
    a_bit_of_everything,
    a_single_batch,
    at_each_point,
    at_the_point,
    die,
)

SECOND = 1.0  # s: a single batch is on its way at once
APPENDING = ["before an append", "after an append"]


# kill -9


def test_a_worker_killed_between_any_two_things_it_does_is_replaced() -> None:
    passed = at_each_point(a_bit_of_everything, die, replaced)
    assert len(set(passed)) > 8, "the history doesn't reach everything that a worker does"


@pytest.mark.parametrize("arrives", ["before its successor starts", "after its successor is done"])
def test_an_append_of_a_killed_worker_is_still_on_its_way(arrives: str) -> None:
    def make() -> Site:
        site = a_bit_of_everything()
        site.worker.destination.leaves_under_way = True
        return site

    def ends(site: Site) -> None:
        if arrives == "before its successor starts":
            site.bigquery.arrive()
        site.kill_and_replace()
        site.bigquery.arrive()
        site.check()

    at_each_point(make, die, ends)


@pytest.mark.parametrize("point", APPENDING)
def test_the_worker_that_recovers_is_killed_too_between_any_two_things_it_does(point: str) -> None:
    at_each_point(lambda: left_by_a_dead_worker(point), die, replaced)


def test_finalize_is_answered_and_the_worker_dead_before_the_count_was_kept() -> None:
    for point in APPENDING:
        site = left_by_a_dead_worker(point)
        at_the_point(site, "after a stream was finalized", die)
        assert [stream.final for stream in site.db.streams.values()] == [False]
        assert site.db.states() == [BatchState.BEGUN]
        replaced(site)


@pytest.mark.parametrize("point", APPENDING)
def test_the_end_of_a_stream_is_kept_and_the_worker_dead_with_look_ups_still_to_do(point: str) -> None:
    site = left_by_a_dead_worker(point)
    site.bigquery.finalize_answers.append(NoCount())
    at_the_point(site, "before a look-up", die)
    assert [stream.final for stream in site.db.streams.values()] == [True]
    assert site.db.states() == [BatchState.BEGUN]
    replaced(site)


# COMMIT


@pytest.mark.parametrize("happened", [True, False])
def test_commit_of_a_begun_batch_is_answered_with_an_error(happened: bool) -> None:
    def begins(before: MemoryDatabase, after: MemoryDatabase) -> bool:
        return len(after.batches) > len(before.batches)

    site = a_bit_of_everything()
    failures = 0

    def fails(before: MemoryDatabase, after: MemoryDatabase) -> bool | None:
        nonlocal failures
        if failures == 3 or not begins(before, after):
            return None
        failures += 1
        return happened

    site.surroundings.commit_fails = fails
    site.advance(5 * TWO_INTERVALS)
    assert failures == 3
    assert site.db.states().count(BatchState.RELEASED) == (3 if happened else 0)
    site.check()


@pytest.mark.parametrize("happened", [True, False])
def test_commit_of_any_transaction_is_answered_with_an_error(happened: bool) -> None:
    transactions = count_commits()
    for number in range(transactions):
        site = a_bit_of_everything()
        site.surroundings.commit_fails = Nth(number, happened)
        site.advance(5 * TWO_INTERVALS)
        site.check()
        assert site.db.synced_rows == len(site.db.flags), "a batch is counted once"


# a frozen owner


def test_an_owner_frozen_between_any_two_things_it_does_wakes_when_its_successor_is_done() -> None:
    at_each_point(a_bit_of_everything, frozen_until_its_successor_is_done, both_go_on)


def test_an_owner_frozen_between_any_two_things_it_does_wakes_beside_its_successor() -> None:
    def ends(site: Site) -> None:
        site.advance_all(10 * SECOND)
        site.check()

    for steps in range(steps_of_a_successor()):
        at_each_point(a_single_batch, wakes_after(steps), ends, seconds=SECOND)


def test_a_frozen_owners_append_leaves_its_machine_when_its_successor_has_sent_the_rows_anew() -> None:
    site = a_single_batch()
    at_the_point(site, "before an append", frozen_until_its_successor_is_done)
    assert [len(rows) for rows in site.bigquery.streams.values()] == [0, 2]
    both_go_on(site)


# how they are told


def left_by_a_dead_worker(point: str) -> Site:
    """A second worker before it did anything, in what the first has left that died while it sent its first batch."""
    site = a_bit_of_everything()
    at_the_point(site, point, die)
    site.start_worker()
    return site


def replaced(site: Site) -> None:
    site.kill_and_replace()
    site.check()


def frozen_until_its_successor_is_done(site: Site) -> None:
    site.start_worker()
    site.advance(TWO_INTERVALS)


def both_go_on(site: Site) -> None:
    site.advance_all(TWO_INTERVALS)
    site.check()


def wakes_after(steps: int) -> Callable[[Site], None]:
    def frozen(site: Site) -> None:
        successor = site.start_worker()
        for _ in range(steps):
            successor.step()

    return frozen


def steps_of_a_successor() -> int:
    """How many steps a successor has that finds a batch in the middle."""
    site = a_single_batch()
    at_the_point(site, "after an append", die)
    successor, steps = site.start_worker(), 0
    while successor.step():
        steps += 1
    return steps


class Nth:
    """Fails the n-th COMMIT."""

    def __init__(self, number: int, happened: bool) -> None:
        self._left = number
        self._happened = happened

    def __call__(self, before: MemoryDatabase, after: MemoryDatabase) -> bool | None:
        self._left -= 1
        return self._happened if self._left == -1 else None


def count_commits() -> int:
    site = a_bit_of_everything()
    site.advance(TWO_INTERVALS)
    return site.worker.points.passed.count("after COMMIT")
