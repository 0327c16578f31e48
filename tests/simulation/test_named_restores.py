"""Histories in which the database goes back in time: a dump restored under a running worker, or a power cut."""

from collections.abc import Iterator
from functools import partial

import pytest

from actors.poller import STRAYS_SECONDS
from delivery.destination import NoCount
from delivery.ledger import BatchState
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import TIMEOUT, Answered
from tests.simulation.named import REFUSED, TWO_INTERVALS, Site, a_single_batch, at_the_point, die, living, noted
from tests.simulation.stepped import COMMIT

SECOND = 1.0  # s: three batches are on their way at once
AFTERWARDS = 25.0  # s: time for recovery, and for all that waits to be looked up


def three_batches() -> Site:
    site = Site()
    site.db.add_rows(*range(1, 7))
    for row in range(3, 7):
        site.db.add_item(row)
    return site


def moments(every: int = 1) -> Iterator[tuple[int, int]]:
    """Points of a history: at the one, after a COMMIT, a dump is made, which at the other is restored.

    `every`: how many COMMITs lie between dumps.
    """
    site = three_batches()
    site.advance(SECOND)
    names = site.worker.points.passed
    dumps = [0, *(number for number, name in enumerate(names) if name == "after COMMIT")][::every]
    restores = [number for number, name in enumerate(names) if name != COMMIT]
    return ((dump, restore) for dump in dumps for restore in restores if restore > dump)


class Restored:
    """A history in which a dump is made at one point, and restored at another."""

    def __init__(self, dump: int, restore: int, *, kills: bool = False, lost_answers: int = 0) -> None:
        self.site = three_batches()
        self.site.bigquery.faults.extend([Answered(TIMEOUT, written=True)] * lost_answers)
        self.dump: MemoryDatabase | None = None
        self.forgot_stream = False
        self._kills = kills
        self.site.worker.points.events = {dump: self._make_dump, restore: self._restore}
        living(self.site, SECOND)

    def _make_dump(self) -> None:
        self.dump = self.site.db.copy()

    def _restore(self) -> None:
        assert self.dump is not None
        self.forgot_stream = len(self.dump.streams) < len(self.site.db.streams)
        self.site.restore(self.dump)
        if self._kills:
            die(self.site)


@pytest.mark.parametrize("lost_answers", [0, 1])
def test_an_older_dump_is_restored_under_a_running_worker(lost_answers: int) -> None:
    for dump, restore in moments(every=2 + lost_answers):
        with noted(f"the dump of point {dump} was restored at point {restore}"):
            site = Restored(dump, restore, lost_answers=lost_answers).site
            site.advance(AFTERWARDS)
            site.db.add_rows(100, 101)
            site.advance(AFTERWARDS)
            site.check_arrived(site.db.values)
            site.start_worker()
            site.advance(SECOND)
            site.check()


def test_an_older_dump_is_noticed_when_the_next_batch_is_begun() -> None:
    for dump, restore in moments():
        if restore - dump > 4:
            continue
        with noted(f"the dump of point {dump} was restored at point {restore}"):
            site = Restored(dump, restore).site
            site.advance(AFTERWARDS)
            site.db.add_rows(100, 101)
            site.advance(AFTERWARDS)
            site.check()


def test_an_older_dump_is_noticed_although_nothing_waits_and_nothing_new_comes() -> None:
    """It holds the only batch on its way, and its items, which a pass over what waits leaves alone."""
    site = a_single_batch()
    dumps: list[MemoryDatabase] = []

    def keep() -> None:
        if site.db.states() == [BatchState.BEGUN]:
            dumps.append(site.db.copy())

    site.worker.points.events = dict.fromkeys(range(100), keep)
    site.advance(TWO_INTERVALS)
    site.restore(dumps[0])
    site.advance(3 * STRAYS_SECONDS + TWO_INTERVALS)
    site.check()


def test_an_older_dump_forgets_the_batch_that_was_just_sent_and_the_worker_dies_before_it_comes_to_the_next() -> None:
    site = Site()
    site.db.add_rows(1, 2)
    site.advance(SECOND)
    site.db.add_rows(*range(3, 11))  # for two more
    dump = site.db.copy()  # the batch before is completed, so that its completion isn't missed

    def restored() -> None:
        site.restore(dump)
        site.worker.points.on["after COMMIT"] = partial(die, site)

    site.worker.points.on["after an append"] = restored
    living(site, TWO_INTERVALS)
    site.start_worker()
    site.advance(TWO_INTERVALS)
    site.check()


def test_a_power_cut_costs_the_last_commits() -> None:
    """But not the row of the last stream: a new one waits until that is on the disk."""
    cuts = 0
    for dump, cut in moments(every=3):
        with noted(f"the power was cut at point {cut}, and everything since point {dump} forgotten"):
            history = Restored(dump, cut, kills=True)
            if not history.forgot_stream:
                cuts += 1
                history.site.start_worker()
                history.site.advance(AFTERWARDS)
                history.site.check()
    assert cuts > 20


def test_a_power_cut_costs_a_batch_that_arrived_and_nobody_can_count_its_stream() -> None:
    site = Site()
    site.db.add_rows(1, 2)
    site.advance(SECOND)
    site.db.add_rows(3, 4)
    dump = site.db.copy()
    at_the_point(site, "after an append", die)
    site.restore(dump)
    site.bigquery.finalize_answers.append(NoCount())
    site.start_worker()
    site.advance(TWO_INTERVALS)
    site.check()


def test_an_operator_restored_a_dump_that_takes_a_refused_batch_for_one_on_its_way() -> None:
    """Others were sent at its offset: their count says nothing of it."""
    site = Site()
    site.db.add_rows(1, label=REFUSED)
    site.db.add_rows(2, 3)
    dumps: list[MemoryDatabase] = []
    at_the_point(site, "before an append", lambda site: dumps.append(site.db.copy()))
    site.restore(dumps[0])
    site.start_worker(lookup_first=True)
    site.advance(TWO_INTERVALS)
    site.check()


def test_an_operator_who_restored_a_dump_while_nobody_worked_says_so() -> None:
    site = three_batches()
    dump = site.db.copy()
    site.advance(SECOND)
    site.restore(dump)
    site.start_worker(lookup_first=True)
    site.advance(AFTERWARDS)
    site.check()
