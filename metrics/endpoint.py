"""GET /metrics: what the processes measured and what the database knows, in one answer."""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.exposition import choose_encoder, gzip_accepted
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from config.settings import Settings
from metrics.box import Box
from metrics.from_status import Told, collect_told, collect_unanswered
from metrics.processes import collect_processes
from operations.version import program_version

DATABASE_SECONDS = 4.0  # of the 10 s that Prometheus gives a scrape where nothing else is set

Ask = Callable[[], Awaitable[Told]]


class MetricsEndpoint:
    """Answers in Prometheus's text format, or in OpenMetrics to who accepts it, whatever the database does.

    Args:
        ask: what the database tells; raises SQLAlchemyError. None: there is no database.
        patience: seconds to wait for it.
    """

    def __init__(self, box: Box, settings: Settings, ask: Ask | None, patience: float = DATABASE_SECONDS) -> None:
        self._box = box
        self._settings = settings
        self._version = program_version() or "unknown"
        self._ask = ask
        self._patience = patience
        self._asked: asyncio.Task[Told | None] | None = None
        self._site_id: str | None = settings.site_id or None

    async def answer(self, request: Request) -> Response:
        told = await self._told()
        if told is not None:
            self._site_id = self._site_id or told.scraped.site_id
        encode, content_type = choose_encoder(",".join(request.headers.getlist("accept")))
        headers = {"Content-Type": content_type, "Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
        compress = gzip_accepted(request.headers.get("accept-encoding", ""))

        def render() -> bytes:
            registry = CollectorRegistry()
            registry.register(_Collected(self._collect(told)))
            return gzip.compress(encode(registry), 5) if compress else encode(registry)

        if compress:
            headers["Content-Encoding"] = "gzip"
        return Response(await run_in_threadpool(render), headers=headers)

    async def _told(self) -> Told | None:
        """What the database tells, if it does so in time; else its answer is for a later scrape."""
        if self._asked is None:
            self._asked = asyncio.create_task(self._ask_once())
        asked = self._asked
        done, _ = await asyncio.wait({asked}, timeout=self._patience)
        if not done:
            return None
        if self._asked is asked:
            self._asked = None
        return asked.result()

    async def _ask_once(self) -> Told | None:
        with suppress(SQLAlchemyError):
            return None if self._ask is None else await self._ask()
        return None

    def _collect(self, told: Told | None) -> Iterator[Metric]:
        yield InfoMetricFamily("bq_sync_build", "The version of the API's process.", {"version": self._version})
        if self._site_id is not None:
            labels = {"site": self._site_id, "dataset": self._settings.dataset_id}
            yield InfoMetricFamily("bq_sync_site", "Which site this is, and where it sends.", labels)
        yield _flag("bq_sync_enabled", "Whether bq-sync is enabled.", self._settings.enabled)
        shared = "Whether figures of all processes of the box are here; 0: of the API's alone."
        yield _flag("bq_sync_metrics_shared", shared, self._box.is_shared)
        yield from collect_processes(self._box.processes.processes())
        yield from self._box.processes.collect()
        enabled = self._settings.enabled
        yield from collect_unanswered(enabled=enabled) if told is None else collect_told(told)


class _Collected(Collector):
    """Metrics that are collected already, as the encoders want them."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics


def _flag(name: str, text: str, value: bool) -> Metric:
    return GaugeMetricFamily(name, text, value=float(value))
