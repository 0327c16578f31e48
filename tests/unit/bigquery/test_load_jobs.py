"""What has become of a load job, by all that BigQuery may answer; and the statement that it carries out."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from google.api_core import exceptions as api
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from bigquery.load_jobs import FENCE, LoadJob, finalize
from bigquery.loading import InsertStatement
from delivery.destination import Count, FinalizeResult
from delivery.errors import ErrorClass, Failure
from delivery.rows import SentRow, SentRows
from mapping.schema import BigQueryColumn, BigQueryTable
from tests.unit.bigquery.test_lookup_query import EVENING, MORNING, SETTINGS

OFFLINE = bigquery.Client("p", AnonymousCredentials())
JOB = LoadJob.new("asia-northeast1", "tokyo.3", 4711)


def job_of(state: str, query: str = "INSERT INTO x", error: object = None) -> Any:
    resource = {
        "jobReference": {"projectId": "p", "jobId": JOB.id, "location": JOB.location},
        "configuration": {"query": {"query": query}},
        "status": {"state": state, **({"errorResult": error} if error else {})},
    }
    return bigquery.QueryJob.from_api_repr(resource, OFFLINE)


RUNNING, DONE = job_of("RUNNING"), job_of("DONE")
FAILED = job_of("DONE", error={"reason": "invalidQuery", "message": "no"})
FENCED = job_of("DONE", FENCE)
NOT_FOUND, CONFLICT = api.NotFound("Not found: Job"), api.Conflict("Already Exists: Job")


@dataclass
class Client:
    """Answers as it is told, in this order."""

    gets: deque[Any]
    inserts: deque[Any] = field(default_factory=deque)
    fences: list[tuple[str, Any, Any]] = field(default_factory=list)

    def get_job(self, job_id: str, *, location: str, **_: object) -> Any:
        assert (job_id, location) == (JOB.id, JOB.location)
        return _answer(self.gets.popleft())

    def query(self, text: str, *, job_id: str, location: str, **_: object) -> Any:
        self.fences.append((text, job_id, location))
        return _answer(self.inserts.popleft())


def _answer(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def ask(*gets: Any, inserts: tuple[Any, ...] = ()) -> tuple[FinalizeResult, Client]:
    client = Client(deque(gets), deque(inserts))
    stand_in: Any = client
    times = iter(range(0, 1000, 10))
    return finalize(stand_in, JOB, lambda: next(times), lambda _: None), client


def test_its_name_says_where_it_is_and_how_many_rows_it_has() -> None:
    assert JOB.name.startswith("load_jobs/asia-northeast1/bq_sync_tokyo-3_")
    assert LoadJob.named(JOB.name) == JOB
    assert LoadJob.named("projects/p/datasets/d/tables/t/streams/s") is None


@pytest.mark.parametrize(("job", "rows"), [(DONE, 4711), (FAILED, 0), (FENCED, 0), (job_of("RUNNING", FENCE), 0)])
def test_its_end_tells_how_many_rows_bigquery_has(job: Any, rows: int) -> None:
    assert ask(job)[0] == Count(rows)


def test_one_that_runs_is_waited_for() -> None:
    assert ask(RUNNING, RUNNING, DONE)[0] == Count(4711)


def test_but_not_for_long() -> None:
    result, _ = ask(*[RUNNING] * 10)
    assert isinstance(result, Failure)
    assert (result.error_class, result.definite) == (ErrorClass.TRANSIENT, False)


def test_one_that_isnt_there_is_shut_out() -> None:
    result, client = ask(NOT_FOUND, inserts=(FENCED,))
    assert result == Count(0)
    assert client.fences == [(FENCE, JOB.id, JOB.location)]


def test_one_that_comes_right_before_the_fence_counts() -> None:
    assert ask(NOT_FOUND, RUNNING, DONE, inserts=(CONFLICT,))[0] == Count(4711)


@pytest.mark.parametrize("inserts", [(), (api.ServiceUnavailable("no"),)], ids=["the look", "the fence"])
def test_where_nothing_is_known_nothing_is_said(inserts: tuple[Any, ...]) -> None:
    result, _ = ask(NOT_FOUND if inserts else api.ServiceUnavailable("no"), inserts=inserts)
    assert isinstance(result, Failure)


def column(name: str, kind: str, mode: Any = "NULLABLE") -> BigQueryColumn:
    return BigQueryColumn(name, kind, mode)


def statement(*partitions: datetime | None, partition_column: str | None = "at") -> InsertStatement:
    table = BigQueryTable(
        "events",
        {
            each.name: each
            for each in (
                column("id", "STRING", "REQUIRED"),
                column("tid", "STRING"),
                column("at", "TIMESTAMP"),
                column("detail", "JSON"),
                column("tags", "JSON", "REPEATED"),
            )
        },
        "at",
    )
    rows = tuple(SentRow(place, (str(place), "T"), at) for place, at in enumerate(partitions))
    shape = ("id", "tid", "at", "detail", "tags")
    return InsertStatement(SETTINGS, table, "staged", shape, SentRows(("id", "tid"), partition_column, rows))


def test_it_inserts_what_the_destination_lacks_within_the_partitions_of_its_rows() -> None:
    made = statement(EVENING, None, MORNING)
    assert made.text == (
        "INSERT INTO `p.d.events` (`id`, `tid`, `at`, `detail`, `tags`) SELECT s.`id`, s.`tid`, s.`at`,"
        " PARSE_JSON(s.`detail`, wide_number_mode => 'round'),"
        " ARRAY(SELECT PARSE_JSON(e, wide_number_mode => 'round') FROM UNNEST(s.`tags`) AS e WITH OFFSET AS o"
        " ORDER BY o) FROM `p.d.staged` AS s"
        " WHERE NOT EXISTS (SELECT 1 FROM `p.d.events` AS d WHERE d.`id` = s.`id`"
        " AND IFNULL(TO_JSON_STRING(d.`tid`), 'null') = IFNULL(TO_JSON_STRING(s.`tid`), 'null')"
        " AND IFNULL(TO_JSON_STRING(d.`at`), 'null') = IFNULL(TO_JSON_STRING(s.`at`), 'null')"
        " AND (d.`at` IS NULL OR d.`at` BETWEEN @lowest AND @highest))"
    )
    assert {each.name: each.value for each in made.parameters} == {"lowest": MORNING, "highest": EVENING}


def test_where_bigquery_alone_knows_the_partition_all_are_asked() -> None:
    made = statement(None, partition_column=None)
    assert "BETWEEN" not in made.text
    assert "d.`at`" not in made.text
    assert made.parameters == []


def test_naive_times_of_partitions_are_refused() -> None:
    with pytest.raises(Exception, match="at is TIMESTAMP now, but was datetime"):
        statement(datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))
