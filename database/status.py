"""How bq-sync fares, by the database alone: what waits, what failed, who works. Cheap, however much waits."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, literal_column, select
from sqlalchemy.exc import DBAPIError

from config.settings import Settings, TableSettings
from database.counting import NONE, Count, count_items, oldest_item
from database.failures import explain
from database.flagged import DECIDING, UnpreparedError, count_flagged, find_flagged
from database.locks import lock_name
from database.prepared import lacking
from database.schema import table as notes
from delivery.ledger import ItemStatus

UNPREPARED = "unprepared"  # the state of a table that the database isn't ready for


@dataclass(frozen=True, slots=True)
class TableStatus:
    """How one table fares.

    Attributes:
        state: what its owner noted last (`actors.messages.TableState`), or UNPREPARED.
        reason: of the state, in words.
        paused: an operator wants nothing sent until it is resumed; `state` says whether its owner knows.
        owner_alive: some worker holds the table's lock at this moment.
        pending: what waits for BigQuery, each row once: items that are pending, and rows whose flag is FALSE that no
            item decides about.
        syncing: items whose batch is on its way.
        completed: items that are done, and not cleaned yet.
        failed: items that BigQuery can't take.
        synced: rows sent, a running total.
        oldest_pending_age_seconds: of what is pending; negative where its time lies in the future. None: nothing
            is pending, or its age can't be told. Of many rows, those with the smallest keys are looked at.
    """

    state: str
    reason: str | None = None
    paused: bool = False
    owner_alive: bool = False
    pending: Count = NONE
    syncing: Count = NONE
    completed: Count = NONE
    failed: Count = NONE
    synced: int = 0
    oldest_pending_age_seconds: float | None = None
    last_sync_at: datetime | None = None
    last_error_at: datetime | None = None
    last_error: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How all tables fare. `read_at` is the database's clock; `problems` names what it lacks or doesn't let us read."""

    read_at: datetime
    tables: Mapping[str, TableStatus]
    problems: tuple[str, ...] = ()

    def total(self, of: Callable[[TableStatus], Count]) -> Count:
        """The sum of a count over all tables."""
        return sum((of(table) for table in self.tables.values()), NONE)

    @property
    def last_sync_at(self) -> datetime | None:
        return max((table.last_sync_at for table in self.tables.values() if table.last_sync_at), default=None)

    @property
    def last_error_at(self) -> datetime | None:
        return self._last_failing.last_error_at if self._last_failing else None

    @property
    def last_error(self) -> str | None:
        return self._last_failing.last_error if self._last_failing else None

    @property
    def _last_failing(self) -> TableStatus | None:
        failing = {table.last_error_at: table for table in self.tables.values() if table.last_error_at}
        return failing[max(failing)] if failing else None


def read_status(engine: Engine, settings: Settings) -> Status:
    """Ask the database. What it lacks is said in the status, not by an error.

    Raises:
        SQLAlchemyError: the database doesn't answer, or refuses.
    """
    with engine.connect() as connection:
        now: datetime = connection.scalars(select(func.utc_timestamp(literal_column("6")))).one()
        read_at = now.replace(tzinfo=UTC)
        if missing := lacking(connection):
            problem = f"the database has no {', '.join(missing)}: run `bq-sync migrate`"
            return Status(read_at, dict.fromkeys(settings.tables, TableStatus(UNPREPARED, problem)), (problem,))
        noted = {row.table_name: row for row in connection.execute(select(notes))}
        tables: dict[str, TableStatus] = {}
        problems: list[str] = []
        for name, table in settings.tables.items():
            status = _noted(noted.get(name))
            tables[name], wrong = _read_table(connection, name, table, settings.zone, read_at, status)
            problems += wrong
        return Status(read_at, tables, tuple(problems))


def _noted(row: Row[Any] | None) -> TableStatus:
    """What the table's owner keeps in bq_sync_table; nothing before the first one came."""
    if row is None:
        return TableStatus("stopped")
    return TableStatus(
        state=row.state,
        reason=row.reason,
        paused=bool(row.paused),
        synced=row.synced_rows,
        last_sync_at=_utc(row.last_sync_at),
        last_error_at=_utc(row.last_error_at),
        last_error=row.last_error,
    )


def _read_table(
    connection: Connection, name: str, settings: TableSettings, zone: tzinfo | None, now: datetime, noted: TableStatus
) -> tuple[TableStatus, list[str]]:
    """How the table fares, and what is wrong with it: it lacks something, or its rows can't be counted."""
    try:
        flagged = find_flagged(connection, name, settings, zone)
    except UnpreparedError as error:
        return replace(noted, state=UNPREPARED, reason=str(error)), [str(error)]
    items = {status: count_items(connection, name, status) for status in ItemStatus}
    deciding = sum(items[status].rows for status in DECIDING)
    try:
        rows, oldest_row = (NONE, None) if flagged is None else count_flagged(connection, flagged, deciding)
        problems = []
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        # Somebody locks this table, or took our right on it; the others can be told all the same.
        rows, oldest_row = Count(0, is_estimate=True), None
        problems = [f"{name}: its rows can't be counted: {explain(error)}"]
    oldest = (oldest_item(connection, name), oldest_row)
    lock = lock_name(connection.engine.url.database or "", name)
    status = replace(
        noted,
        reason="; ".join(filter(None, [noted.reason, *problems])) or None,
        owner_alive=connection.scalar(select(func.is_used_lock(lock))) is not None,
        pending=items[ItemStatus.PENDING] + rows,
        syncing=items[ItemStatus.SYNCING],
        completed=items[ItemStatus.COMPLETED],
        failed=items[ItemStatus.FAILED],
        oldest_pending_age_seconds=max(((now - at).total_seconds() for at in oldest if at), default=None),
    )
    return status, problems


def _utc(instant: datetime | None) -> datetime | None:
    """Of a TIMESTAMP column, which is UTC in our sessions."""
    return None if instant is None else instant.replace(tzinfo=UTC)
