"""What a flush has come to, as an answer."""

from collections.abc import Sequence
from http import HTTPStatus

from api.models import FlushAnswer, RunningFlush
from api.problems import Problem
from database.commands import CommandState, Outcome

_WORDS = {CommandState.DONE: "flushed", CommandState.TAKEN: "running", CommandState.WITHDRAWN: "no worker"}


def flush_answer(outcomes: Sequence[Outcome]) -> tuple[HTTPStatus, FlushAnswer]:
    """200 where all tables are done, 202 where some go on.

    Raises:
        Problem: nobody took it for some table; says what became of the others.
    """
    flushed = sum(_flushed(outcome) for outcome in outcomes)
    tables = {outcome.table: _WORDS[outcome.state] for outcome in outcomes}
    if orphaned := [outcome.table for outcome in outcomes if outcome.state is CommandState.WITHDRAWN]:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"no worker took it for {', '.join(orphaned)}: start `bq-sync worker`",
            more={"ok": False, "flushedCount": flushed, "tables": tables},
        )
    if any(outcome.state is CommandState.TAKEN for outcome in outcomes):
        return HTTPStatus.ACCEPTED, RunningFlush(ok=False, flushed_count=flushed, tables=tables)
    return HTTPStatus.OK, FlushAnswer(ok=True, flushed_count=flushed)


def _flushed(outcome: Outcome) -> int:
    count = outcome.result.get("flushedCount", 0)
    return count if isinstance(count, int) else 0
