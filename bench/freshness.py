"""How long until a row is there: `python -m bench.freshness [--seconds 60] [--intervals 1 30] [--rates 1 50 500]`.

On a private MariaDB and emulator, with worker and API as they are deployed: a producer inserts so many rows a second on
average, at random times, each in a transaction of its own, and a query asks BigQuery again and again for rows that it
hadn't found before. A row's freshness is the time from the answer of its COMMIT to the end of the first query that
finds it. So it is up to a look's length too long, and never too short; how far looks are apart is printed beside it.

As shipped, rows are found by their flag. For comparison the last case has an item in the queue for each row, in its
transaction. The emulator is on this machine's cores, and makes rows visible as soon as it has them, as BigQuery does.
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench import priority
from bench.backlog import TABLE, add_indexes, fill, last_key
from bench.figures import Figure, Report, at_most, command_of, deliver, parser
from bench.latency import percentile
from bench.producer import Commit, Order, Producer
from bench.site import Site, site
from sandbox.child import ChildError

FEWEST_ROWS = 100  # of a case, so that its p99 isn't the slowest row alone
LOOK_SECONDS = 0.05  # from the beginning of a look to that of the next
GOALS = {(1.0, 0.5): 1.2, (1.0, 0.99): 2.5}  # by interval_seconds and share
PATIENCE_SECONDS = 60.0  # beyond the interval
SMALL = {"seconds": 8.0, "intervals": [1.0], "rates": [50.0]}


@dataclass(frozen=True, slots=True)
class Case:
    """One producer on one site."""

    interval: float
    rate: float
    enqueued: bool

    def __str__(self) -> str:
        how = ", enqueued" if self.enqueued else ""
        return f"interval_seconds {self.interval:g}, {self.rate:g} rows/s{how}"


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of a case's rows: the seconds until each was there, and those of each look and between two."""

    fresh: Sequence[float]
    looks: Sequence[float]
    gaps: Sequence[float]


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--seconds", type=float, default=60.0, help="of each case; longer where rows are few")
    made.add_argument("--intervals", type=float, nargs="+", default=[1.0, 30.0], help="interval_seconds")
    made.add_argument("--rates", type=float, nargs="+", default=[1.0, 50.0, 500.0], help="rows a second")
    arguments = made.parse_args()
    if arguments.small:
        made.set_defaults(**SMALL)
        arguments = made.parse_args()
    seen: dict[Case, Seen] = {}
    for interval in arguments.intervals:
        with _site(interval) as measured:
            for case in cases(interval, arguments):
                seen[case] = measure(measured, case, max(arguments.seconds, FEWEST_ROWS / case.rate))
    deliver(report(seen), arguments.json)


def cases(interval: float, arguments: argparse.Namespace) -> Iterator[Case]:
    for rate in arguments.rates:
        yield Case(interval, rate, enqueued=False)
    if interval == min(arguments.intervals):
        yield Case(interval, sorted(arguments.rates)[len(arguments.rates) // 2], enqueued=True)


def measure(measured: Site, case: Case, seconds: float) -> Seen:
    warm_up = min(case.interval, 5.0)
    order = Order(case.rate, seconds, warm_up=warm_up, enqueued=case.enqueued)
    watch = Watch(measured, after=last_key(measured.engine))
    producer = Producer(measured.url, order, measured.directory / "producer.log")
    with watch:
        commits = producer.commits()
        end = time.monotonic() + case.interval + PATIENCE_SECONDS
        while not all(commit.key in watch.found for commit in commits):
            if time.monotonic() > end:
                raise ChildError(f"rows never came to BigQuery: see the logs in {measured.directory}")
            time.sleep(LOOK_SECONDS)
    return Seen(freshness(commits, watch.found), watch.looks, watch.gaps)


def freshness(commits: Sequence[Commit], found: Mapping[int, float]) -> Sequence[float]:
    """The seconds from each commit until its row was found."""
    return [found[commit.key] - commit.ended for commit in commits]


@dataclass
class Watch:
    """Looks for rows in BigQuery, on a thread of its own, from `__enter__` to `__exit__`.

    Attributes:
        found: when each row was there, by its key.
        looks: how many seconds each look took.
        gaps: the seconds from the beginning of each to the end of the next: what a row may have been there before.
    """

    site: Site
    after: int  # all rows up to this key are known
    found: dict[int, float] = field(default_factory=dict)
    looks: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        assert self._thread is not None
        self._thread.join()

    def _run(self) -> None:
        with self._look() as look:
            before = time.monotonic()
            while not self._stopped.is_set():
                began = time.monotonic()
                keys = look(self.after)
                ended = time.monotonic()
                self.looks.append(ended - began)
                self.gaps.append(ended - before)
                before = began
                self.found.update((key, ended) for key in keys if key not in self.found)
                while self.after + 1 in self.found:
                    self.after += 1
                self._stopped.wait(max(0.0, began + LOOK_SECONDS - time.monotonic()))

    @contextmanager
    def _look(self) -> Iterator[Callable[[int], Sequence[int]]]:
        """What asks for the keys behind a key; a row's id in BigQuery is det_ and its key."""
        settings = self.site.settings
        name = f"`{settings.project_id}.{settings.dataset_id}.{settings.tables[TABLE].destination}`"
        key = "CAST(SUBSTR(event_id, 5) AS INT64)"
        with closing(self.site.emulator.client()) as client:
            yield lambda after: [
                row.id
                for row in client.query_and_wait(f"SELECT {key} AS id FROM {name} WHERE {key} > {after}")  # noqa: S608  ours
            ]


def report(seen: Mapping[Case, Seen]) -> Report:
    figures = []
    for case, each in seen.items():
        for share in (0.5, 0.99):
            goal = GOALS.get((case.interval, share))
            value = percentile(each.fresh, share)
            figures.append(Figure(f"{case}: p{100 * share:g}", value, "s", None if goal is None else at_most(goal)))
    looks = [look for each in seen.values() for look in each.looks]
    gaps = [gap for each in seen.values() for gap in each.gaps]
    figures.append(Figure("a look in BigQuery: p50", 1000 * percentile(looks, 0.5), "ms"))
    figures.append(Figure("a row is found at most so much too late: p99", 1000 * percentile(gaps, 0.99), "ms"))
    raw = {
        str(case): {"rows": len(each.fresh)}
        | {f"p{100 * share:g}": percentile(each.fresh, share) for share in (0.01, 0.1, 0.5, 0.9, 0.99, 1.0)}
        for case, each in seen.items()
    }
    return Report("Freshness", command_of("freshness"), figures, raw=raw)


@contextmanager
def _site(interval: float) -> Iterator[Site]:
    """A site that carries rows already."""
    with (
        tempfile.TemporaryDirectory(prefix="bq-sync-freshness-") as directory,
        priority.background() as background,
        site(Path(directory), interval_seconds=interval, retention_schedule="never") as measured,
    ):
        add_indexes(measured.engine)
        fill(measured.engine, 1)
        for command in ("worker", "api"):
            background.take(measured.start(command).pid)
        progress = measured.progress()
        while progress.waiting():
            time.sleep(LOOK_SECONDS)
        yield measured


if __name__ == "__main__":
    main()
