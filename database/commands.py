"""What operators ask of the actors, as rows: the one path, in whichever process each side lives.

A command waits until the table's owner takes it under its lease (`take_command` and `finish_command` of
`database.transaction`), or until whoever asked withdraws it: what was answered with "nobody is there" is never done.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from sqlalchemy import Connection, func, insert, literal_column, select, update

from database.schema import command


class CommandKind(StrEnum):
    FLUSH = "flush"  # send everything that waits; result: {"flushedCount": rows sent}
    RETENTION = "retention"


class CommandState(StrEnum):
    WAITING = "waiting"
    TAKEN = "taken"
    DONE = "done"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Command:
    """A command that nobody has taken."""

    id: int
    table: str
    kind: CommandKind


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a command; `result` once it is done."""

    id: int
    table: str
    state: CommandState
    result: Mapping[str, object] = field(default_factory=dict)


def request(connection: Connection, kind: CommandKind, tables: Sequence[str]) -> tuple[int, ...]:
    """Ask it of the owner of each table; the commands' ids. It counts from the transaction's commit."""
    return tuple(_insert(connection, kind, table) for table in tables)


def waiting(connection: Connection, tables: Sequence[str]) -> tuple[Command, ...]:
    """The commands to these tables that nobody has taken, the oldest first."""
    query = select(command.c.id, command.c.table_name, command.c.kind).where(
        command.c.state == CommandState.WAITING, command.c.table_name.in_(tables)
    )
    rows = connection.execute(query.order_by(command.c.id))
    return tuple(Command(row.id, row.table_name, CommandKind(row.kind)) for row in rows)


def outcomes(connection: Connection, ids: Sequence[int]) -> tuple[Outcome, ...]:
    """What has become of these commands, in the order they were made."""
    columns = (command.c.id, command.c.table_name, command.c.state, command.c.result)
    rows = connection.execute(select(*columns).where(command.c.id.in_(ids)).order_by(command.c.id))
    return tuple(
        Outcome(row.id, row.table_name, CommandState(row.state), json.loads(row.result) if row.result else {})
        for row in rows
    )


def withdraw(connection: Connection, ids: Sequence[int]) -> None:
    """Take back those that nobody has taken; the others go on. `outcomes` tells which."""
    connection.execute(
        update(command)
        .where(command.c.id.in_(ids), command.c.state == CommandState.WAITING)
        .values(state=CommandState.WITHDRAWN, ended_at=func.current_timestamp(literal_column("6")))
    )


def _insert(connection: Connection, kind: CommandKind, table: str) -> int:
    key = connection.execute(insert(command).values(table_name=table, kind=kind)).inserted_primary_key
    assert key is not None, "an INSERT of one row has a key"
    return int(key[0])
