"""What operators ask for, and what became of it: one path for the API and the command line.

Whoever asks needs the database alone: the actors take commands from it, in whichever process they live.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import anyio
from anyio.to_thread import run_sync
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database.commands import CommandKind, CommandState, Outcome, outcomes, request, withdraw
from database.failures import explain


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: until a worker has taken a command, until it is done, and between two looks."""

    taken: float = 10.0
    done: float = 30.0
    look: float = 0.25


@dataclass(frozen=True, slots=True)
class Answer:
    """What has become of a request by now. `request`: what `database.commands.outcomes` knows it by."""

    request: str
    outcomes: tuple[Outcome, ...]


class UnansweredError(Exception):
    """The database stopped answering: what was asked for may be done or not."""


async def ask(
    engine: Engine,
    kind: CommandKind,
    tables: Sequence[str],
    patience: Patience,
    arguments: Mapping[str, object] | None = None,
) -> Answer:
    """Ask the owner of each table, and tell what became of it: done, taken (still running) or withdrawn (nobody there).

    Raises:
        SQLAlchemyError: the database didn't answer; nothing is known to have been asked.
        UnansweredError: the database doesn't answer any more.
    """
    name = await run_sync(_request, engine, kind, tables, arguments)
    started = anyio.current_time()
    while True:
        waited = anyio.current_time() - started
        try:
            seen = await run_sync(_look, engine, name, waited >= patience.taken)
        except SQLAlchemyError as error:
            if waited >= patience.done:
                raise UnansweredError(f"{explain(error)}; what was asked for may be done or not") from error
        else:
            running = any(outcome.state in (CommandState.WAITING, CommandState.TAKEN) for outcome in seen)
            if not running or waited >= patience.done:
                return Answer(name, seen)
        await anyio.sleep(patience.look)


def _request(engine: Engine, kind: CommandKind, tables: Sequence[str], arguments: Mapping[str, object] | None) -> str:
    with engine.begin() as connection:
        return request(connection, kind, tables, arguments)


def _look(engine: Engine, name: str, give_up: bool) -> tuple[Outcome, ...]:
    with engine.begin() as connection:
        if give_up:
            withdraw(connection, name)
        return outcomes(connection, name)
