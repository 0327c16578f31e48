"""Reports of retention: kept as commands that are done, whoever asked for the run."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, insert, literal_column, select, union_all, update
from sqlalchemy.exc import SQLAlchemyError

from database.commands import CommandKind, CommandState
from database.engine import Engines
from database.failures import explain
from database.leases import begin
from database.schema import command
from delivery.lease import Lease
from delivery.retention_report import Refusal
from delivery.rows import Key
from delivery.source import SourceError

# A report begins with these two (delivery.retention_report).
REAL = '{"dryRun": false, %'
FINISHED = '{"dryRun": false, "finished": true, %'

UNCONFIRMED = (Refusal.NOT_IN_BIGQUERY, Refusal.NOT_IN_LEDGER)

_NOW: ColumnElement[Any] = literal_column("CURRENT_TIMESTAMP(6)")


class SqlReports:
    """One table's; implements `delivery.housekeeping.Reports`."""

    def __init__(self, engines: Engines, table_name: str) -> None:
        self._engines = engines
        self._table = table_name

    def last_finished(self) -> datetime | None:
        try:
            with self._engines.read.connect() as connection:
                row = connection.execute(_last(self._table, FINISHED)).one_or_none()
        except SQLAlchemyError as error:
            raise SourceError(explain(error)) from error
        return None if row is None else row.ended_at.replace(tzinfo=UTC)

    def keep(self, lease: Lease, report: Mapping[str, object]) -> None:
        with begin(self._engines.write, lease) as connection:
            connection.execute(
                insert(command).values(
                    table_name=self._table,
                    kind=CommandKind.RETENTION,
                    arguments=json.dumps({"scheduled": True}),
                    state=CommandState.DONE,
                    ended_at=_NOW,
                    result=json.dumps(report),
                )
            )

    def show(self, lease: Lease, command_id: int, report: Mapping[str, object]) -> None:
        taken = update(command).where(command.c.id == command_id, command.c.state == CommandState.TAKEN)
        with begin(self._engines.write, lease) as connection:
            connection.execute(taken.values(result=json.dumps(report)))


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the status says of a table's last run of retention.

    Attributes:
        finished: it went to its end; else `problem` says why not.
        refused: how many old rows stayed, by the reason (`delivery.retention_report.Refusal`).
        examples: some of their keys, by the reason.
    """

    ended_at: datetime
    finished: bool
    problem: str | None = None
    deleted: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    examples: Mapping[str, Sequence[Key]] = field(default_factory=dict)

    @property
    def unconfirmed(self) -> int:
        """Rows that are marked as synced, but that BigQuery doesn't have as far as anybody knows."""
        return sum(self.refused.get(reason, 0) for reason in UNCONFIRMED)

    @property
    def unconfirmed_keys(self) -> Sequence[Key]:
        """Some of them."""
        return [key for reason in UNCONFIRMED for key in self.examples.get(reason, ())]


def last_runs(connection: Connection, tables: Collection[str]) -> Mapping[str, LastRun]:
    """The last run of each of these tables that wasn't a dry one, in one statement; without one it is missing."""
    queries = [select(_last(table, REAL).subquery()) for table in tables]
    rows = connection.execute(union_all(*queries)).all() if queries else []
    return {row.table_name: _run(row.ended_at.replace(tzinfo=UTC), json.loads(row.result)) for row in rows}


def _run(ended_at: datetime, report: Mapping[str, Any]) -> LastRun:
    return LastRun(
        ended_at, report["finished"], report["problem"], report["deleted"], report["refused"], report["examples"]
    )


def last_report_id(table: str) -> Select[Any]:
    """Of the last run of the table that went to its end."""
    return _last(table, FINISHED).with_only_columns(command.c.id)


def _last(table: str, beginning: str) -> Select[Any]:
    return (
        select(command.c.table_name, command.c.ended_at, command.c.result)
        .with_hint(command, "FORCE INDEX (bq_sync_command_state)", "mysql")
        .where(
            command.c.state == CommandState.DONE,
            command.c.table_name == table,
            command.c.kind == CommandKind.RETENTION,
            command.c.result.like(beginning),
        )
        .order_by(command.c.id.desc())
        .limit(1)
    )
