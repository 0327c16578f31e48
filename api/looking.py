"""What only looks: status, health, activity, failed items, commands, and the probes."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.fresh import Fresh
from api.models.commands import CommandAnswer, CommandPath, TableOutcome
from api.models.failed import Failed, FailedAnswer, FailedQuery
from api.models.status import ActivityAnswer, HealthAnswer, ProbeAnswer, SessionAnswer, StatusAnswer
from api.operation import Reply
from api.paths import FAILED, command_link
from api.problems import Problem
from api.roles import needs_token
from api.site import Site
from database.activity import Activity, read_activity
from database.commands import Outcome, outcomes
from database.failed import FailedItem, failed_items
from database.failures import explain
from operations.health import Level
from operations.version import program_version

VERSION: Final = program_version()


class Looking:
    def __init__(self, site: Site) -> None:
        self._site = site
        self._activity = Fresh(self._read_activity)

    async def session(self, request: Request) -> Reply:
        """What this request may do."""
        return Reply(SessionAnswer(role=request.state.role, tokens=needs_token(self._site.settings)))

    async def status(self, _: Request) -> Reply:
        """How all tables fare."""
        status = await self._site.status()
        enabled = self._site.settings.enabled
        return Reply(StatusAnswer.of(status, site_id=await self._site.id(), version=VERSION, enabled=enabled))

    async def health(self, _: Request) -> Reply:
        """Whether all is well, and why not."""
        health = await self._site.health()
        ill = health.level is Level.UNHEALTHY
        return Reply(HealthAnswer.of(health), HTTPStatus.SERVICE_UNAVAILABLE if ill else HTTPStatus.OK)

    async def activity(self, _: Request) -> Reply:
        """Rows that reached BigQuery in each minute of the last hour."""
        assert self._site.database
        return Reply(ActivityAnswer.of(await self._activity.get()))

    async def failed(self, _: Request, query: FailedQuery) -> Reply:
        """The rows that BigQuery can't take, the newest first."""
        tables = self._site.known([query.table] if query.table else [])
        # One more than asked for tells whether there is a next page.
        items = await run_in_threadpool(_failed, self._site.database, tables, query.limit + 1, query.before)
        shown = items[: query.limit]
        after = query.model_dump(exclude_unset=True) | {"before": shown[-1].id if shown else None}
        more = f"{FAILED}?{urlencode(after)}" if len(items) > len(shown) else None
        return Reply(FailedAnswer(failed=tuple(Failed.of(item) for item in shown), next=more))

    async def command(self, _: Request, place: CommandPath) -> Reply:
        """What has become of a flush or a run of retention."""
        found = await run_in_threadpool(_outcomes, self._site.database, place.id)
        if not found:
            raise Problem(HTTPStatus.NOT_FOUND, f"there is no command {place.id}: it may be long ago")
        return Reply(
            CommandAnswer(
                command=command_link(place.id),
                kind=found[0].kind,
                created_at=found[0].created_at,
                tables={outcome.table: TableOutcome.of(outcome) for outcome in found},
            )
        )

    async def livez(self, _: Request) -> Reply:
        """The process serves."""
        return Reply(ProbeAnswer())

    async def readyz(self, _: Request) -> Reply:
        """The database answers and is prepared; or bq-sync is disabled, and has none to wait for."""
        if self._site.has_database:
            try:
                lacks = await self._site.lacks()
            except SQLAlchemyError as error:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, explain(error)) from error
            if lacks:
                raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "the database isn't prepared: run `bq-sync migrate`")
        return Reply(ProbeAnswer())

    def _read_activity(self) -> Activity:
        with self._site.database.connect() as connection:
            return read_activity(connection, tuple(self._site.settings.tables))


def _failed(engine: Engine, tables: Sequence[str], limit: int, before: int) -> list[FailedItem]:
    with engine.connect() as connection:
        return failed_items(connection, tables, limit, before)


def _outcomes(engine: Engine, request: str) -> tuple[Outcome, ...]:
    with engine.connect() as connection:
        return outcomes(connection, request)
