"""The simulated world: tables, BigQuery, two workers, producers and operators, and everything that can befall them."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from actors.messages import Flush, Pause, Resume, Stop
from database.durability import Durability
from delivery.ledger import ItemStatus
from tests.fakes.clock import FakeClock
from tests.fakes.database import StoredItem
from tests.simulation.bigquery import REFUSED, SimBigQuery
from tests.simulation.check import check_end, check_now
from tests.simulation.database import SimDatabase
from tests.simulation.mapping import event_id
from tests.simulation.violation import Violation
from tests.simulation.worker import SimSite, SimWorker

FLUSH_SECONDS = 1.0  # innodb_flush_log_at_timeout
NAMES = "AB"

SURE = Durability(flush_at_commit=1, flush_seconds=FLUSH_SECONDS, binary_log=False, sync_binlog=1)
UNSURE = Durability(flush_at_commit=2, flush_seconds=FLUSH_SECONDS, binary_log=False, sync_binlog=1)


class Past(Enum):
    """Whether, and how, the database goes back in time in a history."""

    NONE = "the database never goes back"
    POWER_CUT = "a power cut may cost the commits of the last second"
    RESTORED = "a backup may be restored while no worker runs, and looked up after"


@dataclass(frozen=True, slots=True)
class Setting:
    """What a history starts with."""

    past: Past = Past.NONE
    streams: bool = True  # else rows are written by insertAll
    names_bad_rows: bool = True
    repeats_counts: bool = True
    late_arrive_last: bool = True  # requests that are under way at the end arrive; else never
    both_heal: bool = False  # both workers live on at the end; else one of them dies


class World:
    """`events` tells the history in words, where somebody wants to read it."""

    def __init__(self, setting: Setting, *, tables: int = 1, told: bool = False) -> None:
        self.setting = setting
        self.clock = FakeClock()
        self.events: list[str] | None = [] if told else None
        durability = UNSURE if setting.past is Past.POWER_CUT else SURE
        self.sites = tuple(
            SimSite(
                f"logs{number or ''}",
                SimDatabase(self.clock),
                SimBigQuery(
                    self.clock,
                    streams=setting.streams,
                    names_bad_rows=setting.names_bad_rows,
                    repeats_counts=setting.repeats_counts,
                ),
                durability,
            )
            for number in range(tables)
        )
        self.db, self.bigquery = self.sites[0].database, self.sites[0].bigquery
        self.bigquery.may_be_twice = self._resends_of_corrected
        self._corrected: set[int] = set()
        self.reserved: list[int] = []  # keys that a producer's open transaction has taken
        self.reserved_items: list[StoredItem] = []  # the same for items
        self._connections = itertools.count(1)
        self._lookup_first = False  # what the operator starts the next worker with
        self._restoring = False  # until a worker has written down that rows are looked up
        self._next_key = self._first_key = 1
        self._next_command = 1
        self._workers: list[SimWorker | None] = [None, None]
        self._all_workers: list[SimWorker] = []

    # what is told

    def say(self, what: str) -> None:
        if self.events is not None:
            self.events.append(f"{self.clock.now - 1000:6.0f} s  {what}")

    # workers

    def worker(self, slot: int) -> SimWorker:
        worker = self._workers[slot]
        if worker is None:
            first, self._lookup_first = self._lookup_first, False
            worker = self._workers[slot] = SimWorker(
                NAMES[slot], self.sites, self._connections.__next__, self.clock, lookup_first=first
            )
            self._all_workers.append(worker)
        elif worker.has_stopped:  # the process ends, and its connections with it
            self._free(worker)
            self._workers[slot] = None
            self._lookup_first = self._restoring
            return self.worker(slot)
        return worker

    @property
    def living(self) -> list[SimWorker]:
        return [worker for worker in self._workers if worker is not None]

    def run(self, slot: int, budget: int, first: str | None = None, held: str | None = None) -> None:
        if self._may_run(slot):
            self.worker(slot).run(budget, first, held)
            self.check()

    def end(self) -> None:
        """Nothing more happens here."""
        for worker in self._all_workers:
            worker.threads.end()

    def _may_run(self, slot: int) -> bool:
        # An operator starts one worker with --lookup-first, and others once it has written that down.
        return not self._restoring or slot == 0

    def kill(self, slot: int) -> None:
        worker = self._workers[slot]
        if worker is None:
            return
        self._free(worker)
        self._workers[slot] = None
        if self._restoring:
            self._lookup_first = True

    def cut_off(self, slot: int) -> None:
        """The server ends the worker's connections: it was silent for too long, and doesn't know it."""
        worker = self._workers[slot]
        if worker is not None and worker.connection is not None:
            self._free(worker)
            worker.connection_is_gone = True

    def _free(self, worker: SimWorker) -> None:
        for site in self.sites:
            if site.database.lock_holder == worker.connection:
                site.database.lock_holder = None

    def stop(self, slot: int) -> None:
        worker = self._workers[slot]
        if worker is not None:
            worker.tell_owners(Stop())

    def advance(self, seconds: float, slots: tuple[int, ...]) -> None:
        """Time passes; only these workers are awake. Each of the other tables gets a row."""
        self._produce_elsewhere()
        for _ in range(3):
            self.clock.now += seconds / 3
            for slot in slots:
                if self._may_run(slot):
                    self.worker(slot).notice()
                    self.worker(slot).run()
            self.check()

    # producers

    def _produce_elsewhere(self) -> None:
        for site in self.sites[1:]:
            with site.database.changing() as db:
                key = len(db.values) + 1
                db.values[key] = (key, "good", 0)

    def add_rows(self, count: int, label: str | None = "good", *, history: bool = False) -> None:
        if label in (REFUSED, None) and not self._may_be_refused():
            return
        if history and self._is_named(self._next_key):
            return  # a row that is history was there before all items
        with self.db.changing() as db:
            for _ in range(count):
                key = self.new_key()
                db.values[key] = (key, label, 0)
                if history:
                    db.history.add(key)

    def new_key(self) -> int:
        self._next_key += 1
        return self._next_key - 1

    def last_key(self, back: int = 0) -> int:
        return max(self._first_key, self._next_key - 1 - back)

    def commit_reserved(self) -> None:
        """Row by row, the last one first."""
        if self.reserved:
            key = self.reserved.pop()
            with self.db.changing() as db:
                db.values[key] = (key, "good", 0)

    def add_item(self, record_id: str, *, reserve: bool = False, **how: Any) -> None:
        if not self.setting.names_bad_rows and self._is_refused(record_id, how):
            return  # see _may_be_refused
        id_ = self.db.next_item()
        item = StoredItem(id_, record_id, created_at=self.clock.now, **how)
        if reserve:
            self.reserved_items.append(item)
        else:
            with self.db.changing() as db:
                db.items[id_] = item

    def _may_be_refused(self) -> bool:
        """Where refusals name no row, one row, found beside others: alone it is like a broken service."""
        if self.setting.names_bad_rows:
            return True
        return not self._is_named(self._next_key) and not any(row[1] != "good" for row in self.db.values.values())

    def _is_named(self, key: int) -> bool:
        items = (*self.db.items.values(), *self.reserved_items)
        return any(item.record_id.lstrip("0") == str(key) for item in items)

    def _is_refused(self, record_id: str, how: Mapping[str, object]) -> bool:
        row = self.db.values.get(int(record_id)) if record_id.isdigit() else None
        return how.get("payload") == REFUSED or (row is not None and row[1] == REFUSED)

    def commit_reserved_item(self) -> None:
        if self.reserved_items:
            item = self.reserved_items.pop()
            with self.db.changing() as db:
                db.items[item.id] = item

    def correct(self, key: int) -> None:
        """A producer corrects the time of a row. Where the database goes back, such a row can't be recognised."""
        if key in self.db.values and self.setting.past is Past.NONE:
            with self.db.changing() as db:
                id_, label, day = db.values[key]
                db.values[key] = (id_, label, int(str(day)) + 1)
            self._corrected.add(key)

    def _resends_of_corrected(self, id_: str) -> int:
        """How often a row was asked for again that a look-up doesn't recognise: it is in another partition now."""
        items = (item for item in self.db.items.values() if item.resend and int(item.record_id) in self._corrected)
        return sum(event_id(int(item.record_id)) == id_ for item in items)

    # operators

    def flush(self) -> None:
        command = self._next_command
        self._next_command += 1
        with self.db.changing() as db:
            db.commands[command] = "waiting"
        for worker in self.living:
            worker.tables[0].owner.actor_ref.tell(Flush(command))

    def pause(self, *, paused: bool) -> None:
        with self.db.changing() as db:
            db.paused = paused
        self.tell_orders()

    def tell_orders(self) -> None:
        """What CommandReader does every few seconds."""
        for worker in self.living:
            worker.tables[0].owner.actor_ref.tell(Pause() if self.db.paused else Resume())

    def retry_failed(self, *, mended: bool) -> None:
        """Not while a worker doesn't know yet that it has failed the row: it would fail it once more."""
        if any(worker.tables[0].is_writing_down for worker in self.living):
            return
        failed = [item for item in self.db.items.values() if item.status is ItemStatus.FAILED]
        if failed and (mended or self.setting.names_bad_rows):
            with self.db.changing() as db:
                db.change_items([failed[-1].id], status=ItemStatus.PENDING, batch_id=None)
                key = int(failed[-1].record_id) if failed[-1].record_id.isdigit() else None
                if mended and key in db.values:
                    db.values[key] = (key, "good", 0)

    def give_up_failed(self) -> None:
        failed = [item.id for item in self.db.items.values() if item.status is ItemStatus.FAILED]
        with self.db.changing() as db:
            db.change_items(failed[-1:], status=ItemStatus.ABANDONED)

    # the database

    def restart_database(self) -> None:
        """Commits stay, connections don't."""
        for slot in (0, 1):
            self.cut_off(slot)

    def cut_power(self, commits: int, *, worker_too: bool) -> None:
        for slot in (0, 1):
            (self.kill if worker_too else self.cut_off)(slot)
        self._lose_open_transactions()
        for site in self.sites:
            young = sum(site.database.clock.now - at < FLUSH_SECONDS for at, _ in site.database.past[-commits:])
            if young:
                site.database.go_back(young)

    def _lose_open_transactions(self) -> None:
        # New rows don't get the keys of lost ones: docs/exactly-once.md doesn't promise what would become of them.
        named = (int(item.record_id) for item in self.db.items.values() if item.record_id.isdigit())
        self._first_key = self._next_key = max(self._next_key, *named, 0) + 1
        self.reserved.clear()
        self.reserved_items.clear()

    def restore(self, commits: int) -> None:
        """A backup of that many commits ago, after which the next worker is started with --lookup-first.

        By the time that takes no request is under way any more.
        """
        if len(self.db.past) < commits:
            return
        for slot in (0, 1):
            self.kill(slot)
        self.bigquery.arrive()
        self._lose_open_transactions()
        self.db.go_back(commits)
        self._lookup_first = self._restoring = True

    # the end

    def demand_that_others_go_on(self) -> None:
        """Whatever the first table suffers: rows of the others arrive within minutes.

        Raises:
            Violation: one is starved.
        """
        for _ in range(4):
            self.advance(60, (0, 1))
        for site in self.sites[1:]:
            if (wrong := check_end(site)) is not None:
                raise Violation(f"{site.name} is starved: {wrong}")

    def check(self) -> None:
        for site in self.sites:
            check_now(site)
        if self.db.lookups.first:
            self._restoring = False

    def heal(self) -> None:
        """Faults end, producers end what they began, workers live: and everything has to arrive."""
        for site in self.sites:
            site.ledger_faults.clear()
            site.source_faults.clear()
            site.bigquery.heal()
        while self.reserved:
            self.commit_reserved()
        while self.reserved_items:
            self.commit_reserved_item()
        self.say("faults end, and a row comes now and then")
        self.add_rows(3)  # beside which a row that is refused without being named can be found guilty
        awake: tuple[int, ...] = (0, 1)
        if not self.setting.both_heal:
            self.kill(1)
            awake = (0,)
        self.pause(paused=False)
        for turn in range(60):
            self.tell_orders()
            self.clock.now += 100
            if turn % 10 == 9:
                self.add_rows(1)
            for slot in awake:
                if self._may_run(slot):
                    self.worker(slot).notice()
                    self.worker(slot).run()
            self.check()
            if all(check_end(site) is None for site in self.sites):
                break
        if self.setting.late_arrive_last:
            self.bigquery.arrive()
        self.check()
