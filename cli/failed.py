"""`bq-sync failed`, `retry` and `clear-failed`: the rows that BigQuery can't take."""

import json
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice

import click
from sqlalchemy import Engine

from api.models.failed import Failed as FailedJson
from cli.asking import database, known, load_settings, some_tables
from cli.endings import Failed
from cli.printing import Column, aligned, count, local, printable, wrapped
from database.failed import (
    FailedItem,
    NoSuchItemsError,
    NotFailedError,
    count_failed,
    failed_items,
    give_up,
    give_up_all,
    retry_all,
)
from database.failed import retry as retry_items

GREATEST_ID = 2**63 - 1  # of a BIGINT
PAGE = 1000  # items that are read at once
SHOWN = 100


class ItemId(click.ParamType[int]):
    """An item's id, as `bq-sync failed` shows it."""

    name = "ID"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        text = str(value)
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= GREATEST_ID):
            self.fail(f"{text!r} is no id: take those that `bq-sync failed` shows.", param, ctx)
        return int(text)


COLUMNS = (Column("ID", right=True), Column("TABLE"), Column("RECORD"), Column("SINCE"))


@click.command()
@some_tables("Show only those of this table")
@click.option("--limit", metavar="N", type=click.IntRange(1), default=SHOWN, show_default=True, help="So many at most.")
@click.option("--before", metavar="ID", type=ItemId(), help="Only ids below it: the next page.")
@click.option("--json", "in_json", is_flag=True, help="Print JSON: {failed: [...], next: an id for --before, or null}.")
def failed(tables: tuple[str, ...], limit: int, before: int | None, in_json: bool) -> None:
    """Show failed rows with their errors.

    Those that BigQuery can't take, the newest first.
    """
    settings = load_settings()
    chosen = known(settings, tables)
    with database(settings) as engine:
        items = list(islice(_all(engine, chosen, min(limit + 1, PAGE), before), limit + 1))
    more = len(items) > limit
    items = items[:limit]
    if in_json:
        shown = [FailedJson.of(item).model_dump(mode="json") for item in items]
        page = {"failed": shown, "next": items[-1].id if more else None}
        click.echo(json.dumps(page, ensure_ascii=False, indent=2))
        return
    click.echo("\n".join(_lines(items)) if items else "nothing failed")
    if more:
        said = "".join(f" --table {table}" for table in tables)
        click.echo(f"\nThere are more: bq-sync failed{said} --limit {limit} --before {items[-1].id}", err=True)


def _all(engine: Engine, tables: Sequence[str], page: int, before: int | None) -> Iterator[FailedItem]:
    """Page by page, each with a connection of its own."""
    while True:
        with engine.connect() as connection:
            items = failed_items(connection, tables, page, before)
        yield from items
        if len(items) < page:
            return
        before = items[-1].id


def _lines(items: Sequence[FailedItem]) -> Iterator[str]:
    rows = [(str(item.id), item.table, printable(item.record_id), local(item.created_at)) for item in items]
    titles, *lines = aligned(COLUMNS, rows)
    yield click.style(titles, bold=True)
    for line, item in zip(lines, items, strict=True):
        yield line
        yield from wrapped(printable(item.error or "no error was kept"), "    ")


@click.command()
@click.argument("ids", metavar="ID...", nargs=-1, type=ItemId())
@some_tables("All failed rows of this table")
@click.option("--all", "every", is_flag=True, help="All failed rows.")
def retry(ids: tuple[int, ...], tables: tuple[str, ...], every: bool) -> None:
    """Try failed rows again: a worker sends them soon, or they fail again.

    Those with these ids, those of a table, or all. The ids are those of `bq-sync failed`. Where nothing failed it does
    nothing, with exit code 0; where an id isn't there or hasn't failed, nothing is changed, and the exit code is 1.
    """
    chosen = _chosen(ids, tables, every)
    retried = _change(ids, chosen, retry_items, retry_all)
    click.echo(f"{count(retried, 'row')} will be tried again" if retried else "nothing failed")


@click.command("clear-failed")
@click.argument("ids", metavar="ID...", nargs=-1, type=ItemId())
@some_tables("All failed rows of this table")
@click.option("--all", "every", is_flag=True, help="All failed rows.")
@click.option("--yes", is_flag=True, help="Don't ask whether that is meant; needed without a terminal.")
def clear_failed(ids: tuple[int, ...], tables: tuple[str, ...], every: bool, yes: bool) -> None:
    """Give failed rows up.

    They are never sent, and no longer counted. The source rows stay. The ids are those of `bq-sync failed`; exit codes
    as those of `retry`, and 1 where the question is answered with no.
    """
    chosen = _chosen(ids, tables, every)
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("It asks whether giving up is meant: without a terminal say --yes too.")
        if not (which := _which(ids, chosen)):
            click.echo("nothing failed")
            return
        click.confirm(f"Give up {which}? They will never be sent.", abort=True)
    cleared = _change(ids, chosen, give_up, give_up_all)
    click.echo(f"{count(cleared, 'row')} given up" if cleared else "nothing failed")


def _which(ids: Collection[int], tables: Sequence[str]) -> str:
    """What is about to be given up, in words; empty where nothing of those tables failed."""
    if ids:
        return count(len(set(ids)), "failed row")
    with database(load_settings()) as engine, engine.connect() as connection:
        failed = count_failed(connection, tables)
    about = "about " if failed.is_estimate else "all " if failed.rows > 1 else ""
    return f"{about}{count(failed.rows, 'failed row')} of {', '.join(tables)}" if failed.rows else ""


def _chosen(ids: Sequence[int], tables: Sequence[str], every: bool) -> Sequence[str]:
    """The tables that are meant, unless ids are.

    Raises:
        click.UsageError: it doesn't say which rows, or says so twice, or there is no such table.
    """
    said = [bool(ids), bool(tables), every].count(True)
    if said != 1:
        what = "Say only one of them" if said else "Say which rows"
        raise click.UsageError(f"{what}: their ids, or --table, or --all.")
    return known(load_settings(), tables)


def _change(
    ids: Collection[int],
    tables: Collection[str],
    these: Callable[[Engine, Collection[int]], int],
    all_of: Callable[[Engine, Collection[str]], int],
) -> int:
    """How many were changed. Raises Failed: an id isn't there, or hasn't failed; nothing was changed."""
    try:
        with database(load_settings()) as engine:
            return these(engine, set(ids)) if ids else all_of(engine, tables)
    except (NoSuchItemsError, NotFailedError) as error:
        raise Failed(f"{error}; nothing was changed") from error
