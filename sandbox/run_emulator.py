"""bqemulator, made fit for many writers at once: a program, started by `sandbox.emulator` with bqemulator's arguments.

As shipped (1.4), appends run on threads that share one DuckDB connection with each other and with queries, which run on
the event loop: a query beside appends soon stops everything. And there are so few of these threads (processors + 4,
one for each open AppendRows) that three workers on two processors wait for each other. Here appends are done on the
event loop too, one after another; the threads only wait for requests, and there are plenty.

It also counts rows into a stream before it inserts them. Here an insert that fails is taken from the count again, since
BigQuery's appends are atomic.

It takes a query job with the id of another, and forgets the first. Here an id is taken once, as BigQuery does it.

And at every write it keeps a copy of the whole table, for queries of the past that nobody here asks: within an hour of
small batches these fill a disk. Here it keeps none.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc.aio
from bqemulator.api.routes import jobs
from bqemulator.cli import main
from bqemulator.domain.errors import AlreadyExistsError
from bqemulator.domain.events import TableDataChanged
from bqemulator.grpc_api import write_servicer
from bqemulator.streaming.write_stream import WriteStream
from bqemulator.versioning.snapshots import SnapshotManager

# One for each open AppendRows; that of a client killed in the middle of one is never given back.
THREADS = 500


class OneAtATime(write_servicer.BigQueryWriteHandler):
    """The Storage Write API, all its database work done on the event loop."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._loop = asyncio.get_running_loop()

    def _ensure_stream_bound(self, *args: Any) -> Any:
        return self._on_the_loop(super()._ensure_stream_bound, *args)

    def _perform_append(self, *args: Any) -> Any:
        return self._on_the_loop(super()._perform_append, *args)

    def _flush_to_target(self, stream: WriteStream, rows: Any) -> None:
        try:
            super()._flush_to_target(stream, rows)
        except Exception:
            stream.next_offset -= rows.num_rows
            stream.row_count -= rows.num_rows
            raise

    def _on_the_loop(self, work: Callable[..., Any], *args: Any) -> Any:
        async def call() -> Any:
            return work(*args)

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result()


def once(handle: Callable[..., Any]) -> Callable[..., Any]:
    """The way query jobs are inserted, but for those whose id another has."""

    async def handle_once(project_id: str, job_id: str, *args: Any, ctx: Any, **kwargs: Any) -> Any:
        if ctx.catalog.get_job(project_id, job_id) is not None:
            raise AlreadyExistsError(f"Already Exists: Job {project_id}:{job_id}")
        return await handle(project_id, job_id, *args, ctx=ctx, **kwargs)

    return handle_once


def keep_no_copy(snapshots: SnapshotManager, project_id: str, dataset_id: str, table_id: str) -> None:
    """Tell that the table changed; in place of SnapshotManager.record_change."""
    snapshots._events.publish(TableDataChanged(project_id, dataset_id, table_id))


if __name__ == "__main__":
    SnapshotManager.record_change = keep_no_copy  # type: ignore[method-assign,assignment]  # each write path calls it
    jobs._handle_query_job = once(jobs._handle_query_job)
    grpc.aio.server = partial(grpc.aio.server, ThreadPoolExecutor(THREADS))
    write_servicer.BigQueryWriteHandler = OneAtATime  # type: ignore[misc,assignment]  # where its server takes it from
    main()
