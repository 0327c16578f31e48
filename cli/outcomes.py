"""What has become of a command, table by table, in words and as an exit code."""

from collections.abc import Iterator, Mapping, Sequence

from cli.endings import Exit
from cli.printing import count, printable
from database.commands import CommandState, Outcome

NO_WORKER = "no worker took it: start `bq-sync worker`"
RUNNING = "still running: see `bq-sync status`"


def code_of(outcomes: Sequence[Outcome]) -> Exit:
    """The worst of its tables: no worker, then a problem, then what is still running."""
    states = {outcome.state for outcome in outcomes}
    if CommandState.WITHDRAWN in states:
        return Exit.NO_WORKER
    if any(outcome.result.get("problem") for outcome in outcomes):
        return Exit.FAILED
    return Exit.DONE if states <= {CommandState.DONE} else Exit.STILL_RUNNING


def flush_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each table."""
    return list(_lines(outcomes, [_flushed(outcome.result) for outcome in outcomes]))


def _flushed(result: Mapping[str, object]) -> str:
    sent = result.get("flushedCount", 0)
    return f"done, {count(sent, 'row')} sent" if isinstance(sent, int) else "done"


def retention_lines(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each table, and its report below it; what is nothing is left out."""
    lines: list[str] = []
    for line, outcome in zip(_lines(outcomes, ["done"] * len(outcomes)), outcomes, strict=True):
        lines += [line, *(f"  {name}: {value}" for name, value in _report(outcome.result))]
    return lines


def retention_progress(outcome: Outcome) -> str | None:
    """How far a run is that goes on, as its worker has said last; None: it hasn't."""
    report = outcome.result
    if outcome.state is not CommandState.TAKEN or not report:
        return None
    name, what = ("wouldDelete", "would be deleted") if report.get("dryRun") else ("deleted", "deleted")
    rows = report.get(name)
    return f"{outcome.table}  {count(rows, 'row')} {what} so far" if isinstance(rows, int) else None


def _report(result: Mapping[str, object], within: str = "") -> Iterator[tuple[str, str]]:
    for name, value in result.items():
        if isinstance(value, Mapping):
            yield from _report(value, f"{within}{name} ")
        elif isinstance(value, list):
            if value:
                yield within + name, printable(", ".join(map(str, value)))
        elif isinstance(value, bool):
            yield within + name, "yes" if value else "no"
        elif (value is not None and value != 0) or name in ("deleted", "wouldDelete"):
            yield within + name, f"{value:,}" if isinstance(value, int) else printable(str(value))


def _lines(outcomes: Sequence[Outcome], done: Sequence[str]) -> Iterator[str]:
    width = max(len(outcome.table) for outcome in outcomes)
    for outcome, words in zip(outcomes, done, strict=True):
        said = {CommandState.DONE: words, CommandState.WITHDRAWN: NO_WORKER}.get(outcome.state, RUNNING)
        yield f"{outcome.table:{width}}  {said}"
