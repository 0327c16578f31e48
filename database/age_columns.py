"""A source table's age, flag and key in the SQL of retention: which rows are old, in the order of an index."""

from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, or_, select

from config.settings import TableSettings
from database.source_columns import TRUE, SourceColumns
from database.walk import PRIMARY, Walk, index_of
from delivery.old_rows import Position
from mapping.schema import SourceTable

# Rows from before it have no age that could be believed: the camera's clock wasn't set, or the value is a zero date.
UNSET = datetime(2000, 1, 1, tzinfo=UTC)

WINDOW = 5_000  # rows of an index that one statement reads at most, of which those that qualify are taken
LOOKED_AT = 10_000  # rows of those that stay


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
        by_age = index_of(source, settings.age_column, settings.primary_key)
        by_flag = None if by_age else index_of(source, settings.synced_flag, settings.primary_key)
        self.walk = Walk(by_age or by_flag or PRIMARY, self.table, self.key, self.age if by_age else None)
        self._of_synced = by_flag is not None  # only rows that are marked as synced are passed
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
        query = self.walk.select(self.key, self.age).where(self.flag == TRUE, self.older_than(cutoff))
        if after is not None:
            query = query.where(self.walk.behind(after))
        return query.order_by(*self.walk.order).limit(limit)

    def window_end(self, cutoff: datetime, after: Position | None) -> Select[Any]:
        """The position of the window's last row; no row: the window holds all that is left."""
        query = self.walk.select(*self.walk.order)
        if self.walk.by_age:
            query = query.where(self.older_than(cutoff))
        if self._of_synced:
            query = query.where(self.flag == TRUE)
        if after is not None:
            query = query.where(self.walk.behind(after))
        return query.order_by(*self.walk.order).limit(1).offset(WINDOW - 1)

    def up_to(self, query: Select[Any], end: Position) -> Select[Any]:
        """The query, without what lies behind the window's end."""
        return query.where(self.walk.up_to(end))

    def position(self, key: object, age: object) -> Position:
        return self.walk.position(key, age)

    def ends_at_young_rows(self, rows: Sequence[object]) -> bool:
        """Whether a whole window without old rows is the end: keys that are given out in order ascend with age."""
        return not rows and self._of_synced and self._keys_ascend

    def old_among(self, keys: Collection[object], cutoff: datetime, flag: ColumnElement[Any]) -> Select[Any]:
        """Key and age of those of these rows that have the flag and are old."""
        query = select(self.key, self.age).select_from(self.table)
        return query.where(self.key.in_(keys), self.flag == flag, self.older_than(cutoff))

    def old_with_flag(self, cutoff: datetime, flag: ColumnElement[bool]) -> Select[Any] | None:
        """Keys of old rows with such a flag, of the first LOOKED_AT; None: no index finds them."""
        if self.flag_index is None:
            return None
        some = Walk(self.flag_index, self.table, self.key).select(self.key, self.age).where(flag)
        looked_at = some.limit(LOOKED_AT).subquery("looked_at")
        age = looked_at.c[self.age.name]
        return select(looked_at.c[self.key.name]).where(age >= self._value(UNSET), age < self._value(cutoff))

    def without_age(self) -> Select[Any] | None:
        """Keys of synced rows whose age isn't known, LOOKED_AT at most; None: no index finds them."""
        if not self.walk.by_age:
            return None
        unknown = or_(self.age.is_(None), self.age < self._value(UNSET))
        return self.walk.select(self.key).where(unknown, self.flag == TRUE).limit(LOOKED_AT)

    @property
    def _own_zone(self) -> Any:
        return UTC if self._type == "timestamp" else self._zone  # TIMESTAMPs are UTC in our sessions

    def _value(self, instant: datetime) -> object:
        """The instant as the column holds it. A DATE is over only when the next day begins.

        In an hour that comes twice, a row may be of the second: for an instant of the first it is that much earlier.
        """
        first = instant.astimezone(self._own_zone)
        twice = first.replace(fold=1).astimezone(UTC) - instant
        local = first.replace(tzinfo=None) - twice
        return local.date() if self._type == "date" else local
