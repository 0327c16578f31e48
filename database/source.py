"""A source table as bq-sync uses it: which rows wait, what they hold, how they are marked. See `delivery.source`."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, cast
from zoneinfo import ZoneInfo

import pyarrow as pa
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Select,
    TableClause,
    and_,
    collate,
    column,
    exists,
    func,
    literal_column,
    or_,
    select,
    table,
    true,
    update,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import quoted_name

from config.settings import TableSettings
from database.by_columns import FEWEST_ROWS, Columns, EndToEnd, can_be_read, decoded, joined
from database.failures import explain
from database.in_lists import chunks
from database.lenient import lenient
from database.schema import batch, queue
from delivery.ledger import OPEN, ItemStatus
from delivery.rows import Key
from delivery.source import QueuedItem, SourceChangedError, SourceError, SourceRow
from delivery.triage import Item, RowState
from mapping.schema import SourceColumn, SourceTable

TIMED_AT_ONCE = 50  # rows of a large page whose age is told: a zone costs more than all else of a row here
BESIDE = 2  # columns of what `rows` selects stand before those that are read: flag and settling
SOME = 10  # open batches that are told of
SHORTEST_RUN = 4  # consecutive keys that are worth a BETWEEN of their own

_FALSE: ColumnElement[Any] = literal_column("0")
_AGE = func.timestampdiff(literal_column("SECOND"), queue.c.created_at, literal_column("CURRENT_TIMESTAMP(6)"))
_SENT = and_(queue.c.sync_status == ItemStatus.COMPLETED, queue.c.batch_id.is_not(None))


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
        unsynced = self.flag == _FALSE
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

    def described(self, column: ColumnClause[Any]) -> SourceColumn:
        """What the catalogue says of one."""
        return self._source.columns[column.name]

    def _zone_of(self, name: str) -> tzinfo:
        """TIMESTAMPs are UTC in our sessions, DATETIMEs in the database's zone."""
        return UTC if self._source.columns[name].data_type == "timestamp" else self._zone

    def _instant(self, name: str, instant: datetime) -> datetime:
        """An instant as the column holds it."""
        return instant.astimezone(self._zone_of(name)).replace(tzinfo=None)


class SqlSource:
    """Reads one table's rows and items.

    Args:
        read_columns: what `rows` returns of a row, in this order, the key first (`TableMapping.source_columns`).
        key_of: the key that a record id means, or None (`TableMapping.key_of`).
        by_columns: whether the mapping takes rows that are read by columns.
    """

    def __init__(
        self,
        engine: Engine,
        table_name: str,
        columns: SourceColumns,
        read_columns: Sequence[str],
        key_of: Callable[[str], Key | None],
        *,
        by_columns: bool = False,
    ) -> None:
        self._engine = engine
        self._table_name = table_name
        self._columns = columns
        self._read_columns = [columns.table.c[name] for name in read_columns]
        self._values = slice(BESIDE, BESIDE + len(read_columns))  # of what `rows` selects
        self._age_place: int | None = None  # among what is read
        if columns.age is not None:
            if columns.age.name not in read_columns:
                self._read_columns.append(columns.age)
            self._age_place = [column.name for column in self._read_columns].index(columns.age.name)
        self._by_columns = None
        if by_columns and can_be_read(described := [columns.described(column) for column in self._read_columns]):
            self._by_columns = EndToEnd(list(zip(self._read_columns, described, strict=True)))
        self._key_of = key_of
        self._types: tuple[int, ...] | None = None  # of the columns that `rows` reads, by the driver's numbers

    def anything_waits(self) -> bool:
        pending = queue.c.table_name == self._table_name, queue.c.sync_status == ItemStatus.PENDING
        places = [exists().where(*pending)]
        waiting = self._columns.waiting()
        if waiting is not None:
            places.append(exists().select_from(self._columns.table).where(waiting))
        return bool(self._read(select(or_(*places)))[0][0])

    def waiting_keys(self, after: Key | None, limit: int) -> Sequence[Key]:
        waiting = self._columns.waiting()
        if waiting is None:
            return []
        key = self._columns.key
        query = select(key).select_from(self._columns.table).where(waiting)
        if after is not None:
            query = query.where(key > after)
        page = query.order_by(key).limit(limit)
        if not self._columns.key_column.is_integer:
            return [row[0] for row in self._read(page)]
        # As one text, of which Python makes numbers faster than the driver does of as many rows. It may have been cut.
        numbers = page.subquery().c[key.name]
        text: bytes | None
        count, text = self._read(select(func.count(numbers), joined(numbers, "','")))[0]
        keys = [] if text is None else [int(number) for number in text.split(b",") if number]
        return sorted(keys) if len(keys) == count else [row[0] for row in self._read(page)]

    def pending_items(self, after: int, limit: int) -> Sequence[QueuedItem]:
        columns = (queue.c.id, queue.c.operation, queue.c.resend, _AGE, queue.c.record_id, queue.c.payload)
        query = select(*columns, queue.c.created_at).where(
            queue.c.table_name == self._table_name,
            queue.c.sync_status == ItemStatus.PENDING,
            queue.c.id > after,
        )
        return [
            QueuedItem(
                Item(
                    id_,
                    operation,
                    ItemStatus.PENDING,
                    resend=bool(resend),
                    has_payload=payload is not None,
                    age_seconds=float(age),
                ),
                record_id,
                payload,
                created_at.replace(tzinfo=UTC),
            )
            for id_, operation, resend, age, record_id, payload, created_at in self._read(
                query.order_by(queue.c.id).limit(limit)
            )
        ]

    def resolve(self, items: Sequence[QueuedItem]) -> Mapping[int, Key]:
        meant = {found.item.id: self._key_of(found.record_id) for found in items}
        keys = {item: key for item, key in meant.items() if key is not None}
        if not self._columns.key_column.is_integer and keys:
            # 'abc' and 'ABC' may be one key: the column's own collation says so, and the row how it is spelled.
            keys |= self._spelled(keys)
        return keys

    def _spelled(self, keys: Mapping[int, Key]) -> dict[int, Key]:
        described = self._columns.key_column
        record_id = collate(
            func.convert(queue.c.record_id.op("USING")(literal_column(described.character_set or "utf8mb4"))),
            described.collation or "utf8mb4_general_ci",
        )
        query = select(queue.c.id, self._columns.key).select_from(
            queue.join(self._columns.table, self._columns.key == record_id)
        )
        return {row[0]: row[1] for some in chunks(list(keys)) for row in self._read(query.where(queue.c.id.in_(some)))}

    def inserts_of(self, keys: Collection[Key]) -> Mapping[Key, Sequence[Item]]:
        items: dict[Key, list[Item]] = {}
        if not self._has_items():
            return items
        by_record = {str(key): key for key in keys}
        for some in chunks(list(by_record)):
            query = select(queue.c.id, queue.c.record_id, queue.c.sync_status, _SENT, queue.c.resend).where(
                queue.c.table_name == self._table_name,
                queue.c.record_id.in_(some),
                queue.c.operation == "INSERT",
            )
            for id_, record_id, status, sent, resend in self._read(query):
                key = by_record.get(record_id)
                if key is not None:  # else it only compares alike: the column's collation ignores spaces at the end
                    item = Item(id_, "INSERT", ItemStatus(status), sent=bool(sent), resend=bool(resend))
                    items.setdefault(key, []).append(item)
        return items

    def _has_items(self) -> bool:
        """Whether any item is the table's: where rows are found by their flag alone, keys needn't be asked for."""
        return bool(self._read(select(exists().where(queue.c.table_name == self._table_name)))[0][0])

    def open_batches(self) -> Collection[int]:
        query = select(batch.c.id).where(batch.c.table_name == self._table_name, batch.c.state.in_(OPEN))
        return [row[0] for row in self._read(query.limit(SOME))]

    def rows(self, keys: Collection[Key]) -> Mapping[Key, SourceRow]:
        query = self._select_rows()
        rows: dict[Key, SourceRow] = {}
        step = 1 + len(keys) // TIMED_AT_ONCE
        age = None if self._age_place is None else BESIDE + self._age_place
        for some in chunks(list(keys)):
            for row in self._read(query.where(self._columns.key.in_(some)), typed=True):
                since = self._columns.since(row[age]) if age is not None and len(rows) % step == 0 else None
                rows[row[BESIDE]] = SourceRow(self._state(row[0]), row[self._values], bool(row[1]), since)
        return rows

    def _select_rows(self) -> Select[Any]:
        flag = self._columns.flag
        # Compared by the server, since a BIT arrives as bytes, of which b"\x00" too is true.
        synced = literal_column("NULL") if flag is None else flag != _FALSE
        young = self._columns.settling()
        settling = _FALSE if young is None else young
        return select(synced, settling, *self._read_columns).select_from(self._columns.table)

    @property
    def by_columns(self) -> bool:
        return self._by_columns is not None

    def waiting_by_columns(self, keys: Sequence[Key]) -> Columns | None:
        waiting = self._columns.waiting()
        if self._by_columns is None or waiting is None or len(keys) < FEWEST_ROWS:
            return None
        between = self._columns.key.between(keys[0], keys[-1])
        selected = self._by_columns.select().select_from(self._columns.table).where(waiting, between)
        arrays = self._by_columns.split(self._read(selected)[0])
        # Asked for afterwards: had the table been altered before its values were read, this would show it.
        self._read(self._select_rows().limit(0), typed=True)
        return None if arrays is None else self._among(keys, arrays)

    def _among(self, keys: Sequence[Key], arrays: Sequence[Any]) -> Columns:
        assert self._types is not None
        types = self._types[BESIDE:]
        read = decoded(arrays[0], types[0])
        wanted = set(keys)
        places = [place for place, key in enumerate(read) if key in wanted]
        if len(places) < len(read):
            arrays = [array.take(pa.array(places, pa.int64())) for array in arrays]
            read = [read[place] for place in places]
        count = self._values.stop - self._values.start
        return Columns(cast(Sequence[Key], read), self._some_since(arrays, types), arrays[:count], types[:count])

    def _some_since(self, arrays: Sequence[Any], types: Sequence[int]) -> dict[int, datetime]:
        if self._age_place is None:
            return {}
        ages, type_ = arrays[self._age_place], types[self._age_place]
        some = range(0, len(ages), 1 + len(ages) // TIMED_AT_ONCE)
        told = map(self._columns.since, decoded(ages.take(pa.array(some, pa.int64())), type_))
        return {place: since for place, since in zip(some, told, strict=True) if since is not None}

    def _state(self, synced: int | None) -> RowState:
        if self._columns.flag is None:
            return RowState.UNFLAGGED
        if synced is None:
            return RowState.HISTORY
        return RowState.SYNCED if synced else RowState.WAITING

    def _read(self, query: Executable, *, typed: bool = False) -> Sequence[Any]:
        try:
            with self._engine.connect() as connection:
                try:
                    return self._rows_of(connection, query, typed=typed)
                except UnicodeDecodeError:
                    connection.invalidate()  # the rest of the answer is still to come
            with self._engine.connect() as connection, lenient(connection):
                return self._rows_of(connection, query, typed=typed)
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error

    def _rows_of(self, connection: Connection, query: Executable, *, typed: bool) -> Sequence[Any]:
        result = connection.execute(query)
        if typed and result.cursor is not None:
            self._demand_types(tuple(cast(int, column[1]) for column in result.cursor.description))
        return result.all()

    def _demand_types(self, types: tuple[int, ...]) -> None:
        """A DATETIME that was made a TIMESTAMP looks the same, but is in another zone: the types tell them apart."""
        if self._types is None:
            self._types = types
        elif types != self._types:
            raise SourceChangedError(f"the columns of {self._table_name} have other types than before")


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
