"""How fast one worker catches up after an outage: `python -m bench.catch_up [--rows 200000]`.

So many rows wait in a table with ten indexes, on a private MariaDB and emulator, and a worker with the shipped settings
is started. Beside it, on the same rows: the floors (MariaDB's client reading them, appends of ready-made batches, the
UPDATEs that set the flags), and dlt as a whole process, with each of its backends, where `make peers` has put it.
A tenth as many rows show whether memory grows with the backlog, and what it costs when each row has an item besides.
"""

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from bench import backlog, floors, peers
from bench.carrying import Carried, carry
from bench.figures import Figure, Report, at_least, at_most, command_of, deliver, parser
from bench.processes import Ran
from bench.site import Site, site

ROWS, SMALL_ROWS = 200_000, 20_000
LONG_TAIL_SECONDS = 2.0


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--rows", type=int, default=ROWS)
    options.add_argument("--without-peer", action="store_true", help="only bq-sync and the floors")
    arguments = options.parse_args()
    rows = SMALL_ROWS if arguments.small else arguments.rows
    with tempfile.TemporaryDirectory(prefix="bq-sync-catch-up-") as directory:
        report = measure(Path(directory), rows, peer=peers.is_there() and not arguments.without_peer)
    deliver(report, arguments.json)


def measure(directory: Path, rows: int, *, peer: bool) -> Report:
    with site(directory / "whole") as measured:
        backlog.add_indexes(measured.engine)
        backlog.fill(measured.engine, rows)
        row_bytes = backlog.bytes_of_a_row(measured.engine)
        took = {"C client": floors.dump(measured), "appends": floors.append(measured, rows)}
        loads = peers.load_by_each(measured, rows) if peer else {}
        whole = carry(measured, rows)
        wrong = missing_or_doubled(measured, rows)
        took["flag UPDATEs"] = floors.flag(measured, rows)
    tenth = carry_anew(directory / "tenth", rows // 10, items=False)
    with_items = carry_anew(directory / "items", rows // 10, items=True)
    return Report(
        "Catch-up",
        command_of("catch_up"),
        [
            *of_worker(whole, wrong, tenth, with_items),
            *against_floors(whole, {name: rows / seconds for name, seconds in took.items()}),
            *against_peer(whole, loads),
        ],
        notes=[
            f"{rows:,} rows of {row_bytes:,.0f} bytes; the worker has the shipped settings.",
            *tail_note(whole),
            *([] if loads else ["dlt wasn't asked: `make peers` installs it."]),
        ],
        raw={
            "rows": rows,
            "bytes_of_a_row": row_bytes,
            "worker": asdict(whole),
            "worker_with_a_tenth": asdict(tenth),
            "worker_with_items": asdict(with_items),
            "floor_seconds": took,
            "dlt": {backend: _without_output(ran) for backend, ran in loads.items()},
        },
    )


def carry_anew(directory: Path, rows: int, *, items: bool) -> Carried:
    """The same on a site of its own; with `items` each row has one in the queue."""
    with site(directory) as measured:
        backlog.add_indexes(measured.engine)
        backlog.fill(measured.engine, rows)
        if items:
            backlog.enqueue(measured.engine)
        return carry(measured, rows)


def missing_or_doubled(measured: Site, rows: int) -> int:
    """How many rows aren't in BigQuery, and how many are there more than once."""
    settings = measured.settings
    name = f"{settings.project_id}.{settings.dataset_id}.{settings.tables[backlog.TABLE].destination}"
    with closing(measured.emulator.client()) as client:
        (found,) = client.query_and_wait(f"SELECT COUNT(*), COUNT(DISTINCT event_id) FROM `{name}`")  # noqa: S608  ours
    return int((rows - found[1]) + (found[0] - found[1]))


def of_worker(whole: Carried, wrong: int, tenth: Carried, with_items: Carried) -> Sequence[Figure]:
    return [
        Figure("rows from start to last flag", whole.rate, "rows/s"),
        Figure("missing or doubled in BigQuery", wrong, "rows", at_most(0)),
        Figure("CPU of the worker", whole.worker_cpu_seconds, "s"),
        Figure("CPU of MariaDB", whole.database_cpu_seconds, "s"),
        Figure("CPU of the emulator", whole.emulator_cpu_seconds, "s"),
        Figure("peak memory of the worker", whole.peak_mb, "MB", at_most(250)),
        Figure("that, to that with a tenth of the rows", whole.peak_mb / tenth.peak_mb, "", at_most(1.1)),
        Figure("rate with a tenth of the rows", tenth.rate, "rows/s"),
        Figure("rate of a tenth, each with an item", with_items.rate, "rows/s"),
    ]


def against_floors(whole: Carried, rates: Mapping[str, float]) -> Sequence[Figure]:
    """The floors' rates, and the worker's share of the slowest."""
    return [
        *(Figure(f"floor: {name}", rate, "rows/s") for name, rate in rates.items()),
        Figure("worker to the slowest floor", whole.rate / min(rates.values()), "", at_least(0.7)),
    ]


def against_peer(whole: Carried, loads: Mapping[str, Ran]) -> Sequence[Figure]:
    """What dlt took with each backend, and the worker against the fastest."""
    if not loads:
        return []
    fastest = min(loads.values(), key=lambda ran: ran.seconds)
    figures = [
        figure
        for backend, ran in loads.items()
        for figure in (
            Figure(f"dlt, {backend}", whole.rows / ran.seconds, "rows/s"),
            Figure(f"dlt, {backend}: CPU", ran.cpu_seconds, "s"),
            Figure(f"dlt, {backend}: peak memory", ran.peak_mb, "MB"),
        )
    ]
    return [
        *figures,
        Figure("worker's rate to the fastest dlt's", fastest.seconds / whole.seconds, "", at_least(1)),
        Figure("worker's memory to that dlt's", whole.peak_mb / fastest.peak_mb, "", at_most(0.5)),
    ]


def tail_note(whole: Carried) -> Sequence[str]:
    """A word where much of the time was waiting for the end of an interval."""
    if whole.tail_seconds < LONG_TAIL_SECONDS:
        return []
    return [
        f"For the last {whole.tail_seconds:.1f} s fewer rows than a batch has waited, for the end of interval_seconds:"
        f" without them {whole.rate_before_tail:,.0f} rows/s."
    ]


def _without_output(ran: Ran) -> dict[str, float]:
    return {"seconds": ran.seconds, "cpu_seconds": ran.cpu_seconds, "peak_mb": ran.peak_mb}


if __name__ == "__main__":
    main()
