"""What can be seen of bq-sync from outside while it works: the rows made, waiting and arrived."""

from dataclasses import dataclass
from datetime import datetime

from google.cloud.bigquery import DEFAULT_RETRY, Client
from sqlalchemy import ColumnClause, Engine, column, func, select, table

from config.settings import Settings

ANSWER_SECONDS = 5


@dataclass(frozen=True)
class Arrived:
    """What is in BigQuery: how many rows, and the time of the newest by its table's age column."""

    rows: int
    newest: datetime | None


class Progress:
    """Counts over all configured tables; each of them has a flag and an age column."""

    def __init__(self, engine: Engine, client: Client, settings: Settings) -> None:
        self._engine = engine
        self._client = client
        self._settings = settings

    def made(self) -> int:
        """Rows in the source tables."""
        with self._engine.connect() as connection:
            counts = [select(func.count()).select_from(table(name)) for name in self._settings.tables]
            return sum(connection.execute(count).scalar_one() for count in counts)

    def waiting(self) -> int:
        """What bq-sync has still to do: flags to set, queue items and batches to complete."""
        status: ColumnClause[str] = column("sync_status")
        state: ColumnClause[str] = column("state")
        counts = [
            select(func.count()).select_from(table("bq_sync_queue")).where(status != "completed"),
            select(func.count()).select_from(table("bq_sync_batch")).where(state.in_(("begun", "appended"))),
        ]
        for name, mapping in self._settings.tables.items():
            assert mapping.synced_flag is not None
            counts.append(select(func.count()).select_from(table(name)).where(column(mapping.synced_flag) == 0))
        with self._engine.connect() as connection:
            return sum(connection.execute(count).scalar_one() for count in counts)

    def arrived(self) -> Arrived:
        """What BigQuery holds."""
        dataset = f"{self._settings.project_id}.{self._settings.dataset_id}"
        query = " UNION ALL ".join(
            # The names are the configuration's own.
            f"SELECT COUNT(*) AS found, MAX({mapping.age_column}) AS newest FROM `{dataset}.{mapping.destination}`"  # noqa: S608
            for mapping in self._settings.tables.values()
        )
        retry = DEFAULT_RETRY.with_timeout(ANSWER_SECONDS)
        rows = list(
            self._client.query_and_wait(
                query, api_timeout=ANSWER_SECONDS, wait_timeout=ANSWER_SECONDS, retry=retry, job_retry=retry
            )
        )
        newest = max((row.newest for row in rows if row.newest is not None), default=None)
        return Arrived(sum(row.found for row in rows), newest)
