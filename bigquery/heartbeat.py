"""The table for heartbeats: rows about this site, so that from BigQuery a dead site and a quiet one can be told apart.

Written by insertAll, whose best effort is enough: a row more or less changes nothing that is asked of this table.
"""

from collections.abc import Mapping

from google.cloud import bigquery

from bigquery import classify
from config.settings import Settings
from delivery.errors import DestinationError, ErrorClass, Failure

CALL_SECONDS = 30.0


class HeartbeatTable:
    """The table that `heartbeat_table` names."""

    def __init__(self, client: bigquery.Client, settings: Settings) -> None:
        self._client = client
        self._name = f"{settings.project_id}.{settings.dataset_id}.{settings.heartbeat_table}"

    def write(self, row: Mapping[str, object], row_id: str) -> None:
        """Write the row; another one with the same id, soon after it, is dropped.

        Raises:
            DestinationError: it isn't there, as far as is known.
        """
        try:
            errors = self._client.insert_rows_json(
                self._name, [row], row_ids=[row_id], retry=None, timeout=CALL_SECONDS
            )
        except Exception as error:
            raise DestinationError(classify.of_exception(error)) from error
        if errors:
            reason = f"{self._name} doesn't take it: are its columns those that `bq-sync init-bigquery` makes?"
            raise DestinationError(Failure(ErrorClass.BLOCKED, reason, definite=True))
