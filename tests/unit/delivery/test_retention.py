"""What is never deleted, one by one; and that what may go goes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from delivery.errors import DestinationError, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import BatchState, ItemStatus
from delivery.old_rows import RetentionError
from delivery.retention import Policy, Retention
from delivery.retention_report import Refusal, Report
from delivery.rows import Key
from delivery.steps import Gentle
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import UNAVAILABLE
from tests.fakes.ledger import FailAt, FailCommit, MemoryLedger
from tests.fakes.old_rows import NOW, MemoryBigQuery, MemoryOldRows, drive, old, sent
from tests.fakes.source import MemorySource


@dataclass
class World:
    db: MemoryDatabase = field(default_factory=MemoryDatabase)
    bigquery: MemoryBigQuery = field(default_factory=MemoryBigQuery)
    policy: Policy = field(default_factory=lambda: Policy(60))

    def __post_init__(self) -> None:
        self.ledger = MemoryLedger(self.db)
        self.ledger.grant(Lease("logs", "token", 1))
        self.rows = MemoryOldRows(self.db, self.ledger)

    def add(self, *keys: Key, there: bool = True) -> None:
        """Old rows that are marked as synced, and that BigQuery has."""
        self.rows.add(*keys)
        if there:
            self.bigquery.hold(*map(sent, keys))

    def run(self, *, dry_run: bool = False) -> Report:
        report = Report(dry_run, NOW)
        lease = Lease("logs", "token", 1)
        retention = Retention(
            self.policy,
            lease,
            self.rows,
            MemorySource(self.db),
            self.rows.identities(),
            self.bigquery,
            lambda: NOW,
            Gentle(self.db.clock.monotonic),
            report,
        )
        drive(retention.steps())
        return report

    @property
    def left(self) -> set[Key]:
        return set(self.db.values)


@pytest.fixture
def world() -> World:
    return World()


def test_old_rows_that_bigquery_has_go(world: World) -> None:
    world.add(*range(1, 2501))
    world.rows.add(9001, age=old(59.9))
    world.bigquery.hold(sent(9001))
    report = world.run()
    assert (world.left, report.deleted, report.refused) == ({9001}, 2500, {})
    assert (report.oldest, report.newest) == (old(), old())
    assert report.cutoff == NOW - timedelta(days=60)


def test_a_dry_run_deletes_nothing(world: World) -> None:
    world.add(*range(1, 11))
    world.add(11, there=False)
    report = world.run(dry_run=True)
    assert (len(world.left), report.deleted, report.would_delete) == (11, 0, 10)
    assert report.refused == {Refusal.NOT_IN_BIGQUERY: 1}


# what is never deleted


def test_a_row_that_bigquery_lacks(world: World) -> None:
    world.add(1)
    world.add(2, there=False)
    report = world.run()
    assert (world.left, report.refused) == ({2}, {Refusal.NOT_IN_BIGQUERY: 1})
    assert report.examples == {Refusal.NOT_IN_BIGQUERY: [2]}


def test_a_row_that_bigquery_has_in_another_partition_only(world: World) -> None:
    world.rows.add(1)
    world.rows.partitions[1] = old(90)
    world.bigquery.hold(sent(1, old(91)))
    assert world.run().refused == {Refusal.NOT_IN_BIGQUERY: 1}
    assert world.left == {1}


@pytest.mark.parametrize("flag", [False, None])
def test_a_row_that_is_not_marked_as_synced(world: World, flag: bool | None) -> None:
    world.rows.add(1, flag=flag)
    world.bigquery.hold(sent(1))
    world.run()
    assert world.left == {1}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ItemStatus.PENDING, Refusal.WAITS),
        (ItemStatus.SYNCING, Refusal.WAITS),
        (ItemStatus.FAILED, Refusal.FAILED),
    ],
)
def test_a_row_with_an_item_that_is_not_done(world: World, status: ItemStatus, reason: Refusal) -> None:
    world.add(1, 2)
    world.db.add_item(1, status=status)
    world.db.add_item(2, status=ItemStatus.COMPLETED)
    assert world.run().refused == {reason: 1}
    assert world.left == {1}


def test_a_row_that_another_table_needs(world: World) -> None:
    world.add(1, 2, 3)
    world.rows.needed = {2}
    report = world.run()
    assert (world.left, report.deleted, report.refused) == ({2}, 2, {Refusal.FOREIGN_KEY: 1})


@pytest.mark.parametrize("ahead", [timedelta(minutes=6), -timedelta(minutes=6), timedelta(days=365)])
@pytest.mark.parametrize("whose", ["database", "bigquery"])
def test_any_row_while_a_clock_is_implausible(world: World, whose: str, ahead: timedelta) -> None:
    world.add(1)
    if whose == "database":
        world.rows.database_ahead = ahead
    else:
        world.bigquery.ahead = ahead
    with pytest.raises(RetentionError, match="clock"):
        world.run()
    assert world.left == {1}


def test_any_row_that_is_not_old_by_the_slowest_clock(world: World) -> None:
    world.rows.add(1, age=old(60) - timedelta(minutes=2))
    world.bigquery.hold(sent(1))
    world.bigquery.ahead = -timedelta(minutes=3)
    world.run()
    assert world.left == {1}
    world.bigquery.ahead = timedelta(minutes=3)
    world.run()
    assert world.left == set()


@pytest.mark.parametrize("policy", [Policy(None), Policy(60, problem="without age_column ...")])
def test_any_row_where_the_settings_keep_them(world: World, policy: Policy) -> None:
    world.add(1)
    world.policy = policy
    assert world.run().notes
    assert world.left == {1}


def test_any_row_where_the_schema_forbids_it(world: World) -> None:
    world.add(1)
    world.rows.blocked = ["foreign key x is ON DELETE CASCADE"]
    with pytest.raises(RetentionError, match="CASCADE"):
        world.run()
    assert world.left == {1}


def test_any_row_while_bigquery_does_not_answer(world: World) -> None:
    world.add(1)
    world.bigquery.failures.append(UNAVAILABLE)
    with pytest.raises(DestinationError):
        world.run()
    assert world.left == {1}


def test_any_row_once_the_table_is_somebody_elses(world: World) -> None:
    world.add(1)
    world.ledger.take_away()
    with pytest.raises(LeaseLost):
        world.run()
    assert world.left == {1}


def test_any_more_row_once_very_many_are_not_there(world: World) -> None:
    world.add(*range(1, 2001))
    world.add(*range(10_001, 22_001), there=False)
    world.add(*range(90_001, 90_011))
    with pytest.raises(RetentionError, match="10,000 rows that are marked as sent aren't found"):
        world.run()
    assert len(world.left) == 12_010


# what was recorded when a row was sent


def test_a_row_that_changed_is_looked_up_as_it_was_sent(world: World) -> None:
    world.rows.add(1, 2)
    world.rows.partitions = {1: old(95), 2: old(95)}
    world.rows.add_batch(sent(1, old(90)), sent(2, old(90)))
    world.bigquery.hold(sent(1, old(90)))
    assert world.run().refused == {Refusal.NOT_IN_BIGQUERY: 1}
    assert world.left == {2}


def test_a_row_that_bigquery_could_not_take_as_it_is_now_is_looked_up_as_it_was_sent(world: World) -> None:
    world.rows.add(1, 2)
    world.rows.unreadable = {1, 2}
    world.rows.add_batch(sent(1))
    world.bigquery.hold(sent(1), sent(2))
    world.run()
    assert world.left == {2}


@pytest.mark.parametrize("state", [BatchState.BEGUN, BatchState.APPENDED, BatchState.REFUSED, BatchState.RELEASED])
def test_only_what_was_completed_counts(world: World, state: BatchState) -> None:
    world.policy = Policy(60, queries_allowed=False)
    world.rows.add(1)
    world.rows.add_batch(sent(1), state=state)
    assert world.run().refused == {Refusal.NOT_IN_LEDGER: 1}
    assert world.left == {1}


def test_a_batch_from_before_the_row_is_no_proof(world: World) -> None:
    world.rows.add(1)
    world.rows.add(2, age=old(200))
    world.rows.unreadable = {1, 2}
    world.rows.add_batch(sent(1), sent(2), ended=old(92))
    world.bigquery.hold(sent(1), sent(2))
    world.run()
    assert world.left == {1}


def test_the_last_of_its_batches_says_what_was_sent(world: World) -> None:
    world.rows.add(1)
    world.rows.unreadable = {1}
    world.rows.add_batch(sent(1, old(90)))
    world.rows.add_batch(sent(1, old(89)))
    world.bigquery.hold(sent(1, old(90)))
    world.run()
    assert world.left == {1}


# partitions that BigQuery has dropped


def test_rows_of_expired_partitions_go_by_the_ledger(world: World) -> None:
    world.bigquery.expiration_days = 30
    world.rows.add(1, 2, 3)
    world.rows.partitions = {1: old(90), 2: old(90), 3: None}
    world.rows.add_batch(sent(1, old(90)), sent(3))
    report = world.run()
    assert (world.left, report.refused) == ({2, 3}, {Refusal.NOT_IN_BIGQUERY: 2})


def test_a_partition_has_not_expired_until_it_surely_has(world: World) -> None:
    world.rows.add(1)
    world.rows.partitions = {1: old(90)}
    world.rows.add_batch(sent(1, old(90)))
    for days, gone in ((None, False), (120, False), (89.5, False), (88, True)):
        world.bigquery.expiration_days = days
        world.run()
        assert (world.left == set()) == gone


# the ledger's word (verify_before_delete: ledger)


def test_without_queries_the_ledger_confirms(world: World) -> None:
    world.policy = Policy(60, queries_allowed=False)
    world.rows.add(1, 2, 3)
    world.rows.add_batch(sent(1))
    world.db.add_item(2, status=ItemStatus.COMPLETED, batch_id=7, age_seconds=89 * 86400)
    world.db.add_item(3, status=ItemStatus.COMPLETED, age_seconds=89 * 86400)  # it had nothing to do
    report = world.run()
    assert (world.left, report.refused) == ({3}, {Refusal.NOT_IN_LEDGER: 1})
    assert world.bigquery.asked == []


# rows that were given up


def test_rows_that_were_given_up_go_by_age(world: World) -> None:
    world.rows.add(1, 2, 3, flag=False)
    world.rows.add(4, flag=False, age=old(59))
    world.rows.add(5, flag=None)
    for key in (1, 2, 4, 5):
        world.db.add_item(key, status=ItemStatus.ABANDONED)
    world.db.add_item(2, status=ItemStatus.PENDING)
    world.db.add_item(3, status=ItemStatus.ABANDONED, operation="UPDATE")  # the row itself still waits
    report = world.run()
    assert (world.left, report.deleted, report.abandoned) == ({2, 3, 4, 5}, 1, 1)


def test_an_item_from_before_the_row_gives_nothing_up(world: World) -> None:
    """After a TRUNCATE ids begin anew: the row that was given up had the same key once."""
    world.rows.add(1, 2, 3, flag=False)
    world.db.add_item(1, status=ItemStatus.ABANDONED, age_seconds=92 * 86400)
    world.db.add_item(2, status=ItemStatus.ABANDONED, age_seconds=90.5 * 86400)  # as near as clocks and zones allow
    world.db.add_item(3, status=ItemStatus.ABANDONED, age_seconds=92 * 86400)
    world.db.add_item(3, status=ItemStatus.ABANDONED, age_seconds=80 * 86400)
    report = world.run()
    assert (world.left, report.abandoned, report.refused) == ({1}, 2, {Refusal.NOT_SYNCED: 1})


def test_in_a_dry_run_rows_that_were_given_up_are_not_told_as_staying(world: World) -> None:
    world.rows.add(1, 2, flag=False)
    world.db.add_item(1, status=ItemStatus.ABANDONED)
    tried, report = world.run(dry_run=True), world.run()
    assert (tried.would_delete, tried.abandoned, tried.refused) == (1, 1, {Refusal.NOT_SYNCED: 1})
    assert (report.deleted, report.abandoned, report.refused) == (1, 1, tried.refused)
    assert tried.examples == report.examples == {Refusal.NOT_SYNCED: [2]}


# trouble with the database


def test_a_refused_transaction_is_repeated(world: World) -> None:
    world.add(1, 2)
    world.ledger.faults.extend([FailAt(), FailAt(), None])
    assert world.run().deleted == 2
    assert world.left == set()


def test_rows_whose_commit_got_no_answer_are_counted_once(world: World) -> None:
    for happened in (True, False):
        world.add(1, 2)
        world.ledger.faults.append(FailCommit(happened))
        assert world.run().deleted == 2


def test_a_database_that_refuses_again_and_again_ends_the_run(world: World) -> None:
    world.add(1)
    world.ledger.faults.extend([FailAt()] * 5)
    with pytest.raises(LedgerError):
        world.run()
    assert world.left == {1}


def test_look_ups_are_made_for_rows_that_lie_together(world: World) -> None:
    days = [90, 90.2, 89, 400, 400.5, 200]
    world.rows.add(*range(len(days)))
    world.rows.partitions = {key: old(age) for key, age in enumerate(days)}
    world.bigquery.hold(*(sent(key, old(age)) for key, age in enumerate(days)))
    world.run()
    assert world.left == set()
    assert keys(rows.keys for rows in world.bigquery.asked) == [{0, 1, 2}, {3, 4}, {5}]


def keys(groups: Iterable[Iterable[Key]]) -> list[set[Key]]:
    return sorted((set(group) for group in groups), key=min)
