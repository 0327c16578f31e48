"""What `bq-sync check` says about one table's work: what waits, what failed, and whether a worker is at it."""

from collections.abc import Iterator, Mapping

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from database.counting import Count
from database.facts import OpenBatches, open_batches
from database.failures import explain
from database.table_status import TableStatus
from delivery.triage import PATIENCE_SECONDS
from operations.durations import in_words
from operations.findings import Finding, error, ok, warning
from operations.health import unconfigured

STUCK_SECONDS = 900.0  # longer than any wait between two attempts at a batch
DECIDED_SECONDS = 60.0  # an item whose time is over is decided by the next pass


def check_queue(engine: Engine, name: str, status: TableStatus, settings: Settings) -> Iterator[Finding]:
    try:
        with engine.connect() as connection:
            batches = open_batches(connection, name)
    except SQLAlchemyError as problem:
        yield error(name, f"the ledger can't be read: {explain(problem)}", "mend that, then check again")
        return
    yield from judge_queue(name, status, batches, settings)


def judge_unconfigured(waiting: Mapping[str, Count]) -> Iterator[Finding]:
    """About items whose table_name is no configured table's."""
    if waiting:
        yield warning("database", *unconfigured(waiting))


def _about(count: Count) -> str:
    return "about " if count.is_estimate else ""


def judge_queue(name: str, status: TableStatus, batches: OpenBatches, settings: Settings) -> Iterator[Finding]:
    """What waits, what failed, and whether anybody works on it."""
    if status.owner_alive:
        state = f"a worker owns the table: {status.state}"
        if status.reason:
            yield warning(name, f"{state}, since {status.reason}", "mend what it names; the worker goes on by itself")
        else:
            yield ok(name, state)
    elif settings.enabled:
        yield warning(name, "no worker is running for this table", "start one: `bq-sync worker`, or `bq-sync run`")
    age = status.oldest_pending_age_seconds
    since = f", the oldest for {in_words(age)}" if age is not None and age > 0 else ""
    waiting = f"rows waiting for BigQuery: {_about(status.pending)}{status.pending.rows:,}{since}"
    # What waits for its row waits for no worker, but not for ever.
    patience = settings.oldest_pending_threshold_seconds
    if status.rowless is not None:
        patience = max(patience, PATIENCE_SECONDS + DECIDED_SECONDS)
    too_old = age is not None and age > patience
    if status.pending.rows > settings.pending_threshold or too_old:
        yield warning(name, waiting, "see that a worker runs and that BigQuery answers; a backlog is sent by itself")
    else:
        yield ok(name, waiting)
    if status.rowless is not None:
        fix = "see why the row isn't there: its producer has to commit row and item in one transaction"
        yield warning(name, str(status.rowless), fix)
    if status.failed.rows:
        yield warning(
            name,
            f"failed rows, which BigQuery can't take: {status.failed.rows:,}",
            f"see the reasons: `bq-sync failed --table {name}`; mend the rows, then `bq-sync retry --table {name}`",
        )
    if batches.count and not status.owner_alive:
        text = f"open batches that no worker looks after: {batches.count}, with {status.syncing.rows:,} items"
        yield warning(name, text, "start a worker: it finds out what became of them, and sends nothing twice")
    elif batches.oldest_seconds > STUCK_SECONDS:
        text = f"the oldest of {batches.count} open batches was begun {in_words(batches.oldest_seconds)} ago"
        yield warning(name, text, "look into the worker's log for what it waits for")
