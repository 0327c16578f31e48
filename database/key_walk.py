"""The keys of a source table, also in BigQuery's order. Implements `delivery.both_sides.KeyWalk`."""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Executable, func, literal_column, or_, text, true
from sqlalchemy.exc import SQLAlchemyError

from database.failures import explain
from database.identifiers import quote
from database.source_columns import SourceColumns
from database.walk import PRIMARY, Walk
from delivery.both_sides import ONE_DAY, Bounds, KeyPage, Span
from delivery.rows import Key
from delivery.source import SourceError
from mapping.schema import SourceTable

# What lies between the first and the last key of some days is read through; of more days that is about everything.
FEW_DAYS = 31
NOTHING = Bounds(1, 0)
KEYS_AT_ONCE = 20_000  # of text keys, which are sorted here


class SqlKeyWalk:
    """One table's.

    Integer keys are walked through as the primary key has them. Text is sorted otherwise by BigQuery, by code points,
    than by most collations: where that order is asked for, the span's keys are read at once, and stay in memory.
    """

    def __init__(self, engine: Engine, source: SourceTable, columns: SourceColumns) -> None:
        if columns.age is None:
            raise ValueError(f"{source.name} has no age_column: its rows belong to no day")
        self._engine = engine
        self._source = source
        self._columns = columns
        self._age: ColumnElement[Any] = columns.age
        self._age_type = source.columns[columns.age.name].data_type
        self._age_index = source.index_on(columns.age.name)
        self._sorted: tuple[Span, list[str]] | None = None

    def bounds(self, span: Span) -> Bounds | None:
        if span.first is None or span.last is None or span.timeless or self._age_index is None:
            return None
        if (span.last - span.first).days > FEW_DAYS or not self._columns.key_column.is_integer:
            return None
        walk = Walk(self._age_index, self._columns.table, self._columns.key, self._age)
        query = walk.select(func.min(walk.key), func.max(walk.key))
        found = []
        for day in _days(span.wider()):  # of all at once it might take longer than a statement may
            lowest, highest = self._read(query.where(self._between(day, day)))[0]
            if lowest is not None:
                found.append((lowest, highest))
        return Bounds(min(each[0] for each in found), max(each[1] for each in found)) if found else NOTHING

    def keys(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        key = self._columns.key
        walk = Walk(PRIMARY, self._columns.table, self._columns.key)
        query = walk.select(key, func.coalesce(self._within(span), literal_column("0")))
        if after is not None:
            query = query.where(key > after)
        elif bounds is not None:
            query = query.where(key >= bounds.lowest)
        if bounds is not None:
            query = query.where(key <= bounds.highest)
        rows = self._read(query.order_by(key).limit(limit))
        return KeyPage([row[0] for row in rows if row[1]], rows[-1][0] if len(rows) == limit else None)

    def keys_in_order(self, span: Span, bounds: Bounds | None, after: Key | None, limit: int) -> KeyPage:
        if self._columns.key_column.is_integer:
            return self.keys(span, bounds, after, limit)
        keys = self._all_sorted(span)
        start = 0 if after is None else bisect_right(keys, str(after))
        page = keys[start : start + limit]
        return KeyPage(page, page[-1] if start + limit < len(keys) else None)

    def next_key(self) -> int | None:
        if not self._columns.key_column.is_integer:
            return None
        # Of information_schema MySQL answers what was true some time ago.
        query = text(f"SHOW CREATE TABLE {quote(self._source.name)}".replace(":", "\\:"))
        return _next_number(self._read(query)[0][1], self._columns.key.name)

    def _all_sorted(self, span: Span) -> list[str]:
        if self._sorted is None or self._sorted[0] != span:
            found: list[str] = []
            after: Key | None = None
            while True:
                page = self.keys(span, None, after, KEYS_AT_ONCE)
                found += map(str, page.keys)
                if page.next is None:
                    break
                after = page.next
            self._sorted = span, sorted(found)
        return self._sorted[1]

    def _within(self, span: Span) -> ColumnElement[bool]:
        """What holds for rows of the span, and for some of the days around it: a zone is at most a day off."""
        wider = span.wider()
        condition = self._between(wider.first, wider.last)
        return or_(condition, self._age.is_(None)) if span.timeless else condition

    def _between(self, first: date | None, last: date | None) -> ColumnElement[bool]:
        """What holds for rows of these days, both included, as the column has them."""
        condition: ColumnElement[bool] = true()
        if first is not None:
            condition = condition & (self._age >= self._value(first))
        if last is not None and last < date.max:
            condition = condition & (self._age < self._value(last + ONE_DAY))
        return condition

    def _value(self, day: date) -> object:
        return day if self._age_type == "date" else datetime.combine(day, time())

    def _read(self, query: Executable) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                return connection.execute(query).all()
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error


def _days(span: Span) -> Iterator[date]:
    """The days of a span that has two ends."""
    if span.first is not None and span.last is not None:
        for number in range((span.last - span.first).days + 1):
            yield span.first + timedelta(days=number)


def _next_number(definition: str, key: str) -> int | None:
    """What AUTO_INCREMENT says in a table's definition; it isn't said where it is 1."""
    columns, _, options = definition.rpartition("\n)")
    line = next((line for line in columns.splitlines() if line.strip().startswith(f"{quote(key)} ")), "")
    if "AUTO_INCREMENT" not in line.upper():
        return None
    said = re.search(r"\bAUTO_INCREMENT=(\d+)", options.partition(" COMMENT=")[0])
    return 1 if said is None else int(said[1])
