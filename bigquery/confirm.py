"""BigQuery as retention asks it: what time it is there, when partitions expire, and whether rows are there."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from bigquery.connect import Clients
from bigquery.metadata import read_table, server_time
from config.settings import Settings
from delivery.old_rows import Survey
from delivery.rows import SentRows


@dataclass(frozen=True, slots=True)
class BigQueryConfirming:
    """Implements `delivery.old_rows.Confirming` for one table."""

    clients: Clients
    settings: Settings
    table: str  # of BigQuery
    places_there: Callable[[SentRows], frozenset[int]]  # see `delivery.destination.Destination.look_up`
    now: Callable[[], datetime]

    def survey(self) -> Survey:
        there = server_time(self.clients.rest_endpoint)
        ahead = there - self.now()
        return Survey(ahead, read_table(self.clients.rest, self.settings, self.table).expiration_days)

    def look_up(self, rows: SentRows) -> frozenset[int]:
        return self.places_there(rows)
