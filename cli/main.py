"""The command `bq-sync`: parses and prints, nothing else. Each command imports what it needs when it runs."""

import os
import sys
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import click
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from cli.asking import known, load_settings, some_tables
from cli.endings import Failed, WrongSettings
from cli.memory import save_memory
from config.settings import Settings, SettingsError
from database.failures import explain
from operations.ending import end_at_once

# What operators do while it runs; each module is loaded when one of its commands is.
MODULES = {
    "status": "cli.status",
    "flush": "cli.control",
    "pause": "cli.control",
    "resume": "cli.control",
    "retention": "cli.control",
    "backfill": "cli.backfill",
    "failed": "cli.failed",
    "retry": "cli.failed",
    "clear-failed": "cli.failed",
    "verify": "cli.verify",
}


class Commands(click.Group):
    """Turns what a command raises into a message and an exit code."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *MODULES])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (module := MODULES.get(cmd_name)) is None:
            return super().get_command(ctx, cmd_name)
        command: click.Command = getattr(import_module(module), cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except SettingsError as error:
            many = "the configuration is wrong:\n  " if len(error.problems) > 1 else ""
            raise WrongSettings(many + "\n  ".join(error.problems)) from error
        except SQLAlchemyError as error:
            raise Failed(explain(error)) from error


def _version(ctx: click.Context, _: click.Parameter, wanted: bool) -> None:
    if wanted:
        try:
            click.echo(f"bq-sync {version('bq-sync')}")
        except PackageNotFoundError:
            click.echo("bq-sync, of a checkout that isn't installed: make install")
        ctx.exit()


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Print the version."
)
@click.pass_context
def main(context: click.Context) -> None:
    """Carries rows of MySQL or MariaDB to BigQuery, each exactly once.

    Configuration: BQ_SYNC_CONFIG, else config/bq_sync.yaml, else /etc/bq-sync/bq_sync.yaml.

    \b
    Exit codes, of every command: 0 done, 1 failed, 2 wrong settings or command line.
    Of some: 3 degraded, 4 unhealthy, 5 still running, 6 no worker took it, 7 something differs.
    """
    if os.environ.get("NO_COLOR"):
        context.color = False


@main.command()
@click.option("--history", type=click.Choice(["send", "skip"]), help="What becomes of rows that are there already.")
@click.option("--down", is_flag=True, help="Remove what migrate added; which rows were sent is forgotten.")
@click.option("--yes", is_flag=True, help="With --down: don't ask whether that is meant.")
@click.option("--sql", is_flag=True, help="Print the SQL and change nothing.")
def migrate(history: Literal["send", "skip"] | None, down: bool, yes: bool, sql: bool) -> None:
    """Bring the database to what this version and configuration need."""
    from database.engine import connect
    from operations.migrate import MigrationError, migrate_up, migration_sql

    if down and (sql or history):
        raise click.UsageError("--down goes with no other option but --yes.")
    if yes and not down:
        raise click.UsageError("--yes goes with --down.")
    if down and not (yes or _on_terminal()):
        raise click.UsageError("--down asks whether it is meant: without a terminal say --yes too.")
    settings = load_settings()
    engine = connect(settings.require_database_url())
    try:
        if sql:
            click.echo(migration_sql(engine, settings, history), nl=False)
        elif down:
            _migrate_down(engine, settings, ask=not yes)
        elif problems := migrate_up(engine, settings, history, click.echo):
            raise Failed("not everything could be done:\n  " + "\n  ".join(problems))
    except MigrationError as error:
        raise Failed(str(error)) from error


def _migrate_down(engine: Engine, settings: Settings, *, ask: bool) -> None:
    from operations.migrate import migrate_down, what_goes

    going = what_goes(engine)
    if not going:
        click.echo("nothing to do")
        return
    click.echo("this goes:\n  " + "\n  ".join(going))
    if ask:
        click.confirm("Remove it?", abort=True)
    migrate_down(engine, settings, click.echo)


def _on_terminal() -> bool:
    return sys.stdin.isatty()


@main.command("init-bigquery")
def init_bigquery() -> None:
    """Create the dataset and the shipped tables where they are missing.

    What exists is left alone and compared with the settings. Exit code 1 where a table stays missing or doesn't fit.
    """
    from cli.init_bigquery import run_init

    sys.exit(run_init(load_settings()))


@main.command()
@click.option("--json", "in_json", is_flag=True, help="Print one JSON document instead of lines.")
@click.option("--strict", is_flag=True, help="Exit code 1 for warnings too.")
def check(in_json: bool, strict: bool) -> None:
    """Compare the settings with database and BigQuery, and try what a worker will do.

    Nothing is changed. Exit code 1 where something is wrong.
    """
    from cli.check import run_check

    sys.exit(run_check(load_settings(), in_json=in_json, strict=strict))


@main.command("test-alert")
def test_alert() -> None:
    """Send a message to every alert channel, to see whether it arrives. Exit code 1 where one fails."""
    from cli.try_alert import try_alert

    sys.exit(try_alert(load_settings()))


@main.command()
@some_tables("Carry only this table")
@click.option("--lookup-first", is_flag=True, help="Look rows up before sending them: say it once after a restore.")
def worker(tables: tuple[str, ...], lookup_first: bool) -> None:
    """Carry rows, until stopped."""
    save_memory()
    from actors.worker import run_worker
    from cli.starting import announce, site_known
    from metrics.box import open_box
    from metrics.worker import for_worker

    settings = load_settings()
    known(settings, tables)
    announce("worker", settings)
    instruments = for_worker(open_box(settings, "worker").instruments)
    end_at_once(run_worker(settings, tables, lookup_first, instruments=instruments, site_known=site_known))


@main.command()
def api() -> None:
    """Serve the REST API, until stopped."""
    save_memory()
    from api.serve import run_api
    from cli.starting import announce, look_for_site
    from metrics.box import open_box

    settings = load_settings()
    announce("api", settings)
    look_for_site(settings)
    sys.exit(run_api(settings, open_box(settings, "api")))


@main.command()
@click.option("--lookup-first", is_flag=True, help="Look rows up before sending them: say it once after a restore.")
def run(lookup_first: bool) -> None:
    """Worker and API in one process, for small boxes."""
    save_memory()
    from cli.run import run_both

    end_at_once(run_both(load_settings(), lookup_first))
