"""What operators ask for, and what became of it: one path for the API and the command line.

Whoever asks needs the database alone: the actors take commands from it, in whichever process they live.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum

import anyio
from anyio.to_thread import run_sync
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from database.commands import (
    CommandKind,
    CommandState,
    Following,
    Outcome,
    outcomes,
    read_following,
    request,
    set_paused,
    withdraw,
)
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


Seen = Callable[[Sequence[Outcome]], None]


class UnansweredError(Exception):
    """The database stopped answering: what was asked for may be done or not.

    `request`: what it is known by, should the database answer again.
    """

    def __init__(self, reason: str, request: str) -> None:
        super().__init__(f"{reason}; what was asked for may be done or not")
        self.request = request


class PausedError(Exception):
    """These tables are paused, so nothing of them is sent; nothing was asked for."""

    def __init__(self, tables: Collection[str]) -> None:
        super().__init__(f"paused: {', '.join(tables)}; resume them first")
        self.tables = tuple(tables)


class PauseState(StrEnum):
    """How far a pause, or its end, has come. Without a worker it holds for the next one, and is complete at once."""

    PAUSED = "paused"
    PAUSING = "pausing"  # wanted; the worker hasn't said that it follows
    RESUMED = "resumed"
    RESUMING = "resuming"


async def flush(engine: Engine, tables: Sequence[str], patience: Patience) -> Answer:
    """Send everything that waits now.

    Raises:
        PausedError: nothing was asked for.
        SQLAlchemyError, UnansweredError: as `ask`.
    """
    following = await run_sync(_following, engine, tables)
    if paused := [table for table in tables if table in following.paused]:
        raise PausedError(paused)
    return await ask(engine, CommandKind.FLUSH, tables, patience)


async def retention(
    engine: Engine, tables: Sequence[str], patience: Patience, *, dry_run: bool, seen: Seen = lambda _: None
) -> Answer:
    """Delete rows that are old and in BigQuery, or (dry run) tell which would go. Raises what `ask` does.

    `seen` as for `ask`: a run that goes on has its report so far in there.
    """
    return await ask(engine, CommandKind.RETENTION, tables, patience, {"dryRun": dry_run}, seen)


async def pause(engine: Engine, tables: Sequence[str], patience: Patience) -> Mapping[str, PauseState]:
    """Want nothing sent from these tables; it holds until they are resumed, over every restart.

    Waits until each table's worker follows; a table that has none is paused at once.

    Raises:
        SQLAlchemyError: the database didn't answer; whether it holds isn't known.
    """
    late = await _want_paused(engine, tables, True, patience)
    return {table: PauseState.PAUSING if table in late else PauseState.PAUSED for table in tables}


async def resume(engine: Engine, tables: Sequence[str], patience: Patience) -> Mapping[str, PauseState]:
    """Undo `pause`; waits and raises as it does."""
    late = await _want_paused(engine, tables, False, patience)
    return {table: PauseState.RESUMING if table in late else PauseState.RESUMED for table in tables}


async def ask(
    engine: Engine,
    kind: CommandKind,
    tables: Sequence[str],
    patience: Patience,
    arguments: Mapping[str, object] | None = None,
    seen: Seen = lambda _: None,
) -> Answer:
    """Ask the owner of each table, and tell what became of it: done, taken (still running) or withdrawn (nobody there).

    `seen` is told at each look what has become of it by then.

    Where the waiting is cancelled, what nobody has taken by then is withdrawn: it won't be done at some later time.

    Raises:
        SQLAlchemyError: the database didn't answer; nothing is known to have been asked.
        UnansweredError: the database doesn't answer any more.
    """
    requested: list[str] = []  # what it is known by, once it is asked
    try:
        await _to_its_end(lambda: requested.append(_request(engine, kind, tables, arguments)))
        return await _wait(engine, requested[0], patience, seen)
    except anyio.get_cancelled_exc_class():
        for name in requested:
            with anyio.CancelScope(shield=True), suppress(SQLAlchemyError):
                await run_sync(_look, engine, name, True)
        raise


async def _to_its_end(call: Callable[[], None]) -> None:
    """Run the call in a thread, and return, or be cancelled, only when it has ended.

    Ctrl-C cancels the task that waits for a thread in spite of every shield, but not one that was started beside it.
    """
    failed: list[SQLAlchemyError] = []

    async def run() -> None:
        try:
            await run_sync(call)
        except SQLAlchemyError as error:
            failed.append(error)  # a task group would wrap it

    async with anyio.create_task_group() as beside:
        beside.start_soon(run)
    if failed:
        raise failed[0]


async def _wait(engine: Engine, name: str, patience: Patience, tell: Seen) -> Answer:
    started = anyio.current_time()
    while True:
        waited = anyio.current_time() - started
        try:
            seen = await run_sync(_look, engine, name, waited >= patience.taken)
        except SQLAlchemyError as error:
            if waited >= patience.done:
                raise UnansweredError(explain(error), name) from error
        else:
            running = any(outcome.state in (CommandState.WAITING, CommandState.TAKEN) for outcome in seen)
            if not running or waited >= patience.done:
                return Answer(name, seen)
            tell(seen)
        await anyio.sleep(patience.look)


async def _want_paused(engine: Engine, tables: Sequence[str], paused: bool, patience: Patience) -> Collection[str]:
    """The tables whose owners don't follow yet."""
    await run_sync(_set_paused, engine, tables, paused)
    late: Collection[str] = tables
    started = anyio.current_time()
    while True:
        try:
            following = await run_sync(_following, engine, tables)
        except SQLAlchemyError:
            pass  # what is wanted is written; whether it is followed isn't known for now
        else:
            late = [table for table in following.owned if (table in following.noted_paused) != paused]
        if not late or anyio.current_time() - started >= patience.taken:
            return late
        await anyio.sleep(patience.look)


def _request(engine: Engine, kind: CommandKind, tables: Sequence[str], arguments: Mapping[str, object] | None) -> str:
    with engine.begin() as connection:
        return request(connection, kind, tables, arguments)


def _look(engine: Engine, name: str, give_up: bool) -> tuple[Outcome, ...]:
    with engine.begin() as connection:
        if give_up:
            withdraw(connection, name)
        return outcomes(connection, name)


def _set_paused(engine: Engine, tables: Sequence[str], paused: bool) -> None:
    with engine.begin() as connection:
        set_paused(connection, tables, paused)


def _following(engine: Engine, tables: Sequence[str]) -> Following:
    with engine.connect() as connection:
        return read_following(connection, tables)
