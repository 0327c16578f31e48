"""RetentionActor: runs a table's housekeeping once a day and when somebody asks, one small step a message.

Its trouble is its own: whatever goes wrong ends the run with a report that says so, and the pipeline goes on.
"""

from collections import deque
from collections.abc import Callable
from datetime import datetime
from random import Random, SystemRandom

import structlog

from actors.background import Background
from actors.measures import Measures, NotMeasured
from actors.messages import LeaseGone, RecoveryNeeded, RetentionDone, RetryDue, RunRetention, StepAnswered, Tick
from actors.parts import Clock, PipelineActor, Recipient, Scheduler
from delivery.backoff import Backoff
from delivery.errors import DestinationError, LeaseLost, LedgerError
from delivery.housekeeping import Housekeeping
from delivery.lease import Lease
from delivery.old_rows import RetentionError
from delivery.retention_report import Report
from delivery.schedule import Daily
from delivery.source import SourceChangedError, SourceError
from delivery.steps import Ask, Pause, Step, Steps

WAKE_SECONDS = 3600.0  # at least so often the clock is looked at: it may be set, and machines sleep
SHOW_SECONDS = 10.0  # how often a run that somebody asked for says how far it is
SOON_SECONDS = 60.0  # until the database is asked again

# A run that was missed waits a while after the start, so that boxes that come back together don't run together; the
# very first waits longer, so that nothing is deleted while somebody still sets bq-sync up.
MISSED_SECONDS = (300.0, 900.0)
FIRST_SECONDS = (3600.0, 4500.0)


class RetentionActor(PipelineActor):
    """One per table, under its owner's lease.

    Args:
        schedule: None: it runs only when somebody asks.
        background: makes the thread for calls that block, at the start of a run; it is closed at its end.
    """

    def __init__(
        self,
        upstream: Recipient,
        lease: Lease,
        housekeeping: Housekeeping,
        schedule: Daily | None,
        background: Callable[[], Background],
        scheduler: Scheduler,
        clock: Clock,
        measures: Measures | None = None,
        random: Random | None = None,
    ) -> None:
        super().__init__(upstream, lease.table)
        self._lease = lease
        self._housekeeping = housekeeping
        self._schedule = schedule
        self._make_background = background
        self._scheduler = scheduler
        self._clock = clock
        self._measures = measures or NotMeasured()
        self._random = random or SystemRandom()
        self._backoff = Backoff(first=300.0, longest=7200.0)
        self._last: datetime | None = None  # when the last run went to its end
        self._not_before: float | None = None  # no scheduled run begins earlier
        self._asked: deque[RunRetention] = deque()
        self._order: RunRetention | None = None  # which the run answers
        self._steps: Steps[None] | None = None  # of the run
        self._step = 0  # which answer is waited for
        self._report: Report | None = None
        self._background: Background | None = None
        self._shown_at = 0.0
        self._kept: str | None = None  # the last problem that a report was kept of
        self._ended = False
        self._log = structlog.get_logger(__name__).bind(table=lease.table)

    def on_receive(self, message: object) -> None:
        if self._ended:
            return
        match message:
            case Tick():
                self._wake()
            case RunRetention():
                self._asked.append(message)
                self._next()
            case RetryDue(step) if step == self._step:
                self._go_on(None, None)
            case StepAnswered(step, answer, error) if step == self._step:
                self._go_on(answer, error)

    def on_stop(self) -> None:
        if self._background is not None:
            self._background.close()

    # when

    def _wake(self) -> None:
        """Begin the daily run if it is due, and see that somebody looks again."""
        if self._schedule is None:
            return
        try:
            delay = self._due_in(self._schedule)
        except SourceError as error:
            self._log.debug("could not read when retention ran last", reason=str(error))
            delay = SOON_SECONDS
        if delay <= 0 and self._steps is None:
            self._begin(None)
        self._scheduler.after(min(WAKE_SECONDS, max(SOON_SECONDS, delay)), self.actor_ref, Tick())

    def _due_in(self, schedule: Daily) -> float:
        now = self._housekeeping.now()
        last = self._housekeeping.reports.last_finished() if self._last is None else self._last
        self._last = last
        if last is not None and last >= schedule.last(now):
            self._not_before = self._clock.monotonic()  # whenever it is due, it isn't one that was missed
            return (schedule.next(now) - now).total_seconds()
        if self._not_before is None:
            wait = self._random.uniform(*(FIRST_SECONDS if last is None else MISSED_SECONDS))
            self._not_before = self._clock.monotonic() + wait
        return self._not_before - self._clock.monotonic()

    def _next(self) -> None:
        if self._steps is None and self._asked:
            self._begin(self._asked.popleft())

    # a run

    def _begin(self, order: RunRetention | None) -> None:
        self._order = order
        self._report = Report(order is not None and order.dry_run, self._housekeeping.now())
        self._steps = self._housekeeping.steps(self._lease, self._report, self._clock.monotonic, daily=order is None)
        self._background = self._make_background()
        self._shown_at = self._clock.monotonic()
        self._log.info("retention begins", dry_run=self._report.dry_run)
        self._go_on(None, None)

    def _go_on(self, answer: object, error: Exception | None) -> None:
        if self._steps is None or self._report is None:
            return
        try:
            step = self._steps.send(answer) if error is None else self._steps.throw(error)
        except StopIteration:
            self._end(self._report, None)
        except RetentionError as refused:
            self._end(self._report, str(refused), again=not refused.tomorrow)
        except (DestinationError, LedgerError, SourceError) as problem:
            self._end(self._report, str(problem))
        except LeaseLost as lost:
            self._ended = True
            self.upstream.tell(LeaseGone(str(lost)))
        except SourceChangedError as changed:
            self._ended = True  # the next pipeline is made for the table as it is then, and takes the order on
            self.upstream.tell(RecoveryNeeded(str(changed)))
        except Exception as failure:  # noqa: BLE001  rows have to be carried whatever befalls retention
            self._log.error("retention failed", exc_info=failure)
            self._end(self._report, f"an error that nobody foresaw ({type(failure).__name__}): see the log")
        else:
            self._show(self._report)
            self._wait_for(step)

    def _wait_for(self, step: Step) -> None:
        self._step += 1
        match step:
            case Pause(seconds):
                self._scheduler.after(seconds, self.actor_ref, RetryDue(self._step))
            case Ask(call) if self._background is not None:
                me, number = self.actor_ref, self._step
                self._background.run(lambda: me.tell(_answered(number, call)))

    def _end(self, report: Report, problem: str | None, *, again: bool = True) -> None:
        """`again`: after a problem it is worth trying before it is due."""
        report.ended_at, report.problem = self._housekeeping.now(), problem
        self._steps = None
        self._step += 1
        if self._background is not None:
            self._background.close()
            self._background = None
        refused = {reason.value: count for reason, count in report.refused.items()}
        told = {"dry_run": report.dry_run, "deleted": report.deleted or report.would_delete, "refused": refused}
        if problem is None:
            self._log.info("retention ended", **told)
        else:
            self._log.warning("retention ended before its end", **told, reason=problem)
        if not report.dry_run:
            self._measures.retention_ran(report.deleted, report.unconfirmed)
            if problem is None or not again:
                self._last = report.ended_at
                self._backoff.reset()
            else:
                self._not_before = self._clock.monotonic() + self._backoff.next()
        self._tell(report)
        self._next()

    def _tell(self, report: Report) -> None:
        order, self._order = self._order, None
        if order is not None:
            self.upstream.tell(RetentionDone(order.command_id, report.as_json()))
        elif report.problem is None or report.problem != self._kept:  # one report says it for all alike
            try:
                self._housekeeping.reports.keep(self._lease, report.as_json())
            except LedgerError as error:
                self._log.warning("could not keep the report of retention", reason=str(error))
            except LeaseLost as lost:
                self._ended = True
                self.upstream.tell(LeaseGone(str(lost)))
            else:
                self._kept = report.problem

    def _show(self, report: Report) -> None:
        now = self._clock.monotonic()
        if self._order is None or now - self._shown_at < SHOW_SECONDS:
            return
        self._shown_at = now
        try:
            self._housekeeping.reports.show(self._lease, self._order.command_id, report.as_json())
        except (LedgerError, LeaseLost) as error:  # the run's own transactions find out
            self._log.debug("could not say how far retention is", reason=str(error))


def _answered(step: int, call: Callable[[], object]) -> StepAnswered:
    try:
        return StepAnswered(step, call())
    except Exception as error:  # noqa: BLE001  whatever it is, it is raised where the answer is waited for
        return StepAnswered(step, error=error)
