"""What commands have come to, as answers."""

from collections.abc import Sequence
from http import HTTPStatus

from pydantic import BaseModel

from api.models.commands import FlushAnswer, RetentionAnswer, RunningFlush, TableOutcome
from api.operation import Reply
from api.paths import command_link
from api.problems import Problem
from database.commands import CommandState, Outcome
from operations.control import Answer

_WORDS = {
    CommandState.DONE: "flushed",
    CommandState.TAKEN: "running",
    CommandState.WAITING: "waiting",
    CommandState.WITHDRAWN: "no worker",
}


def flush_reply(asked: Answer) -> Reply:
    """200 where all tables are done, 202 where some go on.

    Raises:
        Problem: nobody took it for some table, or some were paused meanwhile; says what became of the others.
    """
    flushed = sum(_count(outcome, "flushedCount") for outcome in asked.outcomes)
    tables = {each.table: "paused" if _met_a_pause(each) else _WORDS[each.state] for each in asked.outcomes}
    going_on = RunningFlush(flushed_count=flushed, tables=tables, command=command_link(asked.request))
    _refuse_undone(asked.outcomes, going_on)
    if _goes_on(asked.outcomes):
        return _accepted(going_on, going_on.command)
    return Reply(FlushAnswer(flushed_count=flushed, command=going_on.command))


def retention_reply(asked: Answer, *, dry_run: bool) -> Reply:
    """As `flush_reply`, with the report of each table that is done."""
    what = "wouldDelete" if dry_run else "deleted"
    answer = RetentionAnswer(
        ok=all(_finished(outcome) for outcome in asked.outcomes),
        dry_run=dry_run,
        deleted_count=sum(_count(outcome, what) for outcome in asked.outcomes),
        tables={outcome.table: TableOutcome.of(outcome) for outcome in asked.outcomes},
        command=command_link(asked.request),
    )
    _refuse_undone(asked.outcomes, answer)
    return _accepted(answer, answer.command) if _goes_on(asked.outcomes) else Reply(answer)


def _refuse_undone(outcomes: Sequence[Outcome], known: BaseModel) -> None:
    more = known.model_dump(mode="json")
    if orphaned := [outcome.table for outcome in outcomes if outcome.state is CommandState.WITHDRAWN]:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"no worker took it for {', '.join(orphaned)}: start `bq-sync worker`",
            more=more,
        )
    if paused := [outcome.table for outcome in outcomes if _met_a_pause(outcome)]:
        raise Problem(HTTPStatus.CONFLICT, f"paused meanwhile: {', '.join(paused)}; resume them first", more=more)


def _accepted(answer: BaseModel, link: str) -> Reply:
    return Reply(answer, HTTPStatus.ACCEPTED, {"Location": link})


def _goes_on(outcomes: Sequence[Outcome]) -> bool:
    return any(outcome.state in (CommandState.WAITING, CommandState.TAKEN) for outcome in outcomes)


def _met_a_pause(outcome: Outcome) -> bool:
    return outcome.result.get("paused") is True


def _finished(outcome: Outcome) -> bool:
    return outcome.state is CommandState.DONE and outcome.result.get("finished") is True


def _count(outcome: Outcome, what: str) -> int:
    count = outcome.result.get(what, 0)
    return count if isinstance(count, int) else 0
