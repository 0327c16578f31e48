"""The REST API (docs/api.md) as one Starlette application."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from sqlalchemy import Engine
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from api.controlling import Controlling
from api.dashboard import dashboard_routes
from api.endpoints import operations_of
from api.guard import Guard
from api.login import Login, login_operations
from api.looking import VERSION, Looking
from api.openapi import document
from api.operation import Operation, routes_of
from api.paths import DOCUMENT
from api.problems import HANDLERS
from api.site import Site
from config.settings import Settings
from database.scrape import read_scraped
from database.status import Status, StatusReader
from metrics.box import Box, own_process
from metrics.endpoint import MetricsEndpoint
from metrics.from_status import Told
from metrics.requests import MeasuredRequests
from operations.control import Patience


def create_app(
    settings: Settings,
    engine: Engine | None,
    *,
    looking: Engine | None = None,
    look: Callable[[], Status] | None = None,
    patience: Patience = Patience(),  # noqa: B008  it is frozen
    box: Box | None = None,
) -> Starlette:
    """The API over that database; None where no database is configured, which a disabled bq-sync may do without.

    Args:
        looking: to the same database, for the status (`database.engine.connect_for_looking`); default: `engine`.
        look: reads the status; default: from the database.
        box: what is measured; default: this process alone.
    """
    box = box or own_process("api")
    site = Site(settings, engine, look or _reader(looking or engine, settings))
    operations = operations_of(Looking(site), Controlling(site, patience)) + login_operations(Login(settings))
    metrics = MetricsEndpoint(box, settings, _asking(site) if site.has_database else None)
    routes: list[BaseRoute] = [
        *routes_of(operations),
        Route(DOCUMENT, _describe(operations, settings), methods=["GET"]),
        Route("/metrics", metrics.answer, methods=["GET"]),
        *dashboard_routes(),
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


def _reader(engine: Engine | None, settings: Settings) -> Callable[[], Status]:
    if engine is None:
        return _never_asked
    return StatusReader(engine, settings).read


def _never_asked() -> Status:
    raise AssertionError("without a database there is no status")


def _asking(site: Site) -> Callable[[], Awaitable[Told]]:
    async def ask() -> Told:
        """What a scrape of the metrics wants to know of the database. Raises SQLAlchemyError."""
        status = await site.status()
        scraped = await run_in_threadpool(read_scraped, site.database, tuple(site.settings.tables))
        return Told(status, site.judge(status), scraped, datetime.now(UTC))

    return ask


def _describe(operations: tuple[Operation, ...], settings: Settings) -> Callable[[Request], Response]:
    """Answers with the document; it is made when somebody first asks for it."""

    def answer(_: Request) -> Response:
        text = json.dumps(document(operations, settings, VERSION), ensure_ascii=False)
        return Response(text, media_type="application/json")

    return answer
