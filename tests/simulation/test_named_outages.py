"""A 48-hour outage of BigQuery, and hours without the database, while a producer goes on."""

from itertools import pairwise

import pytest

from delivery.backoff import FIRST_SECONDS, LONGEST_SECONDS
from delivery.errors import ErrorClass, Failure
from delivery.ledger import ItemStatus
from delivery.retry import PROBE_SECONDS, UNKNOWN_OUTCOMES
from tests.fakes.destination import TIMEOUT, UNAVAILABLE, Answered
from tests.simulation.held import objects_held
from tests.simulation.named import HOUR, Site

OUTAGE_HOURS = 48
DATABASE_HOURS = 8
ROWS_AN_HOUR = 60
MINUTE = 60.0
MOST_ASKING = 4  # actors that may each wait for the database; what they tell of it isn't written again and again
DENIED = Failure(ErrorClass.BLOCKED, "PERMISSION_DENIED", definite=True)
QUOTA = Failure(ErrorClass.QUOTA, "RESOURCE_EXHAUSTED", definite=True)


class BusySite(Site):
    """Its producer writes a row a minute, every tenth with an item, come what may."""

    def __init__(self) -> None:
        super().__init__(batch_size=100)
        self.produced = 0

    def pass_hours(self, hours: int) -> list[int]:
        """Let hours pass, and say how much the worker held at the end of each."""
        held = []
        for _ in range(hours):
            for _ in range(ROWS_AN_HOUR):
                self.produced += 1
                self.db.add_rows(self.produced)
                if self.produced % 10 == 0:
                    self.db.add_item(self.produced)
                self.advance(HOUR / ROWS_AN_HOUR)
            held.append(self.held())
        return held

    def held(self) -> int:
        """Objects that the worker, its mailboxes and its scheduler hold, without what is the world's."""
        worker = self.worker
        world = (self.db, self.bigquery, self.surroundings, self.db.clock, worker.points)
        return objects_held((worker.owner, *worker.pipeline, worker.background, self.scheduler), world)


@pytest.mark.parametrize("failure", [UNAVAILABLE, TIMEOUT, QUOTA, DENIED], ids=lambda failure: failure.reason[:9])
def test_bigquery_is_away_for_48_hours(failure: Failure) -> None:
    site = BusySite()
    site.pass_hours(1)
    assert len(site.bigquery.rows) > ROWS_AN_HOUR / 2

    site.surroundings.bigquery_away = failure
    site.surroundings.calls.clear()
    held = site.pass_hours(OUTAGE_HOURS)
    calls = [at for at, _ in site.surroundings.calls]
    assert not [item for item in site.db.items.values() if item.status is ItemStatus.FAILED]
    assert len(site.bigquery.rows) <= ROWS_AN_HOUR
    assert_flat(held)
    assert_patient(calls, site.db.clock.now, failure)

    site.surroundings.bigquery_away = None
    site.advance(LONGEST_SECONDS + 10 * MINUTE)
    site.check()
    assert site.db.state == "running"
    assert site.db.synced_rows == site.produced


def assert_flat(held: list[int]) -> None:
    """It has all that it may hold after some hours, and from then on no more."""
    settled, rest = held[: len(held) // 4], held[len(held) // 4 :]
    assert max(rest) <= 1.05 * max(settled), held


def assert_patient(calls: list[float], until: float, failure: Failure) -> None:
    """Delays are doubled up to the longest, with jitter down to half, and not given up."""
    delays = [later - earlier for earlier, later in pairwise([*calls, until])][:-1]
    longest = PROBE_SECONDS if failure is DENIED else LONGEST_SECONDS
    assert max(delays) <= longest
    steady = delays[len(delays) // 4 :]
    assert min(steady) >= longest / 2
    most = OUTAGE_HOURS * HOUR / (longest / 2)
    assert most / 2 <= len(calls) <= most + 20


def test_each_delay_lies_between_half_and_the_whole_of_its_step() -> None:
    site = BusySite()
    site.surroundings.bigquery_away = UNAVAILABLE
    site.pass_hours(4)
    calls = [at for at, _ in site.surroundings.calls]
    for attempt, (earlier, later) in enumerate(pairwise(calls)):
        step = min(LONGEST_SECONDS, FIRST_SECONDS * 2**attempt)
        assert step / 2 <= later - earlier <= step


def test_the_first_success_after_an_outage_ends_the_backoff() -> None:
    site = BusySite()
    site.surroundings.bigquery_away = UNAVAILABLE
    site.pass_hours(4)
    site.surroundings.bigquery_away = None
    site.pass_hours(1)
    site.surroundings.bigquery_away = UNAVAILABLE
    site.surroundings.calls.clear()
    site.pass_hours(1)
    first, second, *_ = (at for at, _ in site.surroundings.calls)
    assert second - first <= FIRST_SECONDS


def test_a_recovery_now_and_then_leaves_nothing_behind_and_no_longer_delay() -> None:
    site = BusySite()
    held = []
    for _ in range(10):
        held += site.pass_hours(1)
        site.bigquery.faults.extend([Answered(TIMEOUT)] * UNKNOWN_OUTCOMES)
        site.produced += 1
        site.db.add_rows(site.produced)
        site.advance(2 * MINUTE)
        assert not site.bigquery.faults
        site.check()
    assert_flat(held)


@pytest.mark.parametrize("begins", ["before a read", "before a transaction", "before an append", "after an append"])
def test_the_database_is_away_for_hours(begins: str) -> None:
    site = BusySite()
    site.pass_hours(1)
    site.db.add_rows(*range(-150, 0))
    site.worker.points.on[begins] = lambda: setattr(site.surroundings, "database_away", True)
    site.advance(MINUTE)
    assert site.surroundings.database_away

    site.surroundings.statements.clear()
    held = []
    for _ in range(DATABASE_HOURS):
        site.advance(HOUR)
        held.append(site.held())
    assert_flat(held)
    asked = len(site.surroundings.statements) / DATABASE_HOURS
    assert HOUR / 15 <= asked <= MOST_ASKING * HOUR / 7.5, "a delay is 15 s at most, with jitter down to half"

    site.surroundings.database_away = False
    site.advance(10 * MINUTE)
    site.check()
    assert site.db.state == "running"


def test_both_are_away_and_come_back_one_after_the_other() -> None:
    for first, second in (("bigquery", "database"), ("database", "bigquery")):
        site = BusySite()
        site.pass_hours(1)
        site.db.add_rows(*range(-150, 0))
        set_away(site, first, True)
        site.advance(HOUR)
        set_away(site, second, True)
        site.advance(2 * HOUR)
        set_away(site, first, False)
        site.advance(2 * HOUR)
        set_away(site, second, False)
        site.advance(LONGEST_SECONDS + 10 * MINUTE)
        site.check()


def set_away(site: Site, what: str, away: bool) -> None:
    if what == "database":
        site.surroundings.database_away = away
    else:
        site.surroundings.bigquery_away = UNAVAILABLE if away else None
