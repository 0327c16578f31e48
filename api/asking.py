"""Ask the actors for something and wait for it, as long as an HTTP caller has patience."""

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import anyio
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from api.problems import Problem
from database.commands import CommandKind, CommandState, Outcome, outcomes, request, withdraw
from database.failures import explain


@dataclass(frozen=True, slots=True)
class Patience:
    """In seconds: until a worker has taken a command, until it is done, and between two looks."""

    taken: float = 10.0
    done: float = 30.0
    look: float = 0.25


async def ask(engine: Engine, kind: CommandKind, tables: Sequence[str], patience: Patience) -> Sequence[Outcome]:
    """Ask the owner of each table, and tell what became of it: done, taken (still running) or withdrawn (nobody there).

    Raises:
        SQLAlchemyError: the database didn't answer; nothing is known to have been asked.
        Problem: the database doesn't answer any more.
    """
    ids = await run_in_threadpool(_request, engine, kind, tables)
    started = anyio.current_time()
    while True:
        waited = anyio.current_time() - started
        try:
            seen = await run_in_threadpool(_look, engine, ids, give_up=waited >= patience.taken)
        except SQLAlchemyError as error:
            if waited >= patience.done:
                raise Problem(
                    HTTPStatus.SERVICE_UNAVAILABLE, f"{explain(error)}; what was asked for may be done or not"
                ) from error
        else:
            running = any(outcome.state in (CommandState.WAITING, CommandState.TAKEN) for outcome in seen)
            if not running or waited >= patience.done:
                return seen
        await anyio.sleep(patience.look)


def _request(engine: Engine, kind: CommandKind, tables: Sequence[str]) -> Sequence[int]:
    with engine.begin() as connection:
        return request(connection, kind, tables)


def _look(engine: Engine, ids: Sequence[int], *, give_up: bool) -> Sequence[Outcome]:
    with engine.begin() as connection:
        if give_up:
            withdraw(connection, ids)
        return outcomes(connection, ids)
