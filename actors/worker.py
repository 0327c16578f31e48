"""The worker process, wired on one page: what is made of what, in the order in which it starts and stops."""

import signal
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

import pykka
import structlog
from sqlalchemy.exc import SQLAlchemyError

from actors.bq_writer import WriterLimits
from actors.command_reader import CommandReader
from actors.housekeeping import open_housekeeping, schedule_of
from actors.measures import Instruments, Measures
from actors.memory import save_memory
from actors.messages import LeaseGone, RetryDue, Stop, Tick
from actors.owned import TableBlockedError
from actors.parts import Clock, Link, Scheduler
from actors.scheduler import SystemClock, ThreadScheduler
from actors.table import OpenedTable
from actors.table_owner import TableOwner
from actors.watch import Heartbeat, start_monitor
from bigquery.connect import VERSION, Clients
from bigquery.connect import connect as connect_bigquery
from bigquery.heartbeat import HeartbeatTable
from bigquery.insert_all import InsertAll
from bigquery.metadata import read_table
from bigquery.storage_write import StorageWrite
from config.settings import Settings
from database.catalogue import read_source_table
from database.commands import Orders, read_orders
from database.durability import Durability, read_durability
from database.engine import Engines, connect, connect_for_looking, connect_for_reading, connect_unpooled
from database.failures import explain
from database.leases import grant
from database.ledger import SqlLedger
from database.locks import Locks
from database.prepared import lacking
from database.server import keeps_utc
from database.site import site_id
from database.source import SourceColumns, SqlSource
from delivery.destination import Destination
from delivery.errors import LedgerError
from delivery.lease import Lease
from delivery.source import SourceError
from mapping.compile import MappingError, compile_mapping
from mapping.schema import BigQueryTable, SourceTable
from operations.heartbeat import send_heartbeat

STOP_SECONDS = 3.0  # honcho kills after 5 s; what isn't finished by then is recovered
WRITERS_PER_TABLE = 4  # BqWriter, SyncMarker, TableOwner and RetentionActor each use one at a time

log = structlog.get_logger(__name__)

Opener = Callable[[Settings, str, Engines, Clients, Scheduler, Clock], OpenedTable]


class Worker:
    """Owns, or stands by for, the given tables of the configuration (default: all of them).

    Args:
        lookup_first: the database went back in time: every waiting row is looked up in BigQuery before it is sent.
        failed: called once, from any thread, when this process should end and be started anew.
        opener: makes what carries a table; default: `open_table`.
        instruments: what it is measured with; default: nothing.
        site_known: is told the site's id as soon as the database has said it, and maybe again; from any thread.
    """

    def __init__(
        self,
        settings: Settings,
        database_url: str,
        tables: Sequence[str] = (),
        lookup_first: bool = False,
        failed: Callable[[str], None] = log.error,
        opener: Opener | None = None,
        instruments: Instruments | None = None,
        site_known: Callable[[str], None] = lambda _: None,
    ) -> None:
        instruments = instruments or Instruments()
        self._site_known = site_known
        self._tables = tuple(tables) or tuple(settings.tables)
        self._scheduler = ThreadScheduler()
        self._clients = connect_bigquery(settings)
        many = len(self._tables)
        self._engines = Engines(
            write=connect(database_url, connections=WRITERS_PER_TABLE * many),
            read=connect_for_reading(database_url, connections=2 * many + 1),  # Pollers, RetentionActors, CommandReader
        )
        locks = connect_unpooled(database_url)
        for engine, purpose in ((self._engines.write, "write"), (self._engines.read, "read"), (locks, "locks")):
            instruments.observe_engine(engine, purpose)
        self._locks = Locks(locks, self._locks_lost)
        self._stopped = {table: threading.Event() for table in self._tables}
        self._owners: dict[str, pykka.ActorRef[TableOwner]] = {}
        for table in self._tables:
            measures = instruments.of_table(table)
            self._owners[table] = TableOwner.start(
                table,
                self._locks,
                self._grant,
                SqlLedger(self._engines.write),
                partial(self._open, opener or open_table, settings, table, measures),
                self._scheduler,
                SystemClock(),
                give_up=failed,
                stopped=self._stopped[table].set,
                lookup_first=lookup_first,
                measures=measures,
            )
            measures.watch_mailbox("TableOwner", Link(self._owners[table]).waiting)
        self._commands = CommandReader.start(
            self._owners,
            self._read_orders,
            self._scheduler,
            lambda name, error: failed(f"{name} failed ({type(error).__name__}): see the log"),
        )
        looking = connect_for_looking(database_url)
        instruments.observe_engine(looking, "monitor")
        self._monitor = start_monitor(
            settings, looking, self._engines.write, self._locks, self._scheduler, self._heartbeat(settings)
        )

    def start(self) -> None:
        for owner in self._owners.values():
            owner.tell(RetryDue(0))
        self._commands.tell(Tick())
        self._monitor.tell(Tick())

    def stop(self) -> None:
        """Finish what is begun, for STOP_SECONDS at most in all. Then the process has to end: threads may hang."""
        self._monitor.stop(block=False)
        for owner in self._owners.values():
            if owner.is_alive():
                owner.tell(Stop())
        deadline = SystemClock().monotonic() + STOP_SECONDS
        for table, stopped in self._stopped.items():
            if not stopped.wait(max(0.0, deadline - SystemClock().monotonic())):
                log.warning("stopped in the middle; the next start recovers", table=table)
        self._locks.close()

    def _grant(self, lease: Lease) -> None:
        """See `database.leases.grant`. A database of an older version is waited for, like one that doesn't answer."""
        try:
            with self._engines.read.connect() as connection:
                missing = lacking(connection)
        except SQLAlchemyError as error:
            raise LedgerError(explain(error), outcome_unknown=False) from error
        if missing:
            reason = f"the database has no {', '.join(missing)}: run `bq-sync migrate`"
            raise LedgerError(reason, outcome_unknown=False)
        grant(self._engines.write, lease)

    def _open(self, opener: Opener, settings: Settings, table: str, measures: Measures) -> OpenedTable:
        try:
            self._site_known(site_id(self._engines.write, settings.site_id))
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error
        opened = opener(settings, table, self._engines, self._clients, self._scheduler, SystemClock())
        return replace(opened, measures=measures)

    def _locks_lost(self, connection_id: int, reason: str) -> None:
        for owner in self._owners.values():
            owner.tell(LeaseGone(reason, connection_id))
        Link(self._monitor).tell(LeaseGone(reason, connection_id))

    def _heartbeat(self, settings: Settings) -> Heartbeat | None:
        if settings.heartbeat_table is None:
            return None
        return partial(send_heartbeat, HeartbeatTable(self._clients.rest, settings).write, VERSION)

    def _read_orders(self, tables: Sequence[str]) -> Orders:
        try:
            with self._engines.read.connect() as connection:
                return read_orders(connection, tables)
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error


def open_table(
    settings: Settings, name: str, engines: Engines, clients: Clients, scheduler: Scheduler, clock: Clock
) -> OpenedTable:
    """Read catalogue and schema, and make everything that carries the table. Called anew for each pipeline.

    Raises:
        TableBlockedError: with all that has to be mended first.
        SourceError, DestinationError: the database or BigQuery doesn't answer.
    """
    table = settings.tables[name]
    source, durability, site = _read_database(settings, name, engines)
    destination = read_table(clients.rest, settings, table.destination)
    try:
        mapping = compile_mapping(name, table, source, destination, settings.zone, site, settings.write_method)
    except MappingError as error:
        raise TableBlockedError(error.problems) from error
    columns = SourceColumns(table, source, settings.zone, lambda: datetime.now(UTC))
    writing = _writing(clients, settings, destination)
    return OpenedTable(
        settings,
        table,
        mapping,
        SqlLedger(engines.write, columns.flagging),
        SqlSource(engines.read, name, columns, mapping.source_columns, mapping.key_of),
        writing,
        WriterLimits(durability.new_stream_seconds, clients.uplink),
        durability.may_undo_commits,
        scheduler,
        clock,
        housekeeping=open_housekeeping(settings, engines, clients, source, destination, writing, site),
        schedule=schedule_of(settings, site, name),
    )


def _writing(clients: Clients, settings: Settings, table: BigQueryTable) -> Destination:
    match settings.write_method:
        case "storage_write":
            return StorageWrite(clients, settings, table)
        case "insert_all":
            return InsertAll(clients, settings, table)


def _read_database(settings: Settings, name: str, engines: Engines) -> tuple[SourceTable, Durability, str]:
    problems = []
    try:
        with engines.read.connect() as connection:
            source = read_source_table(connection, name)
            durability = read_durability(connection)
            if settings.zone is None and not keeps_utc(connection):
                problems.append(
                    "database_timezone is not set, and the server's zone isn't UTC: set it, such as Asia/Tokyo"
                )
        site = site_id(engines.write, settings.site_id)
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error
    if source is None:
        problems.append(f"{name}: the database has no such table: create it, or take it out of `tables`")
    elif source.engine.lower() != "innodb":
        problems.append(f"{name}: its engine is {source.engine}, which has no transactions: convert it to InnoDB")
    if durability.may_undo_commits and settings.on_unsafe_durability == "refuse":
        problems.append(
            "the server has a binary log with sync_binlog other than 1, so that a crash may undo any number of commits:"
            " set sync_binlog = 1, or on_unsafe_durability: lookup_first"
        )
    if problems or source is None:
        raise TableBlockedError(problems)
    return source, durability, site


def run_worker(
    settings: Settings,
    tables: tuple[str, ...] = (),
    lookup_first: bool = False,
    opener: Opener | None = None,
    stopping: Callable[[], None] = lambda: None,
    instruments: Instruments | None = None,
    site_known: Callable[[str], None] = lambda _: None,
) -> int:
    """Carry rows until SIGTERM or SIGINT, then end the process within 4 s, whatever hangs.

    `opener`, `instruments` and `site_known`: see Worker.

    Args:
        stopping: called when it begins to stop; what else the process holds has the same 4 s, not the time after them.

    Returns:
        The exit code: 0 after a signal; 1 when a table failed so often that the process should be started anew.

    Raises:
        SettingsError: no database is set, or the credentials can't be used.
    """
    ended = threading.Event()
    failures: list[str] = []

    def fail(reason: str) -> None:
        failures.append(reason)
        ended.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if not settings.enabled:
        log.warning("bq-sync is disabled and sends nothing: set BQ_SYNC_ENABLED=true, or enabled: true in the file")
        ended.wait()
        stopping()
        return 0
    save_memory()
    url = settings.require_database_url()
    worker = Worker(settings, url, tables, lookup_first, fail, opener, instruments, site_known)
    worker.start()
    ended.wait()
    stopping()
    for reason in failures:
        log.error("the process ends, to be started anew", reason=reason)
    worker.stop()
    return 1 if failures else 0
