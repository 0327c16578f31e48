"""What operators ask of the actors, as rows: the one path, in whichever process each side lives.

A command waits until the table's owner takes it under its lease (`take_command` and `finish_command` of
`database.transaction`), or until whoever asked withdraws it: what was answered with "nobody is there" is never done.
A pause is no command but a value that holds until it is changed, so it survives every restart.
"""

import json
import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy import Connection, func, insert, literal_column, null, select, true, union_all, update
from sqlalchemy.dialects.mysql import insert as insert_or_update

from database.locks import lock_name
from database.schema import command
from database.schema import table as notes

PAUSED = "paused"  # the state that a table's owner notes once it follows


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
    arguments: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Orders:
    """What is wanted of some tables now: which of them are paused, and the commands that nobody has taken."""

    paused: frozenset[str]
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Following:
    """Of some tables: which an operator wants paused, which some worker owns, and of which the last one noted so."""

    paused: frozenset[str]
    owned: frozenset[str]
    noted_paused: frozenset[str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What has become of a command; `result` once it is done."""

    id: int
    table: str
    kind: CommandKind
    state: CommandState
    created_at: datetime
    result: Mapping[str, object] = field(default_factory=dict)


def request(
    connection: Connection, kind: CommandKind, tables: Sequence[str], arguments: Mapping[str, object] | None = None
) -> str:
    """Ask it of the owner of each table; what all of these commands are known by. It counts from the commit."""
    name = uuid.uuid4().hex
    common = {"request": name, "kind": kind, "arguments": json.dumps(arguments) if arguments else None}
    connection.execute(insert(command), [common | {"table_name": table} for table in tables])
    return name


def read_orders(connection: Connection, tables: Collection[str]) -> Orders:
    """What is wanted of these tables, in one statement; the commands with the oldest first."""
    waiting = select(command.c.table_name, command.c.id, command.c.kind, command.c.arguments).where(
        command.c.state == CommandState.WAITING, command.c.table_name.in_(tables)
    )
    paused = select(notes.c.table_name, null(), null(), null()).where(
        notes.c.paused == true(), notes.c.table_name.in_(tables)
    )
    rows = connection.execute(union_all(waiting, paused)).all()
    return Orders(
        paused=frozenset(row.table_name for row in rows if row.id is None),
        commands=tuple(
            Command(row.id, row.table_name, CommandKind(row.kind), _object(row.arguments))
            for row in sorted((row for row in rows if row.id is not None), key=lambda row: row.id)
        ),
    )


def set_paused(connection: Connection, tables: Collection[str], paused: bool) -> None:
    """Want these tables paused, or no longer. Their owners follow within seconds, and note the state."""
    for table in tables:
        statement = insert_or_update(notes).values(table_name=table, paused=paused)
        connection.execute(statement.on_duplicate_key_update(paused=paused))


def read_following(connection: Connection, tables: Collection[str]) -> Following:
    """How far the owners of these tables follow what is wanted."""
    database = connection.engine.url.database or ""
    names = list(tables)
    holders = connection.execute(select(*(func.is_used_lock(lock_name(database, name)) for name in names))).one()
    query = select(notes.c.table_name, notes.c.paused, notes.c.state).where(notes.c.table_name.in_(names))
    rows = connection.execute(query).all()
    return Following(
        paused=frozenset(row.table_name for row in rows if row.paused),
        owned=frozenset(name for name, holder in zip(names, holders, strict=True) if holder is not None),
        noted_paused=frozenset(row.table_name for row in rows if row.state == PAUSED),
    )


def outcomes(connection: Connection, request: str) -> tuple[Outcome, ...]:
    """What has become of the commands of a request, in the order they were made; none: there is no such request."""
    columns = (command.c.id, command.c.table_name, command.c.kind, command.c.state, command.c.created_at)
    query = select(*columns, command.c.result).where(command.c.request == request).order_by(command.c.id)
    return tuple(
        Outcome(
            row.id,
            row.table_name,
            CommandKind(row.kind),
            CommandState(row.state),
            row.created_at.replace(tzinfo=UTC),
            _object(row.result),
        )
        for row in connection.execute(query)
    )


def withdraw(connection: Connection, request: str) -> None:
    """Take back those of its commands that nobody has taken; the others go on. `outcomes` tells which."""
    connection.execute(
        update(command)
        .where(command.c.request == request, command.c.state == CommandState.WAITING)
        .values(state=CommandState.WITHDRAWN, ended_at=func.current_timestamp(literal_column("6")))
    )


def _object(text: str | None) -> Mapping[str, object]:
    value = json.loads(text) if text else {}
    assert isinstance(value, dict), "arguments and results are objects"
    return value
