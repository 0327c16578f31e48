"""Read what waits in a source table and its queue, and what it holds: `delivery.source.Source` on MariaDB / MySQL."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa
from sqlalchemy import (
    ColumnClause,
    ColumnElement,
    Connection,
    Engine,
    Executable,
    Select,
    and_,
    collate,
    exists,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from database.by_columns import FEWEST_ROWS, Columns, EndToEnd, TooLong, can_be_read, decoded, joined
from database.failures import explain
from database.in_lists import chunks
from database.lenient import lenient
from database.schema import batch, queue
from database.source_columns import FALSE, SourceColumns
from database.wire_types import wire_type
from delivery.ledger import OPEN, ItemStatus
from delivery.rows import Key
from delivery.source import PageTooLong, QueuedItem, SourceChangedError, SourceError, SourceRow
from delivery.triage import Item, RowState
from mapping.schema import SourceColumn

TIMED_AT_ONCE = 50  # rows of a large page whose age is told: a zone costs more than all else of a row here
BESIDE = 2  # columns of what `rows` selects stand before those that are read: flag and settling
SOME = 10  # open batches that are told of

_AGE = func.timestampdiff(literal_column("SECOND"), queue.c.created_at, literal_column("CURRENT_TIMESTAMP(6)"))
_SENT = and_(queue.c.sync_status == ItemStatus.COMPLETED, queue.c.batch_id.is_not(None))


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
        self._read_columns = [_exactly(columns.table.c[name], columns.described(name)) for name in read_columns]
        self._values = slice(BESIDE, BESIDE + len(read_columns))  # of what `rows` selects
        self._age_place: int | None = None  # among what is read
        if columns.age is not None:
            if columns.age.name not in read_columns:
                self._read_columns.append(columns.age)
            self._age_place = [column.name for column in self._read_columns].index(columns.age.name)
        described = [columns.described(column.name) for column in self._read_columns]
        self._by_columns = None
        if by_columns and can_be_read(described):
            self._by_columns = EndToEnd(list(zip(self._read_columns, described, strict=True)))
        self._key_of = key_of
        # Of what `rows` selects, by the driver's numbers: as the catalogue had them, and as they were read first.
        self._described_types = (*[None] * BESIDE, *map(wire_type, described))
        self._types: tuple[int, ...] | None = None

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
        synced = literal_column("NULL") if flag is None else flag != FALSE
        young = self._columns.settling()
        settling = FALSE if young is None else young
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
        try:
            arrays = self._by_columns.split(self._read(selected)[0])
        except TooLong:
            raise PageTooLong(len(keys)) from None
        # Asked for afterwards: had the table been altered since it was described, this would show it.
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
        described = zip(self._described_types, types, strict=True)
        if self._types is None and all(expected in (None, told) for expected, told in described):
            self._types = types
        if types != self._types:
            raise SourceChangedError(f"the columns of {self._table_name} have other types than before")


def _exactly(column: ColumnClause[Any], described: SourceColumn) -> ColumnElement[Any]:
    """The column as it is stored: of a FLOAT the server would send six digits."""
    return (column + literal_column("0e0")).label(column.name) if described.data_type == "float" else column
