"""Errors of BigQuery that pass by themselves: nothing is lost, nothing is sent twice, nobody has to do anything."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from bigquery import writing
from bigquery.insert_all import InsertAll
from bigquery.storage_write import StorageWrite
from delivery.retry import PROBE_SECONDS
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.append_faults import (
    Quota,
    answer_error,
    end_with,
    finalized,
    updated_schema,
    vanished,
    write_then_end_without_answer,
    write_then_hang,
)
from tests.fakes.append_rows import Code, StorageCode, storage_status
from tests.fakes.rest_faults import hang_after, http_error, limited, reset, reset_after
from tests.integration.faulty import INSERT_ALL, METHODS, STORAGE_WRITE, faulty_site

pytestmark = pytest.mark.integration

TRANSIENT: Mapping[str, Sequence[Any]] = {
    STORAGE_WRITE: (
        end_with(storage_status(Code.UNAVAILABLE)),
        end_with(storage_status(Code.UNAVAILABLE), written=True),
        answer_error(storage_status(Code.ABORTED)),
        answer_error(storage_status(Code.INTERNAL), written=True),
        end_with(storage_status(Code.INTERNAL)),
        end_with(storage_status(Code.CANCELLED), written=True),
        end_with(storage_status(Code.DEADLINE_EXCEEDED)),
        end_with(storage_status(Code.UNKNOWN, message="Stream removed"), written=True),
        answer_error(storage_status(Code.UNAVAILABLE, StorageCode.KMS_SERVICE_ERROR)),
        write_then_end_without_answer,
    ),
    INSERT_ALL: (
        http_error(500, "internalError"),
        http_error(500, "internalError", carried_out=True),
        http_error(503, "backendError"),
        http_error(503, "backendError", carried_out=True),
        http_error(502, None),
        http_error(504, None, carried_out=True),
        http_error(408, None),
        reset,
        reset_after,
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_whatever_passes_is_waited_for_and_each_row_arrives_once(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method, batch_size=3, max_batch_rows=3) as faulty:
        faulty.writes.add(*TRANSIENT[method])
        faulty.insert(36)
        with faulty.working():
            faulty.site.wait_until_drained()
            assert faulty.writes.left == 0
            assert faulty.status().state == "running"

        assert faulty.arrived() == list(range(1, 37))
        assert faulty.failed() == []
        assert faulty.attempts_failed("transient") == len(TRANSIENT[method])
        if method == STORAGE_WRITE:
            assert faulty.service.rest.queries.calls == []  # its offset tells what became of a request
        assert all(2.5 <= seconds <= 300 for _, seconds in faulty.waits)


@pytest.mark.parametrize("method", METHODS)
def test_an_outage_of_everything_leaves_rows_pending_and_is_over_by_itself(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        item = faulty.site.enqueue("notes", 1)
        faulty.insert(5)
        storage, rest = faulty.service.storage, faulty.service.rest
        for grpc_calls in (storage.creates, storage.finalizes):
            grpc_calls.last(storage_status(Code.UNAVAILABLE, message="no route"))
        storage.appends.last(end_with(storage_status(Code.UNAVAILABLE, message="no route")))
        for rest_calls in (rest.inserts, rest.metadata, rest.queries):
            rest_calls.last(http_error(503, "backendError", "no route"))
        with faulty.working():
            faulty.site.wait_until(lambda: len(faulty.waits) >= 10, "it has tried ten times")
            status = faulty.status()
            assert (status.state, status.pending.rows, status.failed.rows) == ("waiting", 5, 0)
            assert "no route" in str(status.reason)
            assert faulty.site.item(item) == ("pending", None, False)

            faulty.service.end_faults()
            faulty.site.wait_until_drained()
            faulty.site.wait_until(lambda: faulty.status().state == "running", "it runs")

        assert faulty.arrived() == [1, 2, 3, 4, 5]
        assert faulty.site.item(item) == ("completed", None, True)
        steps = [5.0 * 2**attempt for attempt in range(10)]
        for (_, seconds), step in zip(faulty.waits, steps, strict=False):
            assert min(step, 300) / 2 <= seconds <= min(step, 300)


@pytest.mark.parametrize("method", METHODS)
def test_a_service_that_hangs_is_given_up_and_what_it_did_is_found_out(
    mariadb: MariaDB, emulator: Emulator, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "StorageWrite", partial(StorageWrite, deadline_seconds=0.3))
    monkeypatch.setattr(writing, "InsertAll", partial(InsertAll, deadline_seconds=0.3))
    with faulty_site(mariadb, emulator, method) as faulty:
        hang = write_then_hang if method == STORAGE_WRITE else hang_after
        faulty.writes.add(hang)
        faulty.insert(5)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1, 2, 3, 4, 5]
        assert faulty.attempts_failed("transient") == 1
        assert len(faulty.service.rest.queries.calls) == (1 if method == INSERT_ALL else 0)


QUOTA = {
    STORAGE_WRITE: answer_error(storage_status(Code.RESOURCE_EXHAUSTED)),
    INSERT_ALL: http_error(403, "rateLimitExceeded"),
}


@pytest.mark.parametrize("method", METHODS)
def test_batches_shrink_while_a_quota_is_exceeded_and_grow_again(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method, batch_size=80, max_batch_rows=80) as faulty:
        faulty.writes.add(*[QUOTA[method]] * 3)
        faulty.insert(400)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == list(range(1, 401))
        assert faulty.batches("refused")  # its rows go in smaller ones
        first, second, *later = faulty.batches("completed")
        assert min(first, second) <= 20  # halved by each refusal; one batch was encoded before that
        assert 80 in later
        assert faulty.attempts_failed("quota") == 3
        assert faulty.failed() == []


@pytest.mark.parametrize("method", METHODS)
def test_rows_get_through_a_quota_that_eases_with_time(mariadb: MariaDB, emulator: Emulator, method: str) -> None:
    with faulty_site(mariadb, emulator, method, batch_size=50, max_batch_rows=50) as faulty:
        quota = Quota(rows=100, seconds=0.4)
        faulty.writes.last(quota if method == STORAGE_WRITE else limited(quota))
        faulty.insert(300)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == list(range(1, 301))
        assert faulty.failed() == []


def test_a_table_goes_through_recovery_when_its_stream_fails(mariadb: MariaDB, emulator: Emulator) -> None:
    faults = (
        finalized,
        vanished,
        answer_error(storage_status(Code.OUT_OF_RANGE, StorageCode.OFFSET_OUT_OF_RANGE)),
        end_with(storage_status(Code.NOT_FOUND)),
        end_with(storage_status(Code.FAILED_PRECONDITION, StorageCode.INVALID_STREAM_STATE)),
        answer_error(storage_status(Code.ALREADY_EXISTS, StorageCode.OFFSET_ALREADY_EXISTS)),
        answer_error(storage_status(Code.ALREADY_EXISTS, StorageCode.OFFSET_ALREADY_EXISTS), written=True),
    )
    with faulty_site(mariadb, emulator, STORAGE_WRITE, batch_size=3, max_batch_rows=3) as faulty:
        item = faulty.site.enqueue("notes", 1)
        faulty.writes.add(*faults)
        faulty.insert(36)
        with faulty.working():
            faulty.site.wait_until_drained()
            assert faulty.writes.left == 0

        assert faulty.arrived() == list(range(1, 37))
        assert faulty.site.item(item) == ("completed", None, True)
        assert faulty.site.read("SELECT DISTINCT retry_count FROM bq_sync_queue") == [(0,)]
        assert faulty.site.read("SELECT COUNT(*) FROM bq_sync_stream") == [(len(faults) + 1,)]
        assert faulty.attempts_failed("stream") == len(faults) - 2  # the last two are looked up
        assert max(seconds for _, seconds in faulty.waits) < PROBE_SECONDS  # it wasn't blocked


def test_an_idle_call_that_the_service_ended_is_made_anew_and_its_stream_goes_on(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with faulty_site(mariadb, emulator, STORAGE_WRITE, idle_seconds=0.2) as faulty, faulty.working():
        storage = faulty.service.storage
        for rows in (3, 6):
            faulty.insert(3)
            faulty.site.wait_until_drained()
            assert storage.call_ended.wait(10)
            storage.call_ended.clear()
            assert faulty.arrived() == list(range(1, rows + 1))

        assert [(request.write_stream, request.offset) for request in storage.requests] == [
            (storage.requests[0].write_stream, 0),
            (storage.requests[0].write_stream, 3),
        ]
        assert len(storage.calls) == 2
        assert faulty.waits == []
        assert faulty.status().last_error is None


def test_an_answer_that_tells_of_a_new_schema_is_an_answer(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, STORAGE_WRITE, batch_size=3, max_batch_rows=3) as faulty:
        faulty.writes.add(updated_schema)
        faulty.insert(9)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == list(range(1, 10))
        assert faulty.waits == []
