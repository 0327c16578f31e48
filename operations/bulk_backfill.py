"""`bq-sync backfill --load`: the history of very large tables, by load jobs, while no worker owns the table."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from bigquery.loading import Loading
from bigquery.writing import writing
from database.backfill import SqlSelectedRows
from database.engine import connect_unpooled
from database.leases import grant
from database.ledger import SqlLedger
from database.locks import Locks
from database.source import SqlSource
from delivery import steps
from delivery.backfill import BackfillError, Selection
from delivery.backfill_report import BackfillReport
from delivery.bulk_backfill import BulkBackfill, Limits
from delivery.destination import Destination
from delivery.doubts import Doubts
from delivery.errors import LeaseLost, LedgerError
from delivery.lease import Lease, new_token
from delivery.recovery import Recovery
from delivery.steps import Gentle
from mapping.orphans import Orphans
from mapping.parquet import ParquetChunk
from operations.backfill import demand_selectable
from operations.opening import Opened, open_both_sides
from operations.reaching import Reached

OWNS = "`bq-sync backfill --load` owns it: new rows wait, and are sent when it has ended and a worker runs"


def bulk_backfill(
    reached: Reached, name: str, selection: Selection, limits: Limits, report: BackfillReport, show: Callable[[], None]
) -> None:
    """Have all history of one table sent, that of the selection alone, chunk by chunk.

    Args:
        show: called again and again; `report` says how far it is.

    Raises:
        BackfillError, UnfitError: nothing was done, or nothing more can be as things are.
        SourceError, LedgerError, DestinationError: it ended in the middle; begun anew it goes on.
        LeaseLost: likewise; somebody else owns the table now.
    """
    settings, clients = reached.settings, reached.clients
    opened = open_both_sides(settings, name, reached.engines, clients, "storage_write")  # rows as Arrow has them
    demand_selectable(opened, selection, datetime.now(UTC))
    loading = Loading(clients, settings, opened.destination, opened.site)
    loading.try_out()
    with _directory(limits) as directory, _owning(reached, opened) as lease:
        destination = writing(clients, settings, opened.destination)
        try:
            run = _bulk_backfill(reached, opened, lease, destination, loading, selection, limits, report, directory)
            steps.run(run.steps(), time.sleep, show)
        finally:
            destination.close()


def _bulk_backfill(
    reached: Reached,
    opened: Opened,
    lease: Lease,
    destination: Destination,
    loading: Loading,
    selection: Selection,
    limits: Limits,
    report: BackfillReport,
    directory: Path,
) -> BulkBackfill:
    settings, read, mapping = reached.settings, reached.engines.read, opened.mapping
    ledger = SqlLedger(reached.engines.write, opened.columns.flagging)
    source = SqlSource(read, lease.table, opened.columns, mapping.source_columns, mapping.key_of)
    if opened.durability.may_undo_commits:
        with ledger.transaction(lease) as tx:
            tx.begin_lookups()  # before: of such a ledger recovery believes no counts
    recovery = Recovery(
        lease,
        ledger,
        destination,
        Orphans(source, mapping).read,
        Doubts(time.monotonic),
        settings.stream_settle_seconds,
        settings.lookup_settle_seconds,
    )
    numbers = count(1)
    return BulkBackfill(
        lease,
        ledger,
        recovery.run,
        SqlSelectedRows(read, opened.table, opened.source, opened.columns, selection),
        source,
        loading,
        lambda: ParquetChunk(directory / f"{next(numbers)}.parquet", mapping),
        Limits(limits.rows, limits.nbytes, opened.durability.new_stream_seconds),
        Gentle(time.monotonic),
        report,
    )


@contextmanager
def _directory(limits: Limits) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="bq-sync-backfill-") as directory:
        free = shutil.disk_usage(directory).free
        if free < limits.nbytes:
            raise BackfillError(
                f"{Path(directory).parent} has {free / 1e6:,.0f} MB left, and a file of rows may take "
                f"{limits.nbytes / 1e6:,.0f} MB: set TMPDIR to another directory, or say --chunk-megabytes"
            )
        yield Path(directory)


@contextmanager
def _owning(reached: Reached, opened: Opened) -> Iterator[Lease]:
    """The table's lock and a new lease, as a worker's owner has them. Raises BackfillError, LedgerError."""
    name, write = opened.source.name, reached.engines.write
    locks = Locks(connect_unpooled(write.url), on_lost=lambda *_: None)  # the next transaction finds out
    try:
        connection_id = locks.take(name)
        if connection_id is None:
            raise BackfillError(
                f"a worker owns {name}: stop the worker of this table first; its new rows wait meanwhile, "
                "and are sent when it starts again"
            )
        lease = Lease(name, new_token(), connection_id)
        grant(write, lease)
        ledger = SqlLedger(write)
        with ledger.transaction(lease) as tx:
            if tx.is_paused():
                raise BackfillError(f"{name} is paused: bq-sync resume --table {name}")
            tx.note_state("waiting", OWNS, error=False)
        try:
            yield lease
        finally:
            with suppress(LedgerError, LeaseLost), ledger.transaction(lease) as tx:
                tx.note_state("stopped", None, error=False)
    finally:
        locks.close()
