"""The API on a socket."""

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial

import structlog
import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.protocol import PatientProtocol
from config.settings import Settings, SettingsError
from database.engine import connect, connect_for_looking
from metrics.box import Box
from operations.ending import Ending
from operations.health import DISABLED

# A stop takes this long at most: requests under way get the first, what hangs even then is left behind by the second.
GRACE_SECONDS = 2
STOP_SECONDS = 3
TICK_SECONDS = 0.5  # until it is noticed that it is to stop

log = structlog.get_logger(__name__)


class ApiServer:
    """Serves the application on a thread of its own, which doesn't keep the process from ending.

    Args:
        port: 0 takes a free one; see `url`.

    Raises:
        OSError: the address can't be listened on.
    """

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family)
        config = uvicorn.Config(
            app,
            http=PatientProtocol,
            loop="asyncio",  # whatever else happens to be installed: what is tested is what runs
            lifespan="off",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        self._server = _CalmServer(config)
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def start(self, ended: Callable[[], None]) -> None:
        """Serve from now on. `ended` is called when it serves no more, whatever the cause."""
        self._thread = threading.Thread(target=self._serve, args=(ended,), name="api", daemon=True)
        self._thread.start()
        log.info("the API listens", url=self.url)

    def stop(self) -> None:
        self._server.should_exit = True
        if self._thread is not None:
            self._thread.join(STOP_SECONDS)

    def _serve(self, ended: Callable[[], None]) -> None:
        try:
            self._server.run(sockets=[self._socket])
        finally:
            ended()


class _CalmServer(uvicorn.Server):
    """Looks for the end, and what time to put on answers, not ten times a second."""

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            await asyncio.sleep(TICK_SECONDS)


def make_server(settings: Settings, box: Box | None = None) -> ApiServer:
    """The API as configured.

    Raises:
        SettingsError: there is no database, and bq-sync isn't disabled; or the address can't be listened on.
    """
    needs_database = settings.enabled or settings.database_url is not None
    url = settings.require_database_url() if needs_database else None
    engine = connect(url) if url else None
    looking = connect_for_looking(url) if url else None
    for each in (engine, looking):
        if each is not None and box is not None:
            box.instruments.observe_engine(each, "api")
    try:
        app = create_app(settings, engine, looking=looking, box=box)
        return ApiServer(app, settings.api_host, settings.api_port)
    except OSError as error:
        where, why = f"{settings.api_host} port {settings.api_port}", error.strerror
        fix = "stop what listens there, or set BQ_SYNC_API_HOST and BQ_SYNC_API_PORT"
        raise SettingsError([f"api_host, api_port: can't listen on {where} ({why}): {fix}"]) from error


def run_api(settings: Settings, box: Box | None = None) -> int:
    """Serve until SIGTERM or SIGINT; the exit code. Raises what `make_server` does."""
    server = make_server(settings, box)
    ending = Ending()
    server.start(partial(ending.fail, "the API serves no more"))
    if settings.enabled:
        from actors.watch import Watch  # not for a process that has a worker's

        watch = Watch(settings, settings.require_database_url())
        watch.start()
        failures = ending.wait()
        watch.stop()
    else:
        log.warning(DISABLED.texts[0])
        failures = ending.wait()
    server.stop()
    return 1 if failures else 0
