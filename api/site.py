"""What the endpoints share: the settings, the database, and one look at it for all who ask at once."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from api.fresh import Fresh, FreshStatus
from api.problems import Problem
from config.settings import Settings
from database.failures import explain
from database.prepared import lacking
from database.site import kept_site_id
from database.status import Status
from operations.health import DISABLED, Health, Thresholds, judge, unreachable


class Site:
    """The site as the API sees it. Whatever asks the database does so on a thread: the event loop never waits for it.

    Args:
        engine: None where no database is configured, which a disabled bq-sync may do without.
        look: reads the status.
    """

    def __init__(self, settings: Settings, engine: Engine | None, look: Callable[[], Status]) -> None:
        self.settings = settings
        self._engine = engine
        self._status: FreshStatus = Fresh(look)
        self._lacks = Fresh(self._look_what_lacks)
        self._kept_id = Fresh(lambda: kept_site_id(self.database))
        self._id: str | None = settings.site_id or None
        self._thresholds = Thresholds.of(settings)

    @property
    def has_database(self) -> bool:
        return self._engine is not None

    @property
    def database(self) -> Engine:
        """Raises Problem: there is none."""
        if self._engine is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_url isn't set: set BQ_SYNC_DATABASE_URL")
        return self._engine

    async def status(self) -> Status:
        """Read at most once a second, however many ask. Raises SQLAlchemyError, and Problem as `database`."""
        assert self.database
        return await self._status.get()

    async def health(self) -> Health:
        if not self.settings.enabled:
            return DISABLED
        try:
            return self.judge(await self.status())
        except SQLAlchemyError as error:
            return unreachable(explain(error))

    def judge(self, status: Status) -> Health:
        return judge(status, datetime.now(UTC), self._thresholds) if self.settings.enabled else DISABLED

    async def lacks(self) -> list[str]:
        """What the database has to be given by `migrate`. Raises SQLAlchemyError."""
        return await self._lacks.get()

    async def id(self) -> str | None:
        """As configured, or as kept in the database; None before the first worker."""
        if self._id is None:
            try:
                self._id = await self._kept_id.get()
            except SQLAlchemyError:
                return None  # the status says what is wrong
        return self._id

    def known(self, tables: Sequence[str]) -> Sequence[str]:
        """The tables that a request names, each once; all where it names none. Raises Problem: there is no such one."""
        if unknown := [table for table in tables if table not in self.settings.tables]:
            there = ", ".join(self.settings.tables)
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"no such table: {', '.join(unknown)}; there are {there}")
        return tuple(dict.fromkeys(tables)) or tuple(self.settings.tables)

    def _look_what_lacks(self) -> list[str]:
        with self.database.connect() as connection:
            return lacking(connection)
