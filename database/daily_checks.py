"""The last daily check of each table, as bq_sync_table keeps it: written by the table's owner, shown by the status."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import Row, func, literal_column, select
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
        kept = {"checked_at": func.current_timestamp(literal_column("6")), "last_check": json.dumps(result)}
        statement = insert_or_update(notes).values(table_name=self._table_name, **kept)
        with begin(self._engines.write, lease) as connection:
            connection.execute(statement.on_duplicate_key_update(**kept))


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
