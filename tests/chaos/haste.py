"""Deadlines that a test can wait for."""

from bigquery import lookup, metadata, streams
from bigquery.insert_all import InsertAll
from bigquery.storage_write import StorageWrite

SECONDS = 2.0


def hasten() -> None:
    """From now on, calls to BigQuery are given up after SECONDS, rather than after half a minute or more."""
    lookup.CALL_SECONDS = metadata.CALL_SECONDS = streams.CALL_SECONDS = SECONDS
    for destination in (StorageWrite, InsertAll):
        defaults = destination.__init__.__kwdefaults__
        assert defaults is not None
        defaults["deadline_seconds"] = SECONDS
