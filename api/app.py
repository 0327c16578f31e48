"""The REST API (docs/api.md) as one Starlette application."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from http import HTTPStatus

from pydantic import BaseModel
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.body import read_body
from api.flush import flush_answer
from api.guard import Guard
from api.models import FlushRequest, HealthAnswer, StatusAnswer
from api.problems import HANDLERS, Problem
from config.settings import Settings
from database.commands import CommandKind
from database.failures import explain
from database.scrape import read_scraped
from database.status import Status, read_status
from metrics.box import Box, own_process
from metrics.endpoint import MetricsEndpoint
from metrics.from_status import Told
from metrics.requests import MeasuredRequests
from operations.control import Patience, UnansweredError, ask
from operations.health import DISABLED, Health, Level, Thresholds, judge, unreachable

PATH = "/api/bq-sync"

StatusReader = Callable[[Engine, Settings], Status]


def create_app(
    settings: Settings,
    engine: Engine | None,
    *,
    read_status: StatusReader = read_status,
    patience: Patience = Patience(),  # noqa: B008  it is frozen
    box: Box | None = None,
) -> Starlette:
    """The API over that database; None where no database is configured, which a disabled bq-sync may do without.

    Args:
        box: what is measured; default: this process alone.
    """
    box = box or own_process("api")
    endpoints = Endpoints(settings, engine, read_status, patience)
    metrics = MetricsEndpoint(box, settings, None if engine is None else endpoints.told)
    routes = [
        Route(f"{PATH}/status", endpoints.status, methods=["GET"]),
        Route(f"{PATH}/health", endpoints.health, methods=["GET"]),
        Route(f"{PATH}/flush", endpoints.flush, methods=["POST"]),
        Route("/metrics", metrics.answer, methods=["GET"]),
    ]
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(MeasuredRequests, instruments=box.instruments, routes=routes),
            Middleware(Guard, settings=settings),
        ],
        exception_handlers=HANDLERS,
    )
    app.router.redirect_slashes = False  # an unknown path is an error, not a redirect
    return app


class Endpoints:
    """What each path does. Whatever asks the database does so on a thread: the event loop never waits for it."""

    def __init__(
        self, settings: Settings, engine: Engine | None, read_status: StatusReader, patience: Patience
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._read_status = read_status
        self._patience = patience
        self._thresholds = Thresholds.of(settings)

    async def status(self, _: Request) -> Response:
        return _json(StatusAnswer.of(await self._status()))

    async def health(self, _: Request) -> Response:
        health = await self._health()
        status = HTTPStatus.SERVICE_UNAVAILABLE if health.level is Level.UNHEALTHY else HTTPStatus.OK
        return _json(HealthAnswer.of(health), status)

    async def told(self) -> Told:
        """What a scrape of the metrics wants to know of the database. Raises SQLAlchemyError."""
        status, now = await self._status(), datetime.now(UTC)
        scraped = await run_in_threadpool(read_scraped, self._database(), tuple(self._settings.tables))
        health = judge(status, now, self._thresholds) if self._settings.enabled else DISABLED
        return Told(status, health, scraped, now)

    async def flush(self, request: Request) -> Response:
        body = await read_body(request, FlushRequest)
        tables = self._known(body.tables)
        if not self._settings.enabled:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, DISABLED.texts[0])
        try:
            asked = await ask(self._database(), CommandKind.FLUSH, tables, self._patience)
        except UnansweredError as error:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from error
        status, answer = flush_answer(asked.outcomes)
        return _json(answer, status)

    async def _status(self) -> Status:
        return await run_in_threadpool(self._read_status, self._database(), self._settings)

    async def _health(self) -> Health:
        if not self._settings.enabled:
            return DISABLED
        try:
            return judge(await self._status(), datetime.now(UTC), self._thresholds)
        except SQLAlchemyError as error:
            return unreachable(explain(error))

    def _database(self) -> Engine:
        if self._engine is None:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "database_url isn't set: set BQ_SYNC_DATABASE_URL")
        return self._engine

    def _known(self, tables: Sequence[str] | None) -> Sequence[str]:
        """The tables that a request names, each once; all where it names none."""
        if tables is None:
            return tuple(self._settings.tables)
        if unknown := [table for table in tables if table not in self._settings.tables]:
            raise Problem(
                HTTPStatus.UNPROCESSABLE_ENTITY,
                f"no such table: {', '.join(unknown)}; there are {', '.join(self._settings.tables)}",
            )
        return tuple(dict.fromkeys(tables))


def _json(answer: BaseModel, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return Response(
        answer.model_dump_json(), status, headers={"Cache-Control": "no-store"}, media_type="application/json"
    )
