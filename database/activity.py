"""Rows that reached BigQuery, by the minute: from the ledger, by an index that holds all that is asked for."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Integer, func, literal_column, select, type_coerce

from database.schema import batch

MINUTES = 60


@dataclass(frozen=True, slots=True)
class Activity:
    """Rows in each of MINUTES whole minutes by the database's clock, the first from `start`; the last isn't over."""

    start: datetime
    rows: Mapping[str, Sequence[int]]


def read_activity(connection: Connection, tables: Collection[str]) -> Activity:
    """Of the last hour, by table; minutes in which none came are there, with 0."""
    now: datetime = connection.execute(select(func.utc_timestamp())).scalar_one()
    start = now.replace(second=0) - timedelta(minutes=MINUTES - 1)
    minute = func.timestampdiff(literal_column("MINUTE"), start, batch.c.ended_at)
    query = (
        select(batch.c.table_name, minute, type_coerce(func.sum(batch.c.row_count), Integer))
        .with_hint(batch, "FORCE INDEX (bq_sync_batch_ended)", "mysql")
        .where(batch.c.table_name.in_(tables), batch.c.state == "completed", batch.c.ended_at >= start)
        .group_by(batch.c.table_name, minute)
    )
    rows = {table: [0] * MINUTES for table in tables}
    for table, index, count in connection.execute(query):
        if table in rows:  # the server compares without case
            rows[table][min(index, MINUTES - 1)] += count  # one that ended since we looked at the clock
    return Activity(start.replace(tzinfo=UTC), rows)
