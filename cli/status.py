"""`bq-sync status`: how all tables fare, once or again and again."""

import json
import shutil
import sys
import time
from collections.abc import Collection, Sequence

import click
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.models.status import HealthAnswer, StatusAnswer
from cli.asking import known, load_settings, some_tables
from cli.endings import Exit
from cli.status_page import page
from config.settings import Settings
from database.engine import connect_for_looking
from database.site import kept_site_id
from database.status import Status, StatusReader
from operations.health import DISABLED, Level, Sight, Thresholds, look
from operations.version import program_version

EVERY_SECONDS = 2.0
CODES = {Level.HEALTHY: Exit.DONE, Level.DEGRADED: Exit.DEGRADED, Level.UNHEALTHY: Exit.UNHEALTHY}

HOME, CLEAR_LINE, CLEAR_BELOW = "\x1b[H", "\x1b[K", "\x1b[J"


@click.command()
@some_tables("Show and judge only this table")
@click.option("--json", "in_json", is_flag=True, help="Print JSON: what the API's GET /status answers, and `health`.")
@click.option(
    "--watch",
    metavar="[SECONDS]",
    type=click.FloatRange(1, 3600),
    is_flag=False,
    flag_value=EVERY_SECONDS,
    help=f"Print it anew so often (1 to 3600), until Ctrl-C; every {EVERY_SECONDS:.0f} s without SECONDS.",
)
def status(tables: tuple[str, ...], in_json: bool, watch: float | None) -> None:
    """Tell how all tables fare.

    What waits, what failed, whether a worker is alive, and what is wrong. It asks the database alone, so it works while
    worker and API are down.

    Exit code: 0 healthy, 3 degraded, 4 unhealthy, also where the database doesn't answer. With --watch 0.
    """
    settings = load_settings()
    site = Site(settings, known(settings, tables))
    if watch is not None:
        sys.exit(_watch(site, watch, in_json))
    sight = site.look()
    click.echo(site.as_json(sight, indent=2) if in_json else "\n".join(page(sight)))
    sys.exit(CODES[sight.health.level])


class Site:
    """What is looked at: these tables. Raises SettingsError: no database is set."""

    def __init__(self, settings: Settings, tables: Collection[str]) -> None:
        self._settings = settings
        self._tables = tables
        self._engine: Engine = connect_for_looking(settings.require_database_url())
        self._reader = StatusReader(self._engine, settings)
        self._thresholds = Thresholds.of(settings)

    def look(self) -> Sight:
        """As the API judges it; but with a worker alive it is enabled, whatever the settings of this shell say."""
        sight = look(self._read, self._thresholds)
        disabled = not self._settings.enabled and sight.status is not None and not sight.workers_alive
        return Sight(DISABLED, sight.status) if disabled else sight

    def as_json(self, sight: Sight, indent: int | None = None) -> str:
        """The answer of GET /status, where the database gave one, and `health`."""
        answer: dict[str, object] = {}
        if sight.status is not None:
            enabled = self._settings.enabled
            answer = StatusAnswer.of(
                sight.status, site_id=self._site_id(), version=program_version(), enabled=enabled
            ).model_dump(mode="json")
        answer["health"] = HealthAnswer.of(sight.health).model_dump(mode="json")
        return json.dumps(answer, ensure_ascii=False, indent=indent)

    def _read(self) -> Status:
        status = self._reader.read()
        return status if len(self._tables) == len(status.tables) else status.only(self._tables)

    def _site_id(self) -> str | None:
        try:
            return self._settings.site_id or kept_site_id(self._engine)
        except SQLAlchemyError:
            return None  # the status says what is wrong


def _watch(site: Site, seconds: float, in_json: bool) -> Exit:
    """Until Ctrl-C. A database that doesn't answer is part of what is shown."""
    in_place = sys.stdout.isatty() and not in_json
    try:
        if in_place:
            click.clear()
        while True:
            sight = site.look()
            if in_json:
                click.echo(site.as_json(sight))
            elif in_place:
                _redraw(list(page(sight)))
            else:
                click.echo("\n".join([*page(sight), ""]))
            time.sleep(seconds)
    except KeyboardInterrupt:
        return Exit.DONE


def _redraw(lines: Sequence[str]) -> None:
    """Over what stands there, line by line: a cleared screen would flicker. What doesn't fit is left out."""
    shown = lines[: max(1, shutil.get_terminal_size().lines - 1)]
    click.echo(HOME + "".join(f"{line}{CLEAR_LINE}\n" for line in shown) + CLEAR_BELOW, nl=False)
