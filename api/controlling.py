"""What changes something: flush, retention, pause, resume, retry, give up."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request

from api.command_answers import flush_reply, retention_reply
from api.models.base import TablesRequest
from api.models.commands import PauseAnswer, RetentionRequest
from api.models.failed import ClearAnswer, ItemsRequest, RetryAnswer
from api.operation import Reply
from api.problems import Problem
from api.site import Site
from database.failed import give_up, give_up_all, retry, retry_all
from operations.control import Patience, PauseState, flush, pause, resume, retention
from operations.health import DISABLED

MOST_WAITING = 20  # requests that wait for workers at once: each asks the database again and again


class Controlling:
    def __init__(self, site: Site, patience: Patience) -> None:
        self._site = site
        self._patience = patience
        self._waiting = 0

    async def flush(self, _: Request, body: TablesRequest) -> Reply:
        """Send everything that waits now."""
        tables = self._site.known(body.tables)
        self._require_enabled()
        async with self._room_to_wait():
            return flush_reply(await flush(self._site.database, tables, self._patience))

    async def retention(self, _: Request, body: RetentionRequest) -> Reply:
        """Delete rows that BigQuery has and that are old, or say which would be deleted."""
        tables = self._site.known(body.tables)
        self._require_enabled()
        async with self._room_to_wait():
            asked = await retention(self._site.database, tables, self._patience, dry_run=body.dry_run)
        return retention_reply(asked, dry_run=body.dry_run)

    async def pause(self, _: Request, body: TablesRequest) -> Reply:
        """Send nothing from now on, over every restart, until it is resumed."""
        tables = self._site.known(body.tables)
        async with self._room_to_wait():
            return _pause_reply(await pause(self._site.database, tables, self._patience))

    async def resume(self, _: Request, body: TablesRequest) -> Reply:
        """Send again."""
        tables = self._site.known(body.tables)
        async with self._room_to_wait():
            return _pause_reply(await resume(self._site.database, tables, self._patience))

    async def retry(self, _: Request, body: ItemsRequest) -> Reply:
        """Try failed rows again."""
        if body.ids:
            retried = await run_in_threadpool(retry, self._site.database, body.ids)
        else:
            retried = await run_in_threadpool(retry_all, self._site.database, self._tables(body))
        return Reply(RetryAnswer(retried_count=retried))

    async def clear_failed(self, _: Request, body: ItemsRequest) -> Reply:
        """Give failed rows up: they are never sent and no longer counted. Their source rows stay."""
        if body.ids:
            cleared = await run_in_threadpool(give_up, self._site.database, body.ids)
        else:
            cleared = await run_in_threadpool(give_up_all, self._site.database, self._tables(body))
        return Reply(ClearAnswer(cleared_count=cleared))

    def _tables(self, body: ItemsRequest) -> Sequence[str]:
        return self._site.known(body.tables)

    def _require_enabled(self) -> None:
        if not self._site.settings.enabled:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, DISABLED.texts[0])

    @asynccontextmanager
    async def _room_to_wait(self) -> AsyncIterator[None]:
        if self._waiting >= MOST_WAITING:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                f"{MOST_WAITING} requests wait for workers already: ask again in a minute",
                headers={"Retry-After": "60"},
            )
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1


def _pause_reply(states: Mapping[str, PauseState]) -> Reply:
    late = any(state in (PauseState.PAUSING, PauseState.RESUMING) for state in states.values())
    answer = PauseAnswer(ok=not late, tables=dict(states))
    return Reply(answer, HTTPStatus.ACCEPTED if late else HTTPStatus.OK)
