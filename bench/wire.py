"""What bq-sync sends and receives for a row: `python -m bench.wire [--rows 20000] [--trickle-seconds 60]`.

A private MariaDB and emulator for each way of writing, plain and compressed, with proxies in between that count: one
before the emulator's REST, one before its gRPC, one before the database. First rows trickle, one a second at random
times; then a backlog is carried, as fast as it can be (beside others its batches would be smaller). Then nothing
happens: in the first minute connections that are no longer needed close, in the second nothing may be said at all.

Beside it stand the rows' own JSON, as BigQuery has them: one object a row, without its NULLs, JSON columns as JSON, a
line each; plain, and compressed by zlib at level 6, the rows of each batch that was sent as one stream. Counted is what
is inside of TCP; TLS, which the emulator doesn't speak, adds 22 bytes to each record of up to 16 KB, and some 5 KB to
each new connection.
"""

import argparse
import re
import tempfile
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice, product
from pathlib import Path

import orjson
from sqlalchemy import Engine, text

from bench import backlog
from bench.backlog import TABLE
from bench.figures import Figure, Report, at_most, command_of, deliver, parser
from bench.producer import Order, Producer
from bench.site import LOOK_SECONDS, Site, site
from sandbox.child import Child
from sandbox.proxy import Proxy

METHODS = ("storage_write", "insert_all")
COMPRESSIONS = ("none", "gzip")
LEVEL = 6
LONGEST_SECONDS = 300.0
SMALL = {"methods": METHODS[:1], "rows": 1000, "trickle_seconds": 5.0, "rest_seconds": 5.0, "interval": 3.0}


@dataclass(frozen=True, slots=True)
class Bytes:
    """What went over the lines: to and from BigQuery by REST and by gRPC, to and from the database."""

    rest_sent: int
    rest_received: int
    grpc_sent: int
    grpc_received: int
    database_sent: int
    database_received: int

    @property
    def sent(self) -> int:
        """To BigQuery."""
        return self.rest_sent + self.grpc_sent

    @property
    def received(self) -> int:
        return self.rest_received + self.grpc_received

    def __sub__(self, before: "Bytes") -> "Bytes":
        then = asdict(before)
        return Bytes(**{name: value - then[name] for name, value in asdict(self).items()})


@dataclass(frozen=True, slots=True)
class Lines:
    """The proxies that a worker reaches everything through."""

    rest: Proxy
    grpc: Proxy
    database: Proxy

    def counted(self) -> Bytes:
        lines = (self.rest, self.grpc, self.database)
        return Bytes(*(count for line in lines for count in (line.sent, line.received)))


@dataclass(frozen=True, slots=True)
class Case:
    """Some rows that were carried, the bytes that it took, and those of their own JSON."""

    name: str
    compression: str
    rows: int
    batches: int
    bytes: Bytes
    json: int
    json_compressed: int


@dataclass(frozen=True, slots=True)
class Rest:
    """What was said while nothing happened: in the time in which connections close, and after it."""

    method: str
    closing: Bytes
    quiet: Bytes


def main() -> None:
    made = parser(__doc__)
    made.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    made.add_argument("--rows", type=int, default=20_000, help="of the backlog")
    made.add_argument("--trickle-seconds", type=float, default=60.0)
    made.add_argument("--rest-seconds", type=float, default=60.0, help="of each of the two times without anything")
    made.add_argument("--interval", type=float, default=30.0, help="interval_seconds")
    arguments = made.parse_args()
    if arguments.small:
        made.set_defaults(**SMALL)
        arguments = made.parse_args()
    cases: list[Case] = []
    rests: list[Rest] = []
    for method, compression in product(arguments.methods, COMPRESSIONS):
        with _site(method, compression, arguments.interval) as (measured, lines):
            worker = start(measured)
            cases += carry(measured, lines, worker, f"{method}, {compression}", compression, arguments)
            if compression == COMPRESSIONS[0]:
                rests.append(rest(lines, method, arguments.rest_seconds))
    deliver(report(cases, rests), arguments.json)


def start(measured: Site) -> Child:
    """A worker that has carried its first row, and with it all that starting takes."""
    backlog.fill(measured.engine, 1)
    worker = measured.start("worker")
    _until_carried(measured, worker)
    return worker


def carry(
    measured: Site, lines: Lines, worker: Child, name: str, compression: str, arguments: argparse.Namespace
) -> Iterator[Case]:
    def case(kind: str) -> Case:
        _until_carried(measured, worker)
        last = backlog.last_key(measured.engine)
        counted = lines.counted() - before
        rows, sizes = own_json(measured, first), batch_sizes(measured.engine, first_batch)
        if not len(rows) == last - first + 1 == sum(sizes):
            raise worker.failure(f"carried {last - first + 1} rows, of which {len(rows)} are in BigQuery")
        compressed = sum(len(zlib.compress(b"\n".join(some), LEVEL)) for some in split(rows, sizes))
        plain = len(b"\n".join(rows))
        return Case(f"{name}, {kind}", compression, len(rows), len(sizes), counted, plain, compressed)

    first, first_batch, before = backlog.last_key(measured.engine) + 1, last_batch(measured.engine) + 1, lines.counted()
    order = Order(rate=1.0, seconds=arguments.trickle_seconds, warm_up=0.0)
    Producer(measured.url, order, measured.directory / "producer.log").commits()
    yield case("trickling")
    first, first_batch, before = backlog.last_key(measured.engine) + 1, last_batch(measured.engine) + 1, lines.counted()
    backlog.fill(measured.engine, arguments.rows)
    yield case("catching up")


def rest(lines: Lines, method: str, seconds: float) -> Rest:
    counted = [lines.counted()]
    for _ in range(2):
        time.sleep(seconds)
        counted.append(lines.counted())
    return Rest(method, counted[1] - counted[0], counted[2] - counted[1])


def own_json(measured: Site, first: int) -> Sequence[bytes]:
    """The rows from this key on, each as an object, as BigQuery has them."""
    settings = measured.settings
    table = f"`{settings.project_id}.{settings.dataset_id}.{settings.tables[TABLE].destination}`"
    key = "CAST(SUBSTR(event_id, 5) AS INT64)"
    query = f"SELECT * FROM {table} WHERE {key} >= {first} ORDER BY {key}"  # noqa: S608  ours
    with closing(measured.emulator.client()) as client:
        return [as_json(dict(row)) for row in client.query_and_wait(query)]


def as_json(row: Mapping[str, object]) -> bytes:
    """The object, without the columns that are NULL."""
    return orjson.dumps({name: value for name, value in row.items() if value is not None}, default=str)


def last_batch(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.scalar(text("SELECT MAX(id) FROM bq_sync_batch")) or 0)


def batch_sizes(engine: Engine, first: int) -> Sequence[int]:
    """How many rows each batch had, from this one on."""
    with engine.connect() as connection:
        query = text("SELECT row_count FROM bq_sync_batch WHERE id >= :first ORDER BY id")
        return list(connection.scalars(query, {"first": first}))


def split(rows: Sequence[bytes], sizes: Sequence[int]) -> Iterator[Sequence[bytes]]:
    """The rows of each batch: they were read, and so sent, in the order of their keys."""
    rest = iter(rows)
    return (list(islice(rest, size)) for size in sizes)


def report(cases: Sequence[Case], rests: Sequence[Rest]) -> Report:
    figures = []
    for case in cases:
        figures.append(Figure(f"{case.name}: sent for a row", case.bytes.sent / case.rows, "bytes"))
        figures.append(Figure(f"{case.name}: received for a row", case.bytes.received / case.rows, "bytes"))
        figures.append(Figure(f"{case.name}: rows in a batch", case.rows / case.batches, ""))
        if case.compression == "none":
            figures.append(Figure(f"{case.name}: sent to its own JSON", case.bytes.sent / case.json, ""))
        else:
            ratio = case.bytes.sent / case.json_compressed
            figures.append(Figure(f"{case.name}: sent to its own JSON, compressed", ratio, "", at_most(1)))
    for each in rests:
        said = each.quiet.sent + each.quiet.received
        figures.append(Figure(f"{each.method}: sent and received at rest", said, "bytes", at_most(0)))
        said = each.closing.sent + each.closing.received
        figures.append(Figure(f"{each.method}: before that, as connections close", said, "bytes"))
    for case in cases:
        if case.compression == "none":
            exchanged = case.bytes.database_sent + case.bytes.database_received
            figures.append(Figure(f"{case.name}: to and from the database for a row", exchanged / case.rows, "bytes"))
    figures += [
        Figure("a row's own JSON", sum(case.json for case in cases) / sum(case.rows for case in cases), "bytes"),
        *(
            Figure(f"the same, compressed, {kind}", _compressed(cases, kind), "bytes")
            for kind in ("trickling", "catching up")
        ),
    ]
    raw = {"cases": [asdict(case) for case in cases], "rests": [asdict(each) for each in rests]}
    return Report("Wire", command_of("wire"), figures, raw=raw)


def _compressed(cases: Sequence[Case], kind: str) -> float:
    those = [case for case in cases if case.name.endswith(kind)]
    return sum(case.json_compressed for case in those) / sum(case.rows for case in those)


@contextmanager
def _site(method: str, compression: str, interval: float) -> Iterator[tuple[Site, Lines]]:
    settings = {"write_method": method, "compression": compression, "interval_seconds": interval, "database_share": 1}
    with (
        tempfile.TemporaryDirectory(prefix="bq-sync-wire-") as directory,
        site(Path(directory), retention_schedule="never", **settings) as measured,
        Proxy("127.0.0.1", measured.emulator.rest_port) as rest_line,
        Proxy("127.0.0.1", measured.emulator.grpc_port) as grpc_line,
        Proxy("127.0.0.1", measured.database.port) as database_line,
    ):
        measured.reach_bigquery_through(rest_line, grpc_line)
        url = re.sub(r":\d+/", f":{database_line.port}/", measured.url)
        measured.environment = {**measured.environment, "BQ_SYNC_DATABASE_URL": url}
        yield measured, Lines(rest_line, grpc_line, database_line)


def _until_carried(measured: Site, worker: Child) -> None:
    progress, end = measured.progress(), time.monotonic() + LONGEST_SECONDS
    while progress.waiting():
        if not worker.running or time.monotonic() > end:
            raise worker.failure("left rows waiting")
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main()
