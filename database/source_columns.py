"""The columns of a source table that bq-sync itself reads or writes: which rows wait, and how they are marked."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Executable,
    TableClause,
    and_,
    column,
    literal_column,
    or_,
    table,
    true,
    update,
)
from sqlalchemy.sql import quoted_name

from config.settings import TableSettings
from database.in_lists import chunks
from delivery.rows import Key
from mapping.schema import SourceColumn, SourceTable

SHORTEST_RUN = 4  # consecutive keys that are worth a BETWEEN of their own

TRUE: ColumnElement[Any] = literal_column("1")
FALSE: ColumnElement[Any] = literal_column("0")


class SourceColumns:
    """A source table's columns that bq-sync itself reads or writes, by the names that the configuration gives them.

    Args:
        source: the table by the catalogue, which every name was checked against.
        zone: what its DATETIME columns are in.
        now: the present, with its zone.
    """

    def __init__(
        self, settings: TableSettings, source: SourceTable, zone: ZoneInfo | None, now: Callable[[], datetime]
    ) -> None:
        self._source = source
        self._zone = zone or UTC
        self._now = now
        self._settle = timedelta(seconds=settings.settle_seconds)
        self._synced_at = settings.synced_at
        self.table = _clause(source)
        self.key = self.table.c[settings.primary_key]
        self.key_column = source.columns[settings.primary_key]
        self.age = None if settings.age_column is None else self.table.c[settings.age_column]
        self._age_zone = UTC if self.age is None else self._zone_of(self.age.name)
        self.flag = None if settings.synced_flag is None else self.table.c[settings.synced_flag]

    def waiting(self) -> ColumnElement[bool] | None:
        """What holds for rows that the flag path finds; None for a table without flag."""
        if self.flag is None:
            return None
        unsynced = self.flag == FALSE
        young = self.settling()
        return unsynced if young is None else and_(unsynced, or_(young.is_(None), ~young))

    def settling(self) -> ColumnElement[bool] | None:
        """What holds for rows that are too young to be sent (NULL where the row has no age); None: none is."""
        if not self._settle or self.age is None:
            return None
        return self.age > self._instant(self.age.name, self._now() - self._settle)

    def aged(self, since: datetime | None, until: datetime | None) -> ColumnElement[bool]:
        """What holds for rows whose age lies in that range, its end excluded.

        Raises:
            ValueError: the table has no age column.
        """
        if self.age is None:
            raise ValueError(f"{self.table.name} has no age column")
        bounds = []
        if since is not None:
            bounds.append(self.age >= self._instant(self.age.name, since))
        if until is not None:
            bounds.append(self.age < self._instant(self.age.name, until))
        return and_(true(), *bounds)

    def flagging(self, keys: Sequence[Key]) -> Iterator[Executable]:
        """The UPDATEs that mark rows as synced and change nothing else. Those marked already are left alone."""
        if self.flag is None:
            return
        values: dict[str, object] = {self.flag.name: literal_column("1")}
        if self._synced_at is not None:
            values[self._synced_at] = self._instant(self._synced_at, self._now())
        for name, described in self._source.columns.items():
            if described.on_update and name != self._synced_at:
                values[name] = self.table.c[name]
        mark = update(self.table).values(values).where(~self.flag.op("<=>")(literal_column("1")))
        runs, scattered = _runs(keys)
        for first, last in runs:
            yield mark.where(self.key.between(first, last))
        for some in chunks(scattered):
            yield mark.where(self.key.in_(some))

    def since(self, value: object) -> datetime | None:
        """What the age column says, as an instant; None where it says none."""
        return value.replace(tzinfo=self._age_zone) if isinstance(value, datetime) else None

    def described(self, name: str) -> SourceColumn:
        """What the catalogue says of one."""
        return self._source.columns[name]

    def _zone_of(self, name: str) -> tzinfo:
        """TIMESTAMPs are UTC in our sessions, DATETIMEs in the database's zone."""
        return UTC if self._source.columns[name].data_type == "timestamp" else self._zone

    def _instant(self, name: str, instant: datetime) -> datetime:
        """An instant as the column holds it."""
        return instant.astimezone(self._zone_of(name)).replace(tzinfo=None)


def _clause(source: SourceTable) -> TableClause:
    """The table with untyped columns: values come and go as the driver has them. Every name is quoted."""
    columns: list[ColumnClause[Any]] = [column(quoted_name(name, quote=True)) for name in source.columns]
    return table(quoted_name(source.name, quote=True), *columns)


def _runs(keys: Sequence[Key]) -> tuple[list[tuple[int, int]], list[Key]]:
    """Split keys into runs of consecutive integers of which every one is there, and the rest.

    A BETWEEN may cover only what the batch holds: a row within it that isn't the batch's would be marked unsent.
    """
    integers = sorted({key for key in keys if isinstance(key, int)})
    scattered: list[Key] = [key for key in keys if not isinstance(key, int)]
    runs: list[tuple[int, int]] = []
    start = 0
    for place in range(1, len(integers) + 1):
        if place == len(integers) or integers[place] != integers[place - 1] + 1:
            if place - start >= SHORTEST_RUN:
                runs.append((integers[start], integers[place - 1]))
            else:
                scattered += integers[start:place]
            start = place
    return runs, scattered
