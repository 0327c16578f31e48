"""One table, BigQuery and its workers, for histories that are told step by step and kept for good."""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from delivery.ledger import BatchState, ItemStatus
from delivery.rows import Key
from mapping.compile import TableMapping
from tests.fakes.clock import FakeScheduler
from tests.fakes.database import MemoryDatabase
from tests.fakes.destination import MemoryDestination, Row
from tests.fakes.mapping import event_id, sample_mapping
from tests.simulation.stepped import COMMIT, Killed, Surroundings, Worker

HOUR = 3600.0
TWO_INTERVALS = 70.0  # s: what waits is found, gathered and sent in that time
REFUSED = "refused"  # a label that BigQuery doesn't take


class Site:
    """`worker` is the youngest one; those before it are dead or frozen, unless `advance_all` lets them run."""

    def __init__(
        self,
        *,
        batch_size: int = 2,
        mapping: TableMapping | None = None,
        bigquery: Callable[[MemoryDatabase], MemoryDestination] = lambda _: MemoryDestination(),
    ) -> None:
        self.db = MemoryDatabase()
        self.bigquery = bigquery(self.db)
        self.bigquery.refusal_of = lambda row: "label: no good" if _refused(row) else None
        self.scheduler = FakeScheduler(self.db.clock)
        self.surroundings = Surroundings()
        self.workers: list[Worker] = []
        self._batch_size = batch_size
        self._mapping = mapping or sample_mapping()
        self.start_worker()

    @property
    def worker(self) -> Worker:
        return self.workers[-1]

    def start_worker(self, *, lookup_first: bool = False) -> Worker:
        """A new worker takes over: the server has freed the lock of the one before, which is frozen or dead."""
        self.db.lock_holder = None
        self.workers.append(
            Worker(
                len(self.workers) + 1,
                self.db,
                self.bigquery,
                self.surroundings,
                self.scheduler,
                self._batch_size,
                self._mapping,
                lookup_first,
            )
        )
        return self.worker

    def advance(self, seconds: float) -> None:
        """Let time pass for the youngest worker alone."""
        self.worker.run()
        self.scheduler.advance(seconds, self.worker.run)

    def advance_all(self, seconds: float) -> None:
        self._run_all()
        self.scheduler.advance(seconds, self._run_all)

    def _run_all(self) -> None:
        for worker in self.workers:
            worker.run()

    def kill_and_replace(self) -> None:
        """The youngest worker dies, and a new one does all there is to do."""
        self.start_worker()
        self.advance(TWO_INTERVALS)

    def restore(self, dump: MemoryDatabase) -> None:
        """Put an older state into the running server, which keeps its locks."""
        holder = self.db.lock_holder
        self.db.become(dump.copy())
        self.db.lock_holder = holder

    # what must hold in the end

    def check(self) -> None:
        """Every row that can be sent is in BigQuery once, everything says so, and nothing waits."""
        good = {key for key, values in self.db.values.items() if values[1] not in (None, REFUSED)}
        self.check_arrived(good)
        assert self.db.flags == good
        failed = [item.record_id for item in self.db.items.values() if item.status is ItemStatus.FAILED]
        assert sorted(failed) == sorted(str(key) for key in self.db.values if key not in good)
        open_states = {ItemStatus.PENDING, ItemStatus.SYNCING}
        assert not [item for item in self.db.items.values() if item.status in open_states]
        assert not {BatchState.BEGUN, BatchState.APPENDED} & set(self.db.states())
        assert not any(worker.given_up for worker in self.workers)

    def check_arrived(self, keys: Collection[Key]) -> None:
        """Of our site's rows BigQuery has these, once each, and no others."""
        ours = [str(row["event_id"]) for row in self.bigquery.rows if row["tid"] == "T1"]
        assert sorted(ours) == sorted(map(event_id, keys))


def _refused(row: Row) -> bool:
    return row["label"] == REFUSED


def a_bit_of_everything() -> Site:
    """A worker before it did anything, and three batches of all kinds of rows for it."""
    site = Site()
    site.db.add_rows(1, 2, 3)
    site.db.add_rows(4, label=REFUSED)
    site.db.add_rows(5, label=None)
    site.db.add_rows(6)
    site.db.add_item(2)
    site.db.add_item(6)
    return site


def a_single_batch() -> Site:
    """A worker before it did anything, and two rows for it, which are sent at once."""
    site = Site()
    site.db.add_rows(1, 2)
    site.db.add_item(1)
    site.db.add_item(2)
    return site


def at_each_point(
    make: Callable[[], Site],
    befalls: Callable[[Site], object],
    ends: Callable[[Site], None],
    *,
    seconds: float = TWO_INTERVALS,
    in_transactions: bool = True,
) -> list[str]:
    """Live the history again and again; each time it befalls the youngest worker at another of its points.

    A worker that is killed there stays dead. Returns the names of the points.

    Args:
        befalls: what happens while the worker is at that point, in the middle of its work.
        ends: what happens then, and must hold.
        seconds: how long the history is without it.
        in_transactions: also while the worker has a transaction open, which nobody else can read or write beside.
    """
    undisturbed = make()
    undisturbed.advance(seconds)
    names = undisturbed.worker.points.passed
    for number, name in enumerate(names):
        if name != COMMIT or in_transactions:
            site = make()
            site.worker.points.events = {number: partial(befalls, site)}
            with noted(f"it befell the worker {name} (point {number} of {len(names)})"):
                living(site, seconds)
                ends(site)
    return names


def at_the_point(site: Site, name: str, befalls: Callable[[Site], object], seconds: float = TWO_INTERVALS) -> None:
    """Let it befall the youngest worker when it passes the first point of this name."""
    done: list[str] = []

    def event() -> None:
        done.append(name)
        befalls(site)

    site.worker.points.on[name] = event
    living(site, seconds)
    assert done, f"the worker didn't come {name}"


def living(site: Site, seconds: float) -> None:
    """Let time pass for the youngest worker, until it is killed."""
    with suppress(Killed):
        site.advance(seconds)


def die(_: Site) -> None:
    """Befalls a worker: kill -9."""
    raise Killed


@contextmanager
def noted(note: str) -> Iterator[None]:
    """Say which of many histories it was that failed."""
    try:
        yield
    except Exception as error:
        error.add_note(note)
        raise
