"""Load jobs as streams that take one batch: what the ledger calls them, and what has become of one.

Rows are loaded into a table of their own, and from there inserted into the destination by one query job, whose id the
ledger knows before it is sent. BigQuery accepts an id once, and a DML statement does all that it does or nothing. So
the job's end tells what a stream's count does, and a job that takes its id first shuts it out like finalizing does.
"""

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from google.api_core.exceptions import Conflict, NotFound
from google.cloud import bigquery

from bigquery import classify
from delivery.destination import Count, FinalizeResult
from delivery.errors import ErrorClass, Failure

CALL_SECONDS = 30.0  # deadline of a call, and how long a job that still runs is waited for
LOOK_SECONDS = 1.0
FENCE = "SELECT 1"  # the query of a job that does nothing but to take an id

_NAME = re.compile(r"load_jobs/(?P<location>[^/]+)/(?P<id>[A-Za-z0-9_-]+_(?P<rows>\d+))")


@dataclass(frozen=True, slots=True)
class LoadJob:
    """The query job that inserts so many rows; its id says how many."""

    location: str
    id: str
    rows: int

    @classmethod
    def new(cls, location: str, site: str, rows: int) -> Self:
        allowed = re.sub(r"[^A-Za-z0-9_-]", "-", site)
        return cls(location, f"bq_sync_{allowed}_{secrets.token_hex(8)}_{rows}", rows)

    @classmethod
    def named(cls, stream: str) -> Self | None:
        """The job of that name in the ledger; None: it is another kind of stream."""
        name = _NAME.fullmatch(stream)
        return None if name is None else cls(name["location"], name["id"], int(name["rows"]))

    @property
    def name(self) -> str:
        """What the ledger calls it."""
        return f"load_jobs/{self.location}/{self.id}"


def finalize(
    client: bigquery.Client,
    job: LoadJob,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> FinalizeResult:
    """See that the job has ended, or never begins, and tell how many of its rows BigQuery has: all or none."""
    deadline = clock() + CALL_SECONDS
    while True:
        try:
            state = _ask(client, job)
        except Exception as error:  # noqa: BLE001 -- whatever it was, the caller has to know that nothing is known
            return classify.of_exception(error)
        if state is not None:
            return state
        if clock() >= deadline:
            return Failure(ErrorClass.TRANSIENT, f"the job {job.id} is still running", definite=False)
        wait(LOOK_SECONDS)


def _ask(client: bigquery.Client, job: LoadJob) -> Count | None:
    """None: not known yet."""
    try:
        found = client.get_job(job.id, location=job.location, retry=None, timeout=CALL_SECONDS)
    except NotFound:
        return _fence(client, job)
    if isinstance(found, bigquery.QueryJob) and found.query == FENCE:
        return Count(0)
    if found.state != "DONE":
        return None
    return Count(0) if found.error_result else Count(job.rows)


def _fence(client: bigquery.Client, job: LoadJob) -> Count | None:
    """Take the job's id, so that a request which is still on its way is refused."""
    config = bigquery.QueryJobConfig(use_query_cache=False)
    where = {"job_id": job.id, "location": job.location}
    try:
        client.query(FENCE, job_config=config, **where, retry=None, job_retry=None, timeout=CALL_SECONDS)
    except Conflict:
        return None  # that request was quicker
    return Count(0)
