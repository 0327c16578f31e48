"""BqSyncEnqueuer, which producers use."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from sqlalchemy import Connection, insert

from bq_sync_enqueuer.payload import to_json
from bq_sync_enqueuer.table import OPERATIONS, queue

if TYPE_CHECKING:
    from sqlalchemy.orm import Session  # takes 5 MB and a tenth of a second, also of those who never use one

TABLE_NAME_LENGTH = 64
RECORD_ID_LENGTH = 255


class BqSyncEnqueuer:
    """Puts rows into bq-sync's queue, in the caller's transaction: row and item commit together, or not at all.

    It never commits, and never talks to BigQuery. An item is small: without a payload, bq-sync reads the row when it
    sends it. With one, the payload is sent in the row's place: a BigQuery row by its column names, as it stands now.

        with engine.begin() as connection:
            result = connection.execute(insert(detection_logs).values(...))
            BqSyncEnqueuer(connection).enqueue_detection_log(result.inserted_primary_key[0])

    Args:
        connection: the SQLAlchemy Connection or Session that writes the row. With a Session, flush before, so that the
            row has its id.
    """

    def __init__(self, connection: "Connection | Session") -> None:
        self._connection = connection

    def enqueue_detection_log(self, record_id: int | str, payload: Mapping[str, object] | None = None) -> int:
        """Enqueue a new row of detection_logs. As `enqueue`."""
        return self.enqueue("detection_logs", record_id, payload=payload)

    def enqueue_summary(self, record_id: int | str, payload: Mapping[str, object] | None = None) -> int:
        """Enqueue a new row of ai_summary_cache. As `enqueue`."""
        return self.enqueue("ai_summary_cache", record_id, payload=payload)

    def enqueue_inference_log(self, record_id: int | str, payload: Mapping[str, object] | None = None) -> int:
        """Enqueue a new row of is21_logs. As `enqueue`."""
        return self.enqueue("is21_logs", record_id, payload=payload)

    def enqueue(
        self,
        table_name: str,
        record_id: int | str,
        *,
        operation: str = "INSERT",
        payload: Mapping[str, object] | None = None,
    ) -> int:
        """Enqueue a row of any table.

        Args:
            table_name: the source table, by its name in bq-sync's configuration.
            record_id: the row's primary key.
            operation: INSERT, UPDATE or DELETE; a table that only grows in BigQuery takes INSERTs alone.
            payload: the BigQuery row (see `payload.to_json`); None: bq-sync reads the source row.

        Returns:
            The item's id.

        Raises:
            ValueError: a name, id or operation that the queue can't hold.
            PayloadError: a payload that JSON can't hold (a ValueError too).
        """
        item = _item(table_name, record_id, operation)
        # NULL, not JSON's null: the row is to be read.
        item["payload"] = None if payload is None else to_json(payload)
        # The Connection's and the Session's `execute` have the same form for a statement of Core.
        key = self._connection.execute(insert(queue).values(item)).inserted_primary_key  # type: ignore[attr-defined]  # of an INSERT
        return int(key[0])

    def enqueue_many(self, table_name: str, record_ids: Iterable[int | str], *, operation: str = "INSERT") -> int:
        """Enqueue many rows of a table at once, without payloads.

        Returns:
            How many were enqueued.

        Raises:
            ValueError: as `enqueue`; nothing was enqueued.
        """
        items = [_item(table_name, record_id, operation) for record_id in record_ids]
        if items:
            self._connection.execute(insert(queue), items)
        return len(items)


def _item(table_name: str, record_id: int | str, operation: str) -> dict[str, str | None]:
    """Checked here, since a server that isn't strict would cut what doesn't fit, in silence."""
    if not 0 < len(table_name) <= TABLE_NAME_LENGTH:
        raise ValueError(f"table_name has to have 1 to {TABLE_NAME_LENGTH} characters")
    if operation not in OPERATIONS:
        raise ValueError(f"operation has to be one of {', '.join(OPERATIONS)}")
    if isinstance(record_id, bool) or not isinstance(record_id, int | str):
        raise ValueError(
            f"record_id is of type {type(record_id).__name__}: pass the row's primary key, an int or text"
            " (None: was the Session flushed?)"
        )
    key = str(record_id)
    if not 0 < len(key) <= RECORD_ID_LENGTH:
        raise ValueError(f"record_id has to have 1 to {RECORD_ID_LENGTH} characters")
    return {"table_name": table_name, "record_id": key, "operation": operation}
