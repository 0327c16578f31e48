"""The last daily check of each table, as bq_sync_table keeps it: written by its owner, or by `bq-sync verify`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Engine, Row, func, literal_column, select
from sqlalchemy.dialects.mysql import Insert
from sqlalchemy.dialects.mysql import insert as insert_or_update
from sqlalchemy.exc import SQLAlchemyError

from database.engine import Engines
from database.failures import explain
from database.leases import begin
from database.schema import table as notes
from delivery.lease import Lease
from delivery.source import SourceError


class SqlChecks:
    """One table's; implements `delivery.daily_check.Checks`."""

    def __init__(self, engines: Engines, table_name: str) -> None:
        self._engines = engines
        self._table_name = table_name

    def last(self) -> datetime | None:
        try:
            with self._engines.read.connect() as connection:
                query = select(notes.c.checked_at).where(notes.c.table_name == self._table_name)
                at = connection.scalar(query)
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error
        return None if at is None else at.replace(tzinfo=UTC)

    def keep(self, lease: Lease, result: Mapping[str, object]) -> None:
        with begin(self._engines.write, lease) as connection:
            connection.execute(_keeping(self._table_name, result))


def keep_verified(engine: Engine, table_name: str, result: Mapping[str, object]) -> None:
    """Keep what somebody found who compared the days at another time than the daily one.

    Raises:
        SourceError: the database didn't take it.
    """
    try:
        with engine.begin() as connection:
            connection.execute(_keeping(table_name, result))
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error


def rows_sent(engine: Engine, table_name: str) -> int:
    """How many rows of the table were sent, ever. Raises SourceError."""
    try:
        with engine.connect() as connection:
            sent = connection.scalar(select(notes.c.synced_rows).where(notes.c.table_name == table_name))
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error
    return int(sent or 0)


def _keeping(table_name: str, result: Mapping[str, object]) -> Insert:
    kept = {"checked_at": func.current_timestamp(literal_column("6")), "last_check": json.dumps(result)}
    return insert_or_update(notes).values(table_name=table_name, **kept).on_duplicate_key_update(**kept)


@dataclass(frozen=True, slots=True)
class DayThatDiffers:
    """Rows of a day: sent, and in BigQuery (`doubled` of them more than once). None: of rows without time."""

    day: date | None
    here: int
    there: int
    doubled: int


@dataclass(frozen=True, slots=True)
class LastCheck:
    """What the status says of a table's last daily check.

    Attributes:
        first, last: the days (UTC) that were compared, both included.
        rows_here, rows_there: of these days, here whatever their state.
        differing: how many days have other counts on both sides; `days` are some of them.
        problem: why nothing could be compared.
    """

    at: datetime
    first: date
    last: date
    problem: str | None = None
    rows_here: int = 0
    rows_there: int = 0
    differing: int = 0
    days: Sequence[DayThatDiffers] = ()


def last_check(noted: Row[tuple[object, ...]]) -> LastCheck | None:
    """What a row of bq_sync_table holds; None: there was none yet."""
    at, text = noted.checked_at, noted.last_check
    if at is None or text is None:
        return None
    kept = json.loads(text)
    return LastCheck(
        at.replace(tzinfo=UTC),
        date.fromisoformat(kept["from"]),
        date.fromisoformat(kept["until"]),
        kept["problem"],
        kept.get("rowsHere", 0),
        kept.get("rowsInBigQuery", 0),
        kept.get("daysThatDiffer", 0),
        tuple(
            DayThatDiffers(
                None if each["day"] is None else date.fromisoformat(each["day"]),
                each["here"],
                each["inBigQuery"],
                each["doubled"],
            )
            for each in kept.get("days", ())
        ),
    )
