"""Rows that BigQuery can't take: they alone are failed, with column and reason, in as few appends as possible."""

import math
from typing import Any

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes import append_faults, rest_faults
from tests.fakes.append_faults import end_with
from tests.fakes.append_rows import Append, Code, Row, storage_status
from tests.fakes.rest import Request
from tests.fakes.rest_faults import http_error
from tests.integration.faulty import INSERT_ALL, METHODS, STORAGE_WRITE, FaultySite, faulty_site

pytestmark = pytest.mark.integration

TOO_RUDE = 'Value of field "label" is too rude: "bad"'


def is_bad(row: Row) -> bool:
    return bool(row["label"] == "bad")


def naming(method: str, listed: int | None = None) -> Any:
    """Requests with bad rows are refused, and these rows are named: so many of them, where the list has limits."""
    if method == STORAGE_WRITE:
        return append_faults.refuse_rows(is_bad, TOO_RUDE, listed=listed)
    return rest_faults.refuse_rows(is_bad, "label", TOO_RUDE)


def carry_out(call: Append | Request) -> Any:
    return call.write() if isinstance(call, Append) else call.carry_out()


def unless_fine(fault: Any) -> Any:
    """The fault befalls what carries a bad row."""

    def some(call: Append | Request) -> Any:
        return fault(call) if any(map(is_bad, call.rows)) else carry_out(call)

    return some


def spoil(faulty: FaultySite, *ids: int) -> None:
    faulty.site.run(f"UPDATE notes SET label = 'bad' WHERE id IN ({', '.join(map(str, ids))})")


@pytest.mark.parametrize("method", METHODS)
def test_of_ten_thousand_rows_the_bad_one_is_failed_in_one_append_more(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        faulty.insert(10_000)
        spoil(faulty, 7777)
        faulty.writes.last(naming(method))
        with faulty.working():
            faulty.wait_until_settled()
            assert faulty.status().failed.rows == 1
            assert faulty.status().state == "running"

        assert faulty.arrived() == [id_ for id_ in range(1, 10_001) if id_ != 7777]
        ((record, error, _),) = faulty.failed()
        assert record == "7777"
        assert "label" in error
        assert "too rude" in error
        assert "bad" not in error  # the value has no business there
        assert len(faulty.batches("refused")) == 1
        assert len(faulty.writes.calls) == len(faulty.batches("completed")) + 1
        assert faulty.attempts_failed("bad_row") == 1
        assert faulty.metrics.get_sample_value("bq_sync_rows_total", {"table": "notes", "outcome": "failed"}) == 1


def test_a_list_of_bad_rows_that_is_incomplete_is_completed_by_further_answers(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with faulty_site(mariadb, emulator, STORAGE_WRITE) as faulty:
        faulty.insert(50)
        spoil(faulty, *range(20, 30))
        item = faulty.site.enqueue("notes", 25)
        faulty.writes.last(naming(STORAGE_WRITE, listed=4))
        with faulty.working():
            faulty.wait_until_settled()

        assert faulty.arrived() == [*range(1, 20), *range(30, 51)]
        assert {record for record, _, _ in faulty.failed()} == {str(id_) for id_ in range(20, 30)}
        assert faulty.site.item(item)[0] == "failed"


def test_of_ten_thousand_rows_a_bad_one_that_is_not_named_is_found_by_halving(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with faulty_site(mariadb, emulator, STORAGE_WRITE) as faulty:
        faulty.insert(10_000)
        spoil(faulty, 7777)
        faulty.writes.last(naming(STORAGE_WRITE, listed=0))
        with faulty.working():
            faulty.wait_until_settled()

        assert faulty.arrived() == [id_ for id_ in range(1, 10_001) if id_ != 7777]
        ((record, error, _),) = faulty.failed()
        assert record == "7777"
        assert "BigQuery can't take" in error
        refused = faulty.batches("refused")
        # The whole batch; then each piece that holds the row, while the other half goes through.
        assert len(refused) <= 1 + math.ceil(math.log2(refused[0]))
        assert len(faulty.writes.calls) == len(refused) + len(faulty.batches("completed"))
        assert faulty.attempts_failed("bad_row") == len(refused)


# Errors that bq-sync doesn't know. The Storage Write API has none that says that nothing was written.
UNKNOWN = pytest.mark.parametrize(
    ("method", "fault"),
    [
        pytest.param(STORAGE_WRITE, end_with(storage_status(Code.DATA_LOSS)), id="in doubt"),
        pytest.param(INSERT_ALL, http_error(412, "conditionNotMet"), id="insert_all, refused"),
        pytest.param(INSERT_ALL, http_error(418, None), id="insert_all, in doubt"),
    ],
)


@UNKNOWN
def test_no_row_is_failed_for_an_unknown_error_of_the_whole_service(
    mariadb: MariaDB, emulator: Emulator, method: str, fault: Any
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        item = faulty.site.enqueue("notes", 1)
        faulty.insert(8)
        faulty.writes.last(fault)
        with faulty.working():
            faulty.wait_until_blocked("")
            assert faulty.failed() == []
            ((retries,),) = faulty.site.read("SELECT retry_count FROM bq_sync_queue WHERE id = :id", id=item)
            assert retries > 0

            faulty.service.end_faults()
            faulty.wait_until_settled()

        assert faulty.arrived() == list(range(1, 9))
        assert faulty.failed() == []
        assert faulty.site.item(item) == ("completed", None, True)


@UNKNOWN
def test_a_row_that_alone_gets_an_unknown_error_is_failed(
    mariadb: MariaDB, emulator: Emulator, method: str, fault: Any
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        faulty.insert(20)
        spoil(faulty, 7)
        faulty.writes.last(unless_fine(fault))

        def failed_while_others_come() -> bool:
            faulty.insert(1)
            return bool(faulty.failed())

        with faulty.working():
            faulty.site.wait_until(failed_while_others_come, "the row is failed")
            faulty.wait_until_settled()

        assert faulty.arrived() == [id_ for (id_,) in faulty.site.read("SELECT id FROM notes ORDER BY id") if id_ != 7]
        ((record, error, _),) = faulty.failed()
        assert record == "7"
        assert "got through" in error  # others did, so it is the row's fault
