"""Which rows of a source table are old, read page by page in the order of an index. See `delivery.old_rows`."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, literal_column, or_, select

from config.settings import TableSettings
from database.identifiers import quote
from database.source import SourceColumns
from delivery.old_rows import Position
from mapping.schema import SourceTable

# Rows from before it have no age that could be believed: the camera's clock wasn't set, or the value is a zero date.
UNSET = datetime(2000, 1, 1, tzinfo=UTC)

WINDOW = 5_000  # rows of an index that one statement reads at most, of which those that qualify are taken
LOOKED_AT = 10_000  # rows of those that stay

TRUE: ColumnElement[Any] = literal_column("1")
FALSE: ColumnElement[Any] = literal_column("0")


@dataclass(frozen=True, slots=True)
class Walk:
    """The index that old rows are read by, and what its order is: by age and key, or by key alone.

    `of_synced`: the index begins with the flag, so that only rows that are marked as synced are passed.
    """

    index: str
    by_age: bool
    of_synced: bool


class AgeColumns:
    """A source table's age, flag and key, as retention reads and compares them.

    Args:
        zone: what its DATETIME columns are in.
    """

    def __init__(
        self, settings: TableSettings, source: SourceTable, columns: SourceColumns, zone: ZoneInfo | None
    ) -> None:
        if settings.age_column is None or columns.flag is None:
            raise ValueError(f"{source.name} has no age or no flag: its rows are never deleted")
        self._zone = zone or UTC
        self.table = columns.table
        self.key = columns.key
        self.flag: ColumnElement[Any] = columns.flag
        self.age: ColumnElement[Any] = columns.table.c[settings.age_column]
        self._type = source.columns[settings.age_column].data_type
        self.may_be_null = source.columns[settings.age_column].nullable
        self.walk = _walk(settings, source)
        self.flag_index = source.index_on(columns.flag.name)
        self._keys_ascend = columns.key_column.is_integer

    def older_than(self, cutoff: datetime) -> ColumnElement[bool]:
        """What holds for rows whose age is known and lies before the cutoff."""
        return and_(self.age >= self._value(UNSET), self.age < self._value(cutoff))

    def instant(self, value: object) -> datetime:
        """The instant that a value of the age column is."""
        match value:
            case datetime():
                return value.replace(tzinfo=self._own_zone)
            case date():
                return datetime.combine(value, time(), self._own_zone)
        raise TypeError(f"an age can't be a {type(value).__name__}")

    def page(self, cutoff: datetime, after: Position | None, limit: int) -> Select[Any]:
        """Key and age of the old synced rows of a window that begins behind `after`, in the order of the walk."""
        order = self._order
        query = self._from(self.key, self.age).where(self.flag == TRUE, self.older_than(cutoff))
        if after is not None:
            query = query.where(self._behind(after))
        return query.order_by(*order).limit(limit)

    def window_end(self, cutoff: datetime, after: Position | None) -> Select[Any]:
        """The position of the window's last row; no row: the window holds all that is left."""
        query = self._from(*self._order)
        if self.walk.by_age:
            query = query.where(self.older_than(cutoff))
        if self.walk.of_synced:
            query = query.where(self.flag == TRUE)
        if after is not None:
            query = query.where(self._behind(after))
        return query.order_by(*self._order).limit(1).offset(WINDOW - 1)

    def up_to(self, query: Select[Any], end: Position) -> Select[Any]:
        """The query, without what lies behind the window's end."""
        if not self.walk.by_age:
            return query.where(self.key <= end[0])
        return query.where(self.age <= end[0], or_(self.age < end[0], self.key <= end[1]))

    def position(self, key: object, age: object) -> Position:
        return (age, key) if self.walk.by_age else (key,)

    def ends_at_young_rows(self, rows: Sequence[object]) -> bool:
        """Whether a whole window without old rows is the end: keys that are given out in order ascend with age."""
        return not rows and self.walk.of_synced and self._keys_ascend

    def old_among(self, keys: Collection[object], cutoff: datetime, flag: ColumnElement[Any]) -> Select[Any]:
        """Key and age of those of these rows that have the flag and are old."""
        query = select(self.key, self.age).select_from(self.table)
        return query.where(self.key.in_(keys), self.flag == flag, self.older_than(cutoff))

    def old_with_flag(self, cutoff: datetime, flag: ColumnElement[bool]) -> Select[Any] | None:
        """Keys of old rows with such a flag, of the first LOOKED_AT; None: no index finds them."""
        if self.flag_index is None:
            return None
        some = select(self.key, self.age).select_from(self.table).where(flag)
        some = some.with_hint(self.table, _force(self.flag_index), "mysql").limit(LOOKED_AT)
        looked_at = some.subquery("looked_at")
        age = looked_at.c[self.age.name]
        return select(looked_at.c[self.key.name]).where(age >= self._value(UNSET), age < self._value(cutoff))

    def without_age(self) -> Select[Any] | None:
        """Keys of synced rows without an age, LOOKED_AT at most; None: there are none, or no index finds them."""
        if not self.may_be_null or not self.walk.by_age:
            return None
        return self._from(self.key).where(self.age.is_(None), self.flag == TRUE).limit(LOOKED_AT)

    @property
    def _order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.age, self.key) if self.walk.by_age else (self.key,)

    def _from(self, *columns: ColumnElement[Any]) -> Select[Any]:
        return select(*columns).select_from(self.table).with_hint(self.table, _force(self.walk.index), "mysql")

    def _behind(self, after: Position) -> ColumnElement[bool]:
        if not self.walk.by_age:
            return self.key > after[0]
        return and_(self.age >= after[0], or_(self.age > after[0], self.key > after[1]))

    @property
    def _own_zone(self) -> Any:
        return UTC if self._type == "timestamp" else self._zone  # TIMESTAMPs are UTC in our sessions

    def _value(self, instant: datetime) -> object:
        """The instant as the column holds it. A DATE is over only when the next day begins."""
        local = instant.astimezone(self._own_zone).replace(tzinfo=None)
        return local.date() if self._type == "date" else local


def _walk(settings: TableSettings, source: SourceTable) -> Walk:
    for column, by_age in ((settings.age_column, True), (settings.synced_flag, False)):
        wanted = [str(column).lower()]
        for name, columns in source.indexes.items():
            # Behind an index's columns InnoDB keeps the primary key: one with further columns has another order.
            if [each.lower() for each in columns] in (wanted, [*wanted, settings.primary_key.lower()]):
                return Walk(name, by_age=by_age, of_synced=not by_age)
    return Walk("PRIMARY", by_age=False, of_synced=False)


def _force(index: str) -> str:
    # The text of a hint is formatted twice, by SQLAlchemy and by the driver.
    return f"FORCE INDEX ({quote(index)})".replace("%", "%%%%")
