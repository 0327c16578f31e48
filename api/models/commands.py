"""What the actors are asked for, and what has become of it."""

from datetime import datetime
from typing import Literal

from pydantic import Field, JsonValue

from api.models.base import Answer, Request, TablesRequest
from database.commands import CommandKind, CommandState, Outcome
from operations.control import PauseState

# As clients see it: "waiting" for a worker to take it, or "running".
Progress = Literal["waiting", "running", "done", "withdrawn"]

PROGRESS: dict[CommandState, Progress] = {
    CommandState.WAITING: "waiting",
    CommandState.TAKEN: "running",
    CommandState.DONE: "done",
    CommandState.WITHDRAWN: "withdrawn",
}


class RetentionRequest(TablesRequest):
    """With `dryRun` nothing is deleted: the reports say what would be."""

    dry_run: bool = False


class FlushAnswer(Answer):
    """A flush that is done; `command`: where to ask for it again."""

    ok: Literal[True] = True
    flushed_count: int
    command: str


class RunningFlush(Answer):
    """A flush that goes on: what is known of each table by now, and where to ask what has become of it."""

    ok: Literal[False] = False
    flushed_count: int
    tables: dict[str, str]
    command: str


class TableOutcome(Answer):
    """What has become of a command for one table; `result` once it is done, or of retention how far it is."""

    state: Progress
    result: dict[str, JsonValue] | None

    @classmethod
    def of(cls, outcome: Outcome) -> "TableOutcome":
        result = dict(outcome.result) if outcome.result or outcome.state is CommandState.DONE else None
        return cls.model_validate({"state": PROGRESS[outcome.state], "result": result})


class RetentionAnswer(Answer):
    """`ok`: every table is done, without a problem. `command`: where to ask for it again."""

    ok: bool
    dry_run: bool
    deleted_count: int
    tables: dict[str, TableOutcome]
    command: str


class CommandPath(Request):
    id: str = Field(pattern="^[0-9a-f]{32}$")


class CommandAnswer(Answer):
    """What has become of a flush or a run of retention."""

    command: str
    kind: CommandKind
    created_at: datetime
    tables: dict[str, TableOutcome]


class PauseAnswer(Answer):
    """`ok`: the workers follow, or there are none."""

    ok: bool
    tables: dict[str, PauseState]
