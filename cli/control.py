"""`bq-sync flush`, `retention`, `pause` and `resume`: what operators ask of the workers, through the database."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import anyio
import click
from sqlalchemy import Engine

from cli.asking import database, known, load_settings, some_tables
from cli.endings import Exit, Failed
from cli.outcomes import code_of, flush_lines, retention_lines, retention_progress
from database.commands import Outcome
from operations import control
from operations.control import Answer, Patience, PausedError, PauseState, UnansweredError
from operations.health import DISABLED

Told = TypeVar("Told")

PATIENCE = Patience()

wait_option = click.option(
    "--wait",
    metavar="SECONDS",
    type=click.FloatRange(PATIENCE.taken, 86_400),
    default=PATIENCE.done,
    show_default=True,
    help=f"How long to wait until it is done: {PATIENCE.taken:.0f} to 86400.",
)


@click.command()
@some_tables("Flush only this table")
@wait_option
def flush(tables: tuple[str, ...], wait: float) -> None:
    """Send everything that waits, now.

    Without waiting for a batch to fill or a delay to end.

    Exit code: 0 done, 5 taken but still running, 6 some table has no worker: nothing of that table was asked for;
    1 where a table is paused, or the database doesn't answer.
    """
    answer = _ask(
        "the flush goes on where a worker has taken it, elsewhere it was withdrawn: see `bq-sync status`",
        tables,
        partial(control.flush, patience=replace(PATIENCE, done=wait)),
    )
    _end(answer, flush_lines(answer.outcomes))


@click.command()
@some_tables("Delete from only this table")
@click.option("--dry-run", is_flag=True, help="Delete nothing, and tell what would be deleted.")
@wait_option
def retention(tables: tuple[str, ...], dry_run: bool, wait: float) -> None:
    """Delete old rows, now.

    Those that are in BigQuery and older than retention_days. Meanwhile it says on stderr how far it is.

    Exit code: 0 done, 5 taken but still running, 6 some table has no worker, 1 where it ended with a problem.
    """
    left = (
        "a worker that has taken the dry run ends it, and nothing is deleted; ask anew for its report"
        if dry_run
        else "deleting goes on where a worker has taken it, and `bq-sync status` tells when it has ended;"
        " elsewhere it was withdrawn"
    )
    patience = replace(PATIENCE, done=wait)
    answer = _ask(left, tables, partial(control.retention, patience=patience, dry_run=dry_run, seen=_progress()))
    _end(answer, retention_lines(answer.outcomes))


@click.command()
@some_tables("Pause only this table")
def pause(tables: tuple[str, ...]) -> None:
    """Send nothing until it is resumed. What is begun is finished; it holds over every restart.

    Exit code: 0 paused, 5 where a worker hasn't followed yet (it will).
    """
    _tell(_ask("the pause holds: see `bq-sync status`", tables, partial(control.pause, patience=PATIENCE)))


@click.command()
@some_tables("Resume only this table")
def resume(tables: tuple[str, ...]) -> None:
    """Send again what was paused.

    Exit code: 0 resumed, 5 where a worker hasn't followed yet (it will).
    """
    _tell(_ask("it is resumed: see `bq-sync status`", tables, partial(control.resume, patience=PATIENCE)))


def _ask(left: str, tables: Sequence[str], what: Callable[[Engine, Sequence[str]], Awaitable[Told]]) -> Told:
    """What the workers make of it.

    The settings' `enabled` isn't looked at: it is the workers' own that counts, and this shell may have another.

    Args:
        left: what becomes of it where Ctrl-C ends the waiting.
    """
    settings = load_settings()
    chosen = known(settings, tables)
    try:
        with database(settings) as engine:
            return anyio.run(what, engine, chosen)
    except PausedError as error:
        raise Failed(f"{error}: bq-sync resume{''.join(f' --table {table}' for table in error.tables)}") from error
    except UnansweredError as error:
        raise Failed(str(error)) from error
    except KeyboardInterrupt:
        raise Failed(f"no longer waiting; {left}") from None


def _progress() -> Callable[[Sequence[Outcome]], None]:
    """Says how far each table's run is, in a line whenever that has changed."""
    said: set[str] = set()

    def tell(outcomes: Sequence[Outcome]) -> None:
        for line in map(retention_progress, outcomes):
            if line is not None and line not in said:
                said.add(line)
                click.echo(line, err=True)

    return tell


def _end(answer: Answer, lines: Sequence[str]) -> None:
    code = code_of(answer.outcomes)
    click.echo("\n".join(lines))
    if code is Exit.NO_WORKER and not load_settings().enabled:
        click.echo(f"In the settings of this shell {DISABLED.texts[0]}", err=True)
    sys.exit(code)


def _tell(states: Mapping[str, PauseState]) -> None:
    width = max(map(len, states))
    for table, state in states.items():
        click.echo(f"{table:{width}}  {state}")
    late = [table for table, state in states.items() if state in (PauseState.PAUSING, PauseState.RESUMING)]
    if late:
        click.echo("It holds, but not every worker follows yet: see `bq-sync status`", err=True)
    sys.exit(Exit.STILL_RUNNING if late else Exit.DONE)
