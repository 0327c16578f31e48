"""TableOwner: holds a table's lease, recovers, and then lets its pipeline work; drops it whole at any failure.

The only actor that may block: each of its calls has a deadline, and until they have answered nothing else can be done.
"""

from collections.abc import Callable, Mapping

import structlog

from actors.commands import Order, TakenCommands
from actors.measures import Measures, NotMeasured
from actors.messages import (
    AppendMeasured,
    ChildFailed,
    Drain,
    Drained,
    Flush,
    Flushed,
    FromPipeline,
    HearAgain,
    HearAll,
    LeaseGone,
    LookupPassDone,
    LookupsChanged,
    Pause,
    QuotaExceeded,
    RecoveryNeeded,
    Resume,
    RetentionDone,
    RetryDue,
    RetryNow,
    RowsDecided,
    RowsSettled,
    RunRetention,
    StateChanged,
    Stop,
    StreamMade,
    TableState,
    WriterReady,
)
from actors.owned import Locks, Pipeline, Start, Table, TableBlockedError
from actors.parts import Clock, Scheduler, SupervisedActor, Upstream
from actors.set_aside import SetAside, Verdict
from actors.state_note import StateNote
from actors.tenure import Tenure
from delivery.backoff import Backoff
from delivery.doubts import Doubts
from delivery.errors import DestinationError, ErrorClass, LeaseLost, LedgerError
from delivery.lease import Lease
from delivery.ledger import Batch, Ledger, Lookups
from delivery.recovery import TooEarly
from delivery.retry import PROBE_SECONDS
from delivery.settle import Outcome, RowRef
from delivery.source import SourceError

STANDBY_SECONDS = 2.0  # how often a standby asks for the lock: a take-over follows a death within 15 s
AGAIN_SECONDS = 5.0  # until a result that could not be written down is tried again
FAILURES_TO_GIVE_UP = 5
FAILURE_MEMORY_SECONDS = 300.0


class TableOwner(SupervisedActor):
    """One per table and process.

    Args:
        grant: makes a lease the table's (`database.leases.grant`).
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
        measures: Measures | None = None,
    ) -> None:
        # Nobody is above this actor, and its process holds the lock: the process ends, so that another can take it.
        super().__init__(lambda _, error: give_up(f"{table}: its owner failed ({_kind(error)}): see the log"), table)
        self._table = table
        self._ledger = ledger
        self._open_table = open_table
        self._scheduler = scheduler
        self._clock = clock
        self._give_up = give_up
        self._stopped = stopped
        self._backoff = backoff or Backoff()
        self._database_backoff = database_backoff or Backoff.for_database()
        self._measures = measures or NotMeasured()
        self._tenure = Tenure(table, locks, grant, ledger, lookup_first=lookup_first)
        self._opened: Table | None = None
        self._pipeline: Pipeline | None = None
        self._generation = 0
        self._attempt = 0  # tells a delay that is void from the one that counts
        self._failed_attempts = 0  # to work, since rows were sent last
        self._next_rows: int | None = None
        self._doubts = Doubts(clock.monotonic)
        self._aside = SetAside()
        self._note = StateNote(table, ledger)
        self._commands = TakenCommands(table, ledger)
        self._failures: list[float] = []
        self._paused = False  # nothing is begun, although the lease is ours; a pipeline may still finish
        self._stopping = False
        self._log = structlog.get_logger(__name__).bind(table=table)

    @property
    def _lease(self) -> Lease | None:
        return self._tenure.lease

    def on_receive(self, message: object) -> None:
        match message:
            case RetryDue(attempt) if attempt == self._attempt and not self._stopping:
                self._try_to_work()
            case FromPipeline(generation, inner) if generation == self._generation:
                if self._stopping:
                    self._from_stopping_pipeline(inner)
                elif self._pipeline is not None:
                    self._from_pipeline(self._pipeline, inner)
            case HearAgain(key):
                self._hear(self._aside.is_due(key))
            case LeaseGone() if self._stopping:
                self._end()
            case LeaseGone(reason, connection_id) if self._lease and connection_id == self._lease.connection_id:
                self._stand_by(reason)
            case Flush() | RunRetention():
                self._take(message)
            case Pause():
                self._pause()
            case Resume() if self._paused and self._pipeline is None and self._lease and not self._stopping:
                self._resume(self._lease)
            case Stop():
                self._stop()

    def _from_pipeline(self, pipeline: Pipeline, message: object) -> None:
        match message:
            case RowsSettled(sent=sent):
                self._commands.sent += sent
                if sent:
                    self._backoff.reset()
                    self._failed_attempts = 0
                if message.batch is not None:
                    self._tenure.completed(message.batch)
                if message.arrived:
                    self._others_arrived(message.rows)
                self._note.note_running(self._lease)
                pipeline.writer.tell(message)  # first: from here on the rows may be found again
                pipeline.poller.tell(message)
                if failed := self._aside.failed(message.rows):
                    pipeline.poller.tell(RowsSettled(failed))
            case WriterReady() | AppendMeasured() | QuotaExceeded():
                pipeline.batcher.tell(message)
            case StreamMade(name):
                self._doubts.streams.add(name)
            case StateChanged(state, reason, actor):
                self._note.note_actor(self._lease, actor, reason if state is TableState.WAITING else None)
            case LookupPassDone():
                self._end_lookups(pipeline)
            case Flushed():
                self._flushed(message)
            case RetentionDone():
                self._retention_done(message)
            case Drained():
                self._rest()
            case HearAll():
                self._hear(self._aside.hear_all())
            case RecoveryNeeded(reason, next_rows, blocked, batch, accused, look_up):
                self._tenure.lookup_first |= look_up
                blocked = blocked or self._accused(accused, reason)
                self._drop_pipeline()
                self._next_rows = next_rows
                state = TableState.BLOCKED if blocked else TableState.WAITING
                self._wait(state, reason, PROBE_SECONDS if blocked else self._backoff.next(), batch)
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
            if (lease := self._tenure.take()) is None:
                self._note_standby()
                self._later(STANDBY_SECONDS)
                return
            self._commands.adopt(lease)
            if self._tenure.is_paused(lease):
                self._rest()
                return
            self._note.note(lease, TableState.RECOVERING)
            self._opened = self._open_table()
            appended, lookups = self._opened.recover(lease, self._tenure.lookup_first, self._doubts)
            self._tenure.recovered()
            self._start(self._opened, lease, appended, lookups)
        except TableBlockedError as blocked:
            self._wait(TableState.BLOCKED, str(blocked), PROBE_SECONDS)
        except DestinationError as error:
            self._measures.failed_attempt(error.failure.error_class)
            held = error.failure.error_class is ErrorClass.BLOCKED
            state = TableState.BLOCKED if held else TableState.WAITING
            self._wait(state, error.failure.reason, PROBE_SECONDS if held else self._backoff.next())
        except TooEarly as early:
            self._wait(TableState.WAITING, str(early), min(self._backoff.next(), early.seconds))
        except (LedgerError, SourceError) as error:
            self._wait(TableState.WAITING, str(error), self._database_backoff.next())
        except LeaseLost as lost:
            self._lease_lost(str(lost))
        except Exception as error:  # noqa: BLE001  one table's trouble, whatever it is, is no other table's
            self._log.error("could not open or recover the table", exc_info=error)
            self._child_failed(type(self).__name__, error)

    def _start(self, opened: Table, lease: Lease, appended: tuple[Batch, ...], lookups: Lookups) -> None:
        self._database_backoff.reset()
        self._generation += 1
        guilty = self._aside.take_guilty({key for batch in appended for key in batch.rows.keys})
        aside = tuple(case.row.key for case in guilty + self._aside.cases if case.row.key is not None)
        start = Start(lease, appended, lookups, self._next_rows, aside)
        self._pipeline = opened.start(start, Upstream(self.actor_ref, self._generation))
        self._next_rows = None
        self._note.note(lease, TableState.RUNNING)
        self._log.info("pipeline started", appended=len(appended), lookup_first=lookups.first)
        for case in guilty:
            reason = f"others got through without it: {case.reason}"
            self._pipeline.marker.tell(RowsDecided((case.row,), Outcome.FAILED, reason))
        if self._aside.cases:
            self._note_aside()
            self._scheduler.after(PROBE_SECONDS, self.actor_ref, FromPipeline(self._generation, HearAll()))
        for order in self._commands.orders:
            self._hand_on(self._pipeline, order)

    # rows that fail alone

    def _accused(self, rows: tuple[RowRef, ...], reason: str) -> bool:
        """Whether the table is blocked by that."""
        blocked = False
        for row in rows:
            verdict = self._aside.accuse(row, reason)
            blocked = blocked or verdict is Verdict.SERVICES
            self._scheduler.after(PROBE_SECONDS, self.actor_ref, HearAgain(row.key))
        return blocked

    def _others_arrived(self, rows: tuple[RowRef, ...]) -> None:
        blamed = self._aside.nothing_goes
        self._hear(self._aside.arrived(rows))
        if blamed:
            self._note_aside()

    def _hear(self, rows: tuple[RowRef, ...]) -> None:
        """These may be found again; where there is no pipeline the next one finds them."""
        if rows and self._pipeline is not None:
            self._pipeline.poller.tell(RowsSettled(rows))
            self._note_aside()

    def _note_aside(self) -> None:
        if not self._aside.cases:
            self._note.note_actor(self._lease, "TableOwner", None)
            return
        rows, reason = len(self._aside.cases), self._aside.cases[0].reason
        self._log.warning("rows are left aside for now", rows=rows, reason=reason)
        left = "1 row is" if rows == 1 else f"{rows} rows are"
        state = TableState.BLOCKED if self._aside.nothing_goes else TableState.WAITING
        self._note.note_actor(self._lease, "TableOwner", f"{left} left aside for now: {reason}", state)

    # and back

    def _drop_pipeline(self) -> None:
        self._generation += 1
        self._note.forget_actors()
        pipeline, self._pipeline = self._pipeline, None
        opened, self._opened = self._opened, None
        if pipeline is not None:
            pipeline.stop()
        if opened is not None:
            opened.close()

    def _wait(self, state: TableState, reason: str, seconds: float, batch: int | None = None) -> None:
        self._drop_pipeline()
        log = self._log if batch is None else self._log.bind(batch=batch)
        if self._paused:
            log.warning("left in the middle until it is resumed", reason=reason)
            self._rest()
            return
        self._failed_attempts += 1
        retry = {"attempt": self._failed_attempts, "retry_in": round(seconds, 1)}
        log.warning("not carrying rows", state=state.value, reason=reason, **retry)
        self._note.note(self._lease, state, reason)
        self._later(seconds)

    def _lease_lost(self, reason: str) -> None:
        self._tenure.lose()
        self._stand_by(reason)

    def _stand_by(self, reason: str) -> None:
        """Whoever took the table over has it now; it is never just taken back."""
        self._log.warning("standing by", reason=reason)
        self._drop_pipeline()
        self._tenure.leave()
        self._aside = SetAside()
        self._paused = False
        self._commands.leave()
        self._later(STANDBY_SECONDS)

    def _note_standby(self) -> None:
        self._doubts.end()
        self._aside = SetAside()
        if self._note.state is not TableState.STANDBY:
            self._log.info("another worker owns the table; standing by")
            self._note.stands_by()
        self._tenure.leave()
        self._paused = False

    def _child_failed(self, actor: str, error: BaseException) -> None:
        self._measures.pipeline_failed(actor)
        now = self._clock.monotonic()
        self._failures = [at for at in self._failures if now - at < FAILURE_MEMORY_SECONDS] + [now]
        if len(self._failures) >= FAILURES_TO_GIVE_UP:
            self._give_up(f"{self._table}: {len(self._failures)} failures within {FAILURE_MEMORY_SECONDS:.0f} s")
            return
        self._wait(TableState.WAITING, f"{actor} failed ({_kind(error)}): see the log", self._backoff.next())

    def _later(self, seconds: float) -> None:
        self._attempt += 1
        self._scheduler.after(seconds, self.actor_ref, RetryDue(self._attempt))

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

    def _take(self, order: Order) -> None:
        if self._lease is None or self._stopping or not self._commands.take(self._lease, order):
            return  # its owner takes it, or nobody does and it is withdrawn
        if self._pipeline is None:
            self._rest() if self._paused else self._try_to_work()
        elif not self._paused:
            for actor in (self._pipeline.poller, self._pipeline.writer, self._pipeline.marker):
                actor.tell(RetryNow())
            self._hand_on(self._pipeline, order)

    def _hand_on(self, pipeline: Pipeline, order: Order) -> None:
        match order:
            case Flush():
                pipeline.poller.tell(order)
            case RunRetention(command_id) if pipeline.retention is None:
                self._retention_done(RetentionDone(command_id, {"problem": "this worker deletes nothing"}))
            case RunRetention():
                pipeline.retention.tell(order)

    def _flushed(self, flushed: Flushed) -> None:
        if not self._finish(flushed.command_id, {"flushedCount": self._commands.sent_since(flushed.command_id)}):
            self._again(flushed)

    def _retention_done(self, done: RetentionDone) -> None:
        if done.command_id is not None and not self._finish(done.command_id, done.report):
            self._again(done)

    def _again(self, result: Flushed | RetentionDone) -> None:
        """It could not be written down; in a loop that asks at once the database would feel it."""
        self._scheduler.after(AGAIN_SECONDS, self.actor_ref, FromPipeline(self._generation, result))

    def _finish(self, command_id: int, result: Mapping[str, object]) -> bool:
        return self._lease is not None and self._commands.finish(self._lease, command_id, result)

    # a pause

    def _pause(self) -> None:
        """Told again and again: what couldn't be written down is written the next time."""
        if self._lease is None or self._stopping:
            return  # it is read with the lease
        if self._pipeline is None:
            self._rest()
        elif not self._paused:
            self._log.info("pausing")
            self._paused = True
            self._drain(self._pipeline)

    def _rest(self) -> None:
        """Nothing is begun any more, until somebody resumes the table; then what is left in the middle is recovered."""
        if self._note.state is not TableState.PAUSED:
            self._log.info("paused by an operator")
        self._paused = True
        self._attempt += 1  # a delay that is still running is void
        self._drop_pipeline()
        self._note.note(self._lease, TableState.PAUSED, "paused by an operator")
        for order in self._commands.orders:
            self._finish(order.command_id, self._result_while_paused(order))

    def _result_while_paused(self, order: Order) -> Mapping[str, object]:
        if isinstance(order, RunRetention):
            return {"problem": "the table is paused: resume it first", "paused": True}
        return {"flushedCount": self._commands.sent_since(order.command_id), "paused": True}

    def _resume(self, lease: Lease) -> None:
        """Asked under the lease, which may be gone, and since what was told may be older than the pause."""
        try:
            if self._tenure.is_paused(lease):
                return
        except LedgerError as error:
            self._log.warning("could not resume", reason=str(error))  # it is told again
        except LeaseLost as lost:
            self._lease_lost(str(lost))
        else:
            self._log.info("resumed")
            self._paused = False
            self._try_to_work()

    # the end

    def _stop(self) -> None:
        self._stopping = True
        if self._pipeline is None:
            self._end()
        elif not self._paused:  # else it is drained already
            self._drain(self._pipeline)

    def _drain(self, pipeline: Pipeline) -> None:
        pipeline.stop_finding()
        pipeline.writer.tell(Drain())

    def _end(self) -> None:
        self._drop_pipeline()
        self._note.note_stopped(self._lease)
        self._tenure.end()
        self._stopped()


def _kind(error: BaseException) -> str:
    return type(error).__name__
