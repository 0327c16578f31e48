"""What commands that speak to the database have in common: its connection, and the tables they are about."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from cli import logs
from cli.endings import Failed
from config.settings import Settings, load

if TYPE_CHECKING:
    from sqlalchemy import Engine

CommandFunction = TypeVar("CommandFunction", bound=Callable[..., Any])


def some_tables(what: str) -> Callable[[CommandFunction], CommandFunction]:
    """The option --table, which may be repeated; `what` explains it."""
    return click.option("--table", "tables", metavar="TABLE", multiple=True, help=f"{what}; may be repeated.")


def load_settings() -> Settings:
    """The settings, with logs as they say.

    Raises:
        SettingsError: with a line for each setting that is wrong.
    """
    settings = load()
    logs.configure(settings.log_format)
    return settings


def known(settings: Settings, tables: Sequence[str]) -> Sequence[str]:
    """The tables that were named, each once; all where none was.

    Raises:
        click.UsageError: the configuration has no such table.
    """
    if unknown := [table for table in tables if table not in settings.tables]:
        raise click.UsageError(f"No such table: {', '.join(unknown)}. There are {', '.join(settings.tables)}.")
    return tuple(dict.fromkeys(tables)) or tuple(settings.tables)


@contextmanager
def database(settings: Settings) -> Iterator["Engine"]:
    """The database, which has what this version needs.

    Raises:
        SettingsError: none is set.
        Failed: it lacks something.
        SQLAlchemyError: it doesn't answer, or refuses.
    """
    from database.engine import connect
    from database.prepared import lacking

    engine = connect(settings.require_database_url(), connections=1)
    try:
        with engine.connect() as connection:
            if missing := lacking(connection):
                raise Failed(f"the database has no {', '.join(missing)}: run `bq-sync migrate`")
        yield engine
    finally:
        engine.dispose()
