"""TableOwner: holds a table's lease, recovers, and then lets its pipeline work; drops it whole at any failure.

The only actor that may block: each of its calls has a deadline, and until they have answered nothing else can be done.
"""

from collections.abc import Callable

import structlog

from actors.messages import (
    AppendMeasured,
    ChildFailed,
    Drain,
    Drained,
    Flush,
    Flushed,
    FromPipeline,
    LeaseGone,
    LookupPassDone,
    LookupsChanged,
    QuotaExceeded,
    RecoveryNeeded,
    RetryDue,
    RetryNow,
    RowsSettled,
    StateChanged,
    Stop,
    TableState,
    WriterReady,
)
from actors.owned import Locks, Pipeline, Start, Table, TableBlockedError
from actors.parts import Clock, Scheduler, SupervisedActor, Upstream
from delivery.backoff import Backoff
from delivery.errors import DestinationError, ErrorClass, LeaseLost, LedgerError
from delivery.lease import Lease, new_token
from delivery.ledger import Ledger
from delivery.retry import PROBE_SECONDS
from delivery.source import SourceError

STANDBY_SECONDS = 2.0  # how often a standby asks for the lock: a take-over follows a death within 15 s
FAILURES_TO_GIVE_UP = 5
FAILURE_MEMORY_SECONDS = 300.0


class TableOwner(SupervisedActor):
    """One per table and process.

    Args:
        grant: makes a lease the table's (`database.ledger.grant`).
        ledger: writes the table's state and commands; a pipeline has its own.
        open_table: reads catalogue and schema anew, so that a table that was mended is carried again. Raises
            TableBlockedError, DestinationError, SourceError or LedgerError.
        give_up: ends the process: this table failed too often in a short time, or its owner did.
        lookup_first: an operator says that the database went back in time.
    """

    def __init__(
        self,
        table: str,
        locks: Locks,
        grant: Callable[[Lease], None],
        ledger: Ledger,
        open_table: Callable[[], Table],
        scheduler: Scheduler,
        clock: Clock,
        give_up: Callable[[str], None],
        stopped: Callable[[], None],
        lookup_first: bool = False,
        backoff: Backoff | None = None,
        database_backoff: Backoff | None = None,
    ) -> None:
        # Nobody is above this actor, and its process holds the lock: the process ends, so that another can take it.
        super().__init__(lambda _, error: give_up(f"{table}: its owner failed ({type(error).__name__}): see the log"))
        self._table = table
        self._locks = locks
        self._grant = grant
        self._ledger = ledger
        self._open_table = open_table
        self._scheduler = scheduler
        self._clock = clock
        self._give_up = give_up
        self._stopped = stopped
        self._lookup_first = lookup_first
        self._backoff = backoff or Backoff()
        self._database_backoff = database_backoff or Backoff.for_database()
        self._lease: Lease | None = None
        self._lost_connection: int | None = None  # whose lock we held when the lease was found to be gone
        self._opened: Table | None = None
        self._pipeline: Pipeline | None = None
        self._generation = 0
        self._attempt = 0
        self._next_rows: int | None = None
        self._noted: StateChanged | None = None
        self._waiting: dict[str, str] = {}  # which actors of the pipeline wait, and for what
        self._failures: list[float] = []
        self._sent = 0  # rows, by this process
        self._flushes: dict[int, int] = {}  # command: rows sent before it
        self._stopping = False
        self._log = structlog.get_logger(__name__).bind(table=table)

    def on_receive(self, message: object) -> None:
        match message:
            case RetryDue(attempt) if attempt == self._attempt and not self._stopping:
                self._try_to_work()
            case FromPipeline(generation, inner) if generation == self._generation:
                if self._stopping:
                    self._from_stopping_pipeline(inner)
                elif self._pipeline is not None:
                    self._from_pipeline(self._pipeline, inner)
            case LeaseGone() if self._stopping:
                self._end()
            case LeaseGone(reason, connection_id) if self._lease and connection_id == self._lease.connection_id:
                self._stand_by(reason)
            case Flush(command_id):
                self._flush(command_id)
            case Stop():
                self._stop()

    def _from_pipeline(self, pipeline: Pipeline, message: object) -> None:
        match message:
            case RowsSettled(sent=sent):
                self._sent += sent
                if sent:
                    self._backoff.reset()
                self._note_running()
                pipeline.writer.tell(message)  # first: from here on the rows may be found again
                pipeline.poller.tell(message)
            case WriterReady() | AppendMeasured() | QuotaExceeded():
                pipeline.batcher.tell(message)
            case StateChanged(state, reason, actor):
                self._actor_waits(actor, reason if state is TableState.WAITING else None)
            case LookupPassDone():
                self._end_lookups(pipeline)
            case Flushed(command_id):
                self._flushed(pipeline, command_id)
            case RecoveryNeeded(reason, next_rows, blocked, probe_after):
                self._drop_pipeline()
                self._next_rows = next_rows
                state = TableState.BLOCKED if blocked else TableState.WAITING
                self._wait(state, reason, probe_after if blocked else self._backoff.next())
            case LeaseGone(reason):
                self._lease_lost(reason)
            case ChildFailed(actor, error):
                self._child_failed(actor, error)

    def _from_stopping_pipeline(self, message: object) -> None:
        match message:
            case Drained() | RecoveryNeeded() | LeaseGone() | ChildFailed():
                self._end()  # the next owner recovers, as after any end

    # from nothing to a running pipeline

    def _try_to_work(self) -> None:
        self._attempt += 1  # a delay that is still running is void
        try:
            if (connection_id := self._locks.take(self._table)) is None:
                self._note_standby()
                self._later(STANDBY_SECONDS)
                return
            if connection_id == self._lost_connection:
                # The lock was ours all the time, so no other owner can have changed the token: a backup was restored.
                self._log.warning("the lease changed under our lock: every waiting row is looked up before it is sent")
                self._lookup_first = True
            lease = Lease(self._table, new_token(), connection_id)
            self._grant(lease)  # every transaction under an older one is refused from here on
            self._lease = lease
            self._note(StateChanged(TableState.RECOVERING))
            self._adopt_commands(lease)
            self._opened = self._open_table()
            appended, lookups = self._opened.recover(lease, self._lookup_first)
            self._lookup_first, self._lost_connection = False, None
            self._start(self._opened, Start(lease, appended, lookups, self._next_rows))
        except TableBlockedError as blocked:
            self._log.error("table blocked", problems=blocked.problems)
            self._wait(TableState.BLOCKED, str(blocked), PROBE_SECONDS)
        except DestinationError as error:
            held = error.failure.error_class is ErrorClass.BLOCKED
            state = TableState.BLOCKED if held else TableState.WAITING
            self._wait(state, error.failure.reason, PROBE_SECONDS if held else self._backoff.next())
        except (LedgerError, SourceError) as error:
            self._wait(TableState.WAITING, str(error), self._database_backoff.next())
        except LeaseLost as lost:
            self._lease_lost(str(lost))
        except Exception as error:  # noqa: BLE001  one table's trouble, whatever it is, is no other table's
            self._log.error("could not open or recover the table", exc_info=error)
            self._child_failed(type(self).__name__, error)

    def _start(self, opened: Table, start: Start) -> None:
        self._database_backoff.reset()
        self._generation += 1
        self._pipeline = opened.start(start, Upstream(self.actor_ref, self._generation))
        self._next_rows = None
        self._note(StateChanged(TableState.RUNNING))
        self._log.info("pipeline started", appended=len(start.appended), lookup_first=start.lookups.first)
        for command_id in self._flushes:
            self._pipeline.poller.tell(Flush(command_id))

    # and back

    def _drop_pipeline(self) -> None:
        self._generation += 1
        self._waiting.clear()
        pipeline, self._pipeline = self._pipeline, None
        opened, self._opened = self._opened, None
        if pipeline is not None:
            pipeline.stop()
        if opened is not None:
            opened.close()

    def _wait(self, state: TableState, reason: str, seconds: float) -> None:
        self._drop_pipeline()
        self._log.warning("not carrying rows", state=state.value, reason=reason, retry_in=round(seconds, 1))
        self._note(StateChanged(state, reason))
        self._later(seconds)

    def _lease_lost(self, reason: str) -> None:
        """The database knows our lease no longer. If our lock is still there, a backup was restored under it."""
        self._lost_connection = self._lease.connection_id if self._lease is not None else None
        self._stand_by(reason)

    def _stand_by(self, reason: str) -> None:
        """Whoever took the table over has it now; it is never just taken back."""
        self._log.warning("standing by", reason=reason)
        self._drop_pipeline()
        self._lease = None
        self._flushes.clear()
        self._later(STANDBY_SECONDS)

    def _note_standby(self) -> None:
        if self._noted != (standby := StateChanged(TableState.STANDBY)):
            self._log.info("another worker owns the table; standing by")
            self._noted = standby
        self._lease = None

    def _child_failed(self, actor: str, error: BaseException) -> None:
        now = self._clock.monotonic()
        self._failures = [at for at in self._failures if now - at < FAILURE_MEMORY_SECONDS] + [now]
        self._log.error("the pipeline is dropped", actor=actor, error=type(error).__name__)
        if len(self._failures) >= FAILURES_TO_GIVE_UP:
            self._give_up(f"{self._table}: {len(self._failures)} failures within {FAILURE_MEMORY_SECONDS:.0f} s")
            return
        self._wait(TableState.WAITING, f"{actor} failed ({type(error).__name__}): see the log", self._backoff.next())

    def _later(self, seconds: float) -> None:
        self._attempt += 1
        self._scheduler.after(seconds, self.actor_ref, RetryDue(self._attempt))

    # what the table's state says

    def _note(self, state: StateChanged) -> None:
        """Keep the state in the database, where it changed: nothing is written while nothing happens."""
        if self._lease is None or state == self._noted:
            return
        self._noted = state
        trouble = state.state in (TableState.WAITING, TableState.BLOCKED)
        try:
            with self._ledger.transaction(self._lease) as tx:
                tx.note_state(state.state, state.reason, error=trouble)
        except (LedgerError, LeaseLost) as error:
            self._noted = None  # written when the next rows are settled, or the state changes
            self._log.warning("could not write the table's state", state=state.state.value, reason=str(error))

    def _actor_waits(self, actor: str, reason: str | None) -> None:
        """An actor waits for something, or (None) no longer does; the table runs when none waits."""
        self._waiting.pop(actor, None)
        if reason is None:
            self._note_running()
        else:
            self._waiting[actor] = reason
            self._note(StateChanged(TableState.WAITING, reason))

    def _note_running(self) -> None:
        reason = next(iter(self._waiting.values()), None)
        self._note(StateChanged(TableState.RUNNING if reason is None else TableState.WAITING, reason))

    def _end_lookups(self, pipeline: Pipeline) -> None:
        if self._lease is None:
            return
        try:
            with self._ledger.transaction(self._lease) as tx:
                lookups = tx.end_lookups()
        except (LedgerError, LeaseLost) as error:
            self._log.warning("could not end the look-ups", reason=str(error))
            return  # rows are looked up for longer than needed; the next pass tries again
        self._log.info("every waiting row was looked up; rows are sent directly again")
        pipeline.poller.tell(LookupsChanged(lookups))

    # what an operator asks for

    def _flush(self, command_id: int) -> None:
        if self._lease is None or self._stopping or command_id in self._flushes:
            return  # its owner takes it, or nobody does and it is withdrawn
        try:
            with self._ledger.transaction(self._lease) as tx:
                if not tx.take_command(command_id):
                    return
        except (LedgerError, LeaseLost) as error:
            self._log.warning("could not take a command", command=command_id, reason=str(error))
            if isinstance(error, LeaseLost) or not error.outcome_unknown:
                return
        self._flushes[command_id] = self._sent
        if self._pipeline is not None:
            for actor in (self._pipeline.poller, self._pipeline.writer, self._pipeline.marker):
                actor.tell(RetryNow())
            self._pipeline.poller.tell(Flush(command_id))
        else:
            self._try_to_work()

    def _adopt_commands(self, lease: Lease) -> None:
        """Take on what another owner, or we before, took and didn't finish; only rows sent from now on are counted."""
        with self._ledger.transaction(lease) as tx:
            for command_id in tx.taken_commands():
                self._flushes.setdefault(command_id, self._sent)

    def _flushed(self, pipeline: Pipeline, command_id: int) -> None:
        before = self._flushes.get(command_id)
        if before is None or self._lease is None:
            return
        try:
            with self._ledger.transaction(self._lease) as tx:
                tx.finish_command(command_id, {"flushedCount": self._sent - before})
        except (LedgerError, LeaseLost) as error:
            self._log.warning("could not write down a command's result", command=command_id, reason=str(error))
            pipeline.poller.tell(Flush(command_id))  # it comes through again
        else:
            del self._flushes[command_id]

    # the end

    def _stop(self) -> None:
        self._stopping = True
        if self._pipeline is None:
            self._end()
        else:
            self._pipeline.stop_finding()
            self._pipeline.writer.tell(Drain())

    def _end(self) -> None:
        self._drop_pipeline()
        self._note(StateChanged(TableState.STOPPED))
        if self._lease is not None:
            self._lease = None
            self._locks.release(self._table)
        self._stopped()
