"""The worker process: what it is made of, in the order in which it starts and stops."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import pykka
import structlog
from sqlalchemy.exc import SQLAlchemyError

from actors.bq_writer import WriterLimits
from actors.command_reader import CommandReader
from actors.garbage import collect_rarely
from actors.housekeeping import open_housekeeping, schedule_of
from actors.measures import Measures, WorkerInstruments
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
from bigquery.writing import writing
from config.settings import Settings
from database.commands import Orders, read_orders
from database.engine import Engines, connect, connect_for_looking, connect_for_reading, connect_unpooled
from database.failures import explain
from database.leases import grant
from database.ledger import SqlLedger
from database.locks import Locks
from database.other_work import OtherWork
from database.prepared import lacking
from database.site import site_id
from database.source import SqlSource
from delivery.errors import LedgerError
from delivery.lease import Lease
from delivery.source import SourceError
from delivery.throttle import Throttle
from operations.ending import Ending
from operations.heartbeat import send_heartbeat
from operations.opening import UnfitError, open_both_sides

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
        instruments: WorkerInstruments | None = None,
        site_known: Callable[[str], None] = lambda _: None,
    ) -> None:
        instruments = instruments or WorkerInstruments()
        self._site_known = site_known
        self._tables = tuple(tables) or tuple(settings.tables)
        self._scheduler = ThreadScheduler()
        self._clients = connect_bigquery(settings)
        many = len(self._tables)
        self._engines = Engines(
            write=connect(database_url, connections=WRITERS_PER_TABLE * many),
            # Pollers and RetentionActors, CommandReader and OtherWork.
            read=connect_for_reading(database_url, connections=2 * many + 2),
        )
        locks = connect_unpooled(database_url)
        looking = connect_for_looking(database_url)
        clock = SystemClock()
        others = OtherWork(self._engines.read, clock.monotonic)
        self._throttle = Throttle(settings.database_share, others, clock.monotonic, instruments.rested)
        for engine, purpose in {
            self._engines.write: "write",
            self._engines.read: "read",
            locks: "locks",
            looking: "monitor",
        }.items():
            instruments.observe_engine(engine, purpose)
            others.count(engine)
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
                clock,
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
        return replace(opened, measures=measures, throttle=self._throttle)

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
    try:
        opened = open_both_sides(settings, name, engines, clients)
    except UnfitError as error:
        raise TableBlockedError(error.problems) from error
    destination = writing(clients, settings, opened.destination)
    return OpenedTable(
        settings,
        opened.table,
        opened.mapping,
        SqlLedger(engines.write, opened.columns.flagging),
        SqlSource(
            engines.read,
            name,
            opened.columns,
            opened.mapping.source_columns,
            opened.mapping.key_of,
            by_columns=opened.mapping.read_columns is not None,
        ),
        destination,
        WriterLimits(opened.durability.new_stream_seconds, clients.uplink),
        opened.durability.may_undo_commits,
        scheduler,
        clock,
        housekeeping=open_housekeeping(
            settings, engines, clients, opened.source, opened.destination, destination, opened.site
        ),
        schedule=schedule_of(settings, opened.site, name),
    )


def run_worker(
    settings: Settings,
    tables: tuple[str, ...] = (),
    lookup_first: bool = False,
    opener: Opener | None = None,
    stopping: Callable[[], None] = lambda: None,
    instruments: WorkerInstruments | None = None,
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
    ending = Ending()
    if not settings.enabled:
        log.warning("bq-sync is disabled and sends nothing: set BQ_SYNC_ENABLED=true, or enabled: true in the file")
        ending.wait()
        stopping()
        return 0
    collect_rarely()
    url = settings.require_database_url()
    worker = Worker(settings, url, tables, lookup_first, ending.fail, opener, instruments, site_known)
    worker.start()
    failures = ending.wait()
    stopping()
    for reason in failures:
        log.error("the process ends, to be started anew", reason=reason)
    worker.stop()
    return 1 if failures else 0
