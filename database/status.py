"""How bq-sync fares, by the database alone: what waits, what failed, who works. Cheap, however much waits."""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine, Row, func, literal_column, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from config.settings import Settings
from database.counting import NONE, Count, Items, count_items, count_unconfigured
from database.daily_checks import last_check
from database.failures import explain
from database.findable import UnpreparedError, find_flagged
from database.flagged import DECIDING, Flagged, count_flagged
from database.locks import lock_name
from database.prepared import lacking
from database.retention_reports import last_runs
from database.rowless import find_rowless
from database.schema import table as notes
from database.table_status import UNPREPARED, TableStatus
from delivery.ledger import ItemStatus

CATALOGUE_SECONDS = 600.0
RETENTION_SECONDS = 60.0  # how often it is asked for: it runs once a day
UNCONFIGURED_SECONDS = 300.0  # how often items of tables that nobody configured are looked for
ROWLESS_SECONDS = 60.0  # an item that waits for so long may be one without its row

Told = TypeVar("Told")


@dataclass(frozen=True, slots=True)
class Problem:
    """What the database lacks, or doesn't let us read; of one table, or (None) of all that is ours."""

    text: str
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Status:
    """How all tables fare.

    Attributes:
        read_at: the database's clock.
        unconfigured: pending items of tables that the configuration doesn't have, by their table_name: nobody sends
            them. Of many such names, some.
    """

    read_at: datetime
    tables: Mapping[str, TableStatus]
    problems: tuple[Problem, ...] = ()
    unconfigured: Mapping[str, Count] = field(default_factory=dict)

    def total(self, of: Callable[[TableStatus], Count]) -> Count:
        """The sum of a count over all tables."""
        return sum((of(table) for table in self.tables.values()), NONE)

    def only(self, tables: Collection[str]) -> "Status":
        """What it says of these tables."""
        problems = tuple(problem for problem in self.problems if problem.table is None or problem.table in tables)
        return Status(self.read_at, {name: self.tables[name] for name in tables}, problems)

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


class _Seldom(Generic[Told]):
    """What is asked for anew only every so many seconds."""

    def __init__(self, seconds: float, ask: Callable[[Connection], Told], monotonic: Callable[[], float]) -> None:
        self._seconds = seconds
        self._ask = ask
        self._monotonic = monotonic
        self._told: tuple[float, Told] | None = None

    def ask(self, connection: Connection) -> Told:
        now = self._monotonic()
        if self._told is None or now - self._told[0] >= self._seconds:
            self._told = now, self._ask(connection)
        return self._told[1]


class StatusReader:
    """Asks the database in few statements: one, two for the tables together, and one for each of them.

    What the catalogue says is asked anew every CATALOGUE_SECONDS, and as soon as something isn't as it said; how
    retention went every RETENTION_SECONDS; items of unknown tables are looked for every UNCONFIGURED_SECONDS.

    Args:
        engine: `database.engine.connect_for_looking`, so that a table that somebody has locked costs little time.
    """

    def __init__(self, engine: Engine, settings: Settings, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._settings = settings
        self._monotonic = monotonic
        self._asked_at: float | None = None
        self._found: dict[str, Flagged | None] = {}
        tables = settings.tables
        self._retention = _Seldom(RETENTION_SECONDS, lambda asked: last_runs(asked, tables), monotonic)
        self._unconfigured = _Seldom(UNCONFIGURED_SECONDS, lambda asked: count_unconfigured(asked, tables), monotonic)
        self._turn = threading.Lock()

    def read(self) -> Status:
        """How all tables fare. What the database lacks is said in the status, not by an error.

        Raises:
            SQLAlchemyError: the database doesn't answer, or refuses.
        """
        with self._turn, self._engine.connect() as connection:
            try:
                return self._read(connection)
            except SQLAlchemyError:
                self._asked_at = None  # somebody may have taken away what was there
                raise

    def _read(self, connection: Connection) -> Status:
        missing, unprepared = self._ask_catalogue(connection)
        read_at, owners = _read_owners(connection, self._settings.tables)
        if missing:
            problem = f"the database has no {', '.join(missing)}: run `bq-sync migrate`"
            unready = TableStatus(UNPREPARED, problem)
            return Status(read_at, dict.fromkeys(self._settings.tables, unready), (Problem(problem),))
        noted = {row.table_name: row for row in connection.execute(select(notes))}
        items = count_items(connection, self._found) if self._found else {}
        retention, unconfigured = self._retention.ask(connection), self._unconfigured.ask(connection)
        tables: dict[str, TableStatus] = {}
        problems: list[Problem] = []
        for name in self._settings.tables:
            status = replace(_noted(noted.get(name)), owner_alive=name in owners, last_retention=retention.get(name))
            if (lack := unprepared.get(name)) is None:
                status, lack = self._read_table(connection, name, items[name], read_at, status)
            else:
                status = replace(status, noted=UNPREPARED, noted_reason=lack)
            tables[name] = status
            problems += [Problem(lack, name)] if lack else []
        return Status(read_at, tables, tuple(problems), unconfigured)

    def _ask_catalogue(self, connection: Connection) -> tuple[list[str], dict[str, str]]:
        """What the database lacks of our own tables, and what of each source table; empty where all is known."""
        now = self._monotonic()
        if self._asked_at is not None and now - self._asked_at < CATALOGUE_SECONDS:
            return [], {}
        if missing := lacking(connection):
            return missing, {}
        found = find_flagged(connection, self._settings.tables, self._settings.zone)
        unprepared = {name: str(flagged) for name, flagged in found.items() if isinstance(flagged, UnpreparedError)}
        self._found = {name: flagged for name, flagged in found.items() if not isinstance(flagged, UnpreparedError)}
        self._asked_at = None if unprepared else now
        return [], unprepared

    def _read_table(
        self, connection: Connection, name: str, items: Items, now: datetime, noted: TableStatus
    ) -> tuple[TableStatus, str | None]:
        """How the table fares, and why its rows can't be counted, where they can't."""
        flagged, problem, rowless = self._found[name], None, None
        rows, oldest_row = NONE, None
        oldest_item = _age(items.oldest_pending, now)
        try:
            if flagged is not None:
                rows, oldest_row = count_flagged(connection, flagged, items.total(DECIDING))
            if oldest_item is not None and oldest_item > ROWLESS_SECONDS:
                key = self._settings.tables[name].primary_key
                rowless = find_rowless(connection, name, key, has_flag=flagged is not None)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            # Somebody locks this table, changed it, or took our right on it; the others can be told all the same.
            self._asked_at = None
            rows = Count(0, is_estimate=True)
            problem = f"{name}: its rows can't be counted: {explain(error)}"
        ages = [age for age in (oldest_item, _age(oldest_row, now)) if age is not None]
        status = replace(
            noted,
            noted_reason="; ".join(filter(None, [noted.noted_reason, problem])) or None,
            pending=items.counts[ItemStatus.PENDING] + rows,
            syncing=items.counts[ItemStatus.SYNCING],
            completed=items.counts[ItemStatus.COMPLETED],
            failed=items.counts[ItemStatus.FAILED],
            abandoned=items.counts[ItemStatus.ABANDONED],
            oldest_pending_age_seconds=max(ages, default=None),
            rowless=rowless,
        )
        return status, problem


def read_status(engine: Engine, settings: Settings) -> Status:
    """One look. Raises what `StatusReader.read` does."""
    return StatusReader(engine, settings).read()


def _read_owners(connection: Connection, tables: Iterable[str]) -> tuple[datetime, frozenset[str]]:
    """The database's time, and which tables some worker holds the lock of."""
    database = connection.engine.url.database or ""
    names = list(tables)
    locks = (func.is_used_lock(lock_name(database, name)) for name in names)
    now, *holders = connection.execute(select(func.utc_timestamp(literal_column("6")), *locks)).one()
    owned = (name for name, holder in zip(names, holders, strict=True) if holder is not None)
    return now.replace(tzinfo=UTC), frozenset(owned)


def _noted(row: Row[Any] | None) -> TableStatus:
    """What the table's owner keeps in bq_sync_table; nothing before the first one came."""
    if row is None:
        return TableStatus("stopped")
    return TableStatus(
        noted=row.state,
        noted_reason=row.reason,
        paused=bool(row.paused),
        synced=row.synced_rows,
        last_sync_at=_utc(row.last_sync_at),
        last_error_at=_utc(row.last_error_at),
        last_error=row.last_error,
        last_check=last_check(row),
    )


def _age(since: datetime | None, now: datetime) -> float | None:
    return None if since is None else (now - since).total_seconds()


def _utc(instant: datetime | None) -> datetime | None:
    """Of a TIMESTAMP column, which is UTC in our sessions."""
    return None if instant is None else instant.replace(tzinfo=UTC)
