"""A source table, read page by page in the order of an index."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, TableClause, and_, or_, select

from database.identifiers import quote
from delivery.old_rows import Position
from mapping.schema import SourceTable

PRIMARY = "PRIMARY"


@dataclass(frozen=True, slots=True)
class Walk:
    """The index that is read, and what its order is: by age and key, or (`age` is None) by key alone."""

    index: str
    table: TableClause
    key: ColumnElement[Any]
    age: ColumnElement[Any] | None = None

    @property
    def by_age(self) -> bool:
        return self.age is not None

    @property
    def order(self) -> tuple[ColumnElement[Any], ...]:
        return (self.key,) if self.age is None else (self.age, self.key)

    def select(self, *columns: ColumnElement[Any]) -> Select[Any]:
        # The text of a hint is formatted twice, by SQLAlchemy and by the driver.
        hint = f"FORCE INDEX ({quote(self.index)})".replace("%", "%%%%")
        return select(*columns).select_from(self.table).with_hint(self.table, hint, "mysql")

    def behind(self, after: Position) -> ColumnElement[bool]:
        """What holds for rows that come later."""
        if self.age is None:
            return self.key > after[0]
        return and_(self.age >= after[0], or_(self.age > after[0], self.key > after[1]))

    def up_to(self, end: Position) -> ColumnElement[bool]:
        """What holds for the row at that position, and those before it."""
        if self.age is None:
            return self.key <= end[0]
        return and_(self.age <= end[0], or_(self.age < end[0], self.key <= end[1]))

    def position(self, key: object, age: object) -> Position:
        return (key,) if self.age is None else (age, key)


def index_of(source: SourceTable, column: str | None, primary_key: str) -> str | None:
    """An index whose order is by this column, and by key where that is the same."""
    wanted = str(column).lower()
    for name, columns in source.indexes.items():
        # Behind an index's columns InnoDB keeps the primary key: one with further columns has another order.
        if [each.lower() for each in columns] in ([wanted], [wanted, primary_key.lower()]):
            return name
    return None
