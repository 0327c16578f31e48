"""The DELETEs of source rows. Each of them says again what makes a row one that may go."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, select
from sqlalchemy.exc import DBAPIError

from database.age_columns import AgeColumns
from database.in_lists import chunks
from database.referring import how_to_grant
from database.schema import queue
from database.source_columns import FALSE, TRUE
from delivery.ledger import ItemStatus
from delivery.old_rows import Deleted, RetentionError
from delivery.retention_report import Refusal
from delivery.rows import Key

_OPEN = (ItemStatus.PENDING, ItemStatus.SYNCING, ItemStatus.FAILED)
_NEEDED = frozenset({1451, 1217})  # ER_ROW_IS_REFERENCED: with the constraint's name, and without
_TRIGGERED = frozenset({1644})  # ER_SIGNAL_EXCEPTION
_DENIED = frozenset({1142, 1143})

# What the server says of a foreign key: names, no values. "...fails (`db`.`child`, CONSTRAINT `name` FOREIGN KEY ..."
_CONSTRAINT = re.compile(r"`\.`(?P<table>[^`]+)`, CONSTRAINT `(?P<name>[^`]+)`")


class RowDeletion:
    """Deletes source rows by their primary key, in an open transaction."""

    def __init__(self, connection: Connection, table_name: str, ages: AgeColumns | None) -> None:
        self._connection = connection
        self._table = table_name
        self._ages = ages

    def delete_synced(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        undecided = self._undecided(keys)
        deleted = self._delete([key for key in keys if key not in undecided], TRUE, cutoff)
        return replace(deleted, refused={**deleted.refused, **undecided})

    def delete_abandoned(self, keys: Sequence[Key], cutoff: datetime) -> Deleted:
        # Locked, so that nobody makes one of them pending before the row is gone.
        given_up = {key for key, _ in self._items(keys, (ItemStatus.ABANDONED,), lock=True)}
        undecided = self._undecided(keys)
        return self._delete([key for key in keys if key in given_up and key not in undecided], FALSE, cutoff)

    def _undecided(self, keys: Sequence[Key]) -> dict[Key, Refusal]:
        """Those of the keys of which an item isn't done, since they were looked at last."""
        undecided: dict[Key, Refusal] = {}
        for key, status in self._items(keys, _OPEN):
            if status == ItemStatus.FAILED:
                undecided.setdefault(key, Refusal.FAILED)
            else:
                undecided[key] = Refusal.WAITS
        return undecided

    def _items(
        self, keys: Sequence[Key], statuses: Collection[ItemStatus], *, lock: bool = False
    ) -> Iterator[tuple[Key, str]]:
        """Keys with the statuses of their INSERT items, as far as those are among these."""
        by_record = {str(key): key for key in keys}
        for some in chunks(list(by_record)):
            query = select(queue.c.record_id, queue.c.sync_status).where(
                queue.c.table_name == self._table,
                queue.c.record_id.in_(some),
                queue.c.operation == "INSERT",
                queue.c.sync_status.in_(statuses),
            )
            query = query.with_hint(queue, "FORCE INDEX (bq_sync_queue_table_record)", "mysql")
            for record, status in self._connection.execute(query.with_for_update() if lock else query):
                if record in by_record:
                    yield by_record[record], status

    def _delete(self, keys: Sequence[Key], flag: ColumnElement[Any], cutoff: datetime) -> Deleted:
        """Delete these rows; where some can't be, the others. A statement that fails is undone by itself."""
        if not keys or self._ages is None:
            return Deleted(0)
        ages = self._ages
        statement = delete(ages.table).where(ages.key.in_(keys), ages.flag == flag, ages.older_than(cutoff))
        try:
            return Deleted(self._connection.execute(statement).rowcount)
        except DBAPIError as error:
            reason, note = self._refusal(error)
            if len(keys) == 1:
                return Deleted(0, {keys[0]: reason}, [note])
        half = len(keys) // 2
        first, second = self._delete(keys[:half], flag, cutoff), self._delete(keys[half:], flag, cutoff)
        notes = dict.fromkeys((*first.notes, *second.notes))
        return Deleted(first.rows + second.rows, {**first.refused, **second.refused}, list(notes))

    def _refusal(self, error: DBAPIError) -> tuple[Refusal, str]:
        """Why some row can't be deleted, and by what.

        Raises:
            RetentionError: none can be.
            DBAPIError: anything else.
        """
        number = error.orig.args[0] if error.orig is not None and error.orig.args else None
        if number in _DENIED:
            raise RetentionError(how_to_grant(self._connection, self._table)) from error
        if number in _TRIGGERED:
            return Refusal.TRIGGER, "a trigger of the table forbids to delete some rows (SIGNAL)"
        if number in _NEEDED:
            named = _CONSTRAINT.search(str(error.orig))
            which = f"foreign key {named['name']} of {named['table']}" if named else "foreign key of another table"
            return Refusal.FOREIGN_KEY, f"rows that the {which} refers to stay"
        raise error
