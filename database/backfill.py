"""The SQL of a backfill: the rows that are selected, and the items that they get. Implements `delivery.backfill`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, and_, func, insert, literal_column, select, true
from sqlalchemy.exc import SQLAlchemyError

from config.settings import TableSettings
from database.commands import read_following
from database.counting import count
from database.failures import explain
from database.in_lists import chunks
from database.schema import batch, queue
from database.source_columns import TRUE, SourceColumns
from database.walk import PRIMARY, Walk, index_of
from delivery.backfill import Selection, Stretch
from delivery.backfill_report import Fate, Total
from delivery.ledger import ItemStatus
from delivery.old_rows import Position
from delivery.rows import Key
from delivery.source import SourceError
from mapping.schema import SourceTable

OPEN = (ItemStatus.PENDING, ItemStatus.SYNCING)

_EVERY: ColumnElement[bool] = true()


class SqlSelectedRows:
    """The selected rows of one table, by the index on its age where a range is asked for, else by that on its flag.

    Of the rows that the index has in its range, those that fulfil the rest are selected.
    """

    def __init__(
        self,
        engine: Engine,
        settings: TableSettings,
        source: SourceTable,
        columns: SourceColumns,
        selection: Selection,
    ) -> None:
        self._engine = engine
        flagged = _EVERY
        if columns.flag is not None:
            flagged = columns.flag == TRUE if selection.again else columns.flag.is_(None)
        if selection.since is None and selection.until is None:
            aged, by_age = _EVERY, None
        else:
            aged = columns.aged(selection.since, selection.until)
            by_age = index_of(source, settings.age_column, settings.primary_key)
        by_flag = index_of(source, settings.synced_flag, settings.primary_key)
        self._walk = Walk(by_age or by_flag or PRIMARY, columns.table, columns.key, columns.age if by_age else None)
        self._range = aged if by_age else flagged if by_flag else _EVERY
        self._selected = and_(aged, flagged)

    def count(self) -> Total:
        with _reading(self._engine) as connection:
            counted = count(connection, self._walk.select(self._walk.key).where(self._range))
        return Total(counted.rows, counted.is_estimate)

    def stretch(self, after: Position | None, limit: int) -> Stretch:
        age = self._walk.key if self._walk.age is None else self._walk.age
        query = self._walk.select(self._walk.key, age, self._selected).where(self._range)
        if after is not None:
            query = query.where(self._walk.behind(after))
        with _reading(self._engine) as connection:
            rows = connection.execute(query.order_by(*self._walk.order).limit(limit)).all()
        return Stretch(
            [row[0] for row in rows if row[2]],
            len(rows),
            self._walk.position(rows[-1][0], rows[-1][1]) if len(rows) == limit else None,
        )


class SqlItems:
    """One table's items.

    Args:
        tells_found: rows are written through streams, so that a batch without one holds what was there already.
    """

    def __init__(self, engine: Engine, table_name: str, *, tells_found: bool) -> None:
        self._engine = engine
        self._table = table_name
        self._tells_found = tells_found

    def add(self, keys: Sequence[Key]) -> Collection[int]:
        records = [str(key) for key in keys]
        made = select(queue.c.id).where(
            queue.c.table_name == self._table,
            queue.c.operation == "INSERT",
            queue.c.resend == TRUE,
            queue.c.sync_status == ItemStatus.PENDING,
        )
        try:
            with self._engine.begin() as connection:
                items = [{"table_name": self._table, "record_id": record, "resend": True} for record in records]
                connection.execute(insert(queue).values(items))
                return [
                    id_
                    for some in chunks(records)
                    for id_ in connection.scalars(made.where(queue.c.record_id.in_(some)))
                ]
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error

    def decided(self, ids: Collection[int]) -> Mapping[int, Fate]:
        query = select(queue.c.id, queue.c.sync_status, queue.c.batch_id, batch.c.stream_id)
        query = query.select_from(queue.outerjoin(batch, batch.c.id == queue.c.batch_id))
        fates: dict[int, Fate] = {}
        with _reading(self._engine) as connection:
            for some in chunks(list(ids)):
                there = {row[0]: row for row in connection.execute(query.where(queue.c.id.in_(some)))}
                fates |= {id_: Fate.DROPPED for id_ in some if id_ not in there}
                fates |= {id_: self._fate(*row[1:]) for id_, row in there.items() if row[1] not in OPEN}
        return fates

    def open(self, at_most: int) -> int:
        some = [self._of_status(status).limit(at_most).subquery() for status in OPEN]
        counts = (select(func.count()).select_from(each).scalar_subquery() for each in some)
        with _reading(self._engine) as connection:
            return sum(connection.execute(select(*counts)).one())

    def obstacle(self) -> str | None:
        with _reading(self._engine) as connection:
            following = read_following(connection, [self._table])
        if self._table in following.paused:
            return f"{self._table} is paused: bq-sync resume --table {self._table}"
        if self._table not in following.owned:
            return f"no worker owns {self._table}: start `bq-sync worker`"
        return None

    def _of_status(self, status: ItemStatus) -> Select[Any]:
        query: Select[Any] = select(literal_column("1")).select_from(queue)
        return query.where(queue.c.table_name == self._table, queue.c.sync_status == status)

    def _fate(self, status: str, batch_id: int | None, stream_id: int | None) -> Fate:
        match ItemStatus(status):
            case ItemStatus.FAILED:
                return Fate.FAILED
            case ItemStatus.COMPLETED if batch_id is not None:
                return Fate.THERE if self._tells_found and stream_id is None else Fate.SENT
            case _:
                return Fate.DROPPED


@contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    try:
        with engine.connect() as connection:
            yield connection
    except SQLAlchemyError as error:
        raise SourceError(explain(error)) from error
