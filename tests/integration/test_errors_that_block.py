"""Errors that somebody has to mend: one table stops and says so, the others don't notice, and it resumes by itself."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from google.cloud.bigquery import SchemaField
from structlog.testing import capture_logs

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.append_faults import answer_error, end_with, refuse_column
from tests.fakes.append_rows import Code, StorageCode, storage_status
from tests.fakes.rest_faults import http_error
from tests.integration.faulty import INSERT_ALL, METHODS, STORAGE_WRITE, FaultySite, faulty_site
from tests.integration.pipeline import NOTES_SCHEMA

pytestmark = pytest.mark.integration

PROBE_SECONDS = 300.0
DENIED = "Permission bigquery.tables.updateData denied"

BLOCKING: Mapping[str, Sequence[tuple[Any, str]]] = {
    STORAGE_WRITE: (
        (answer_error(storage_status(Code.PERMISSION_DENIED, message=DENIED)), DENIED),
        (end_with(storage_status(Code.PERMISSION_DENIED, message=DENIED)), DENIED),
        (end_with(storage_status(Code.UNAUTHENTICATED)), "credentials"),
        (answer_error(storage_status(Code.NOT_FOUND, StorageCode.TABLE_NOT_FOUND)), "the table doesn't exist"),
        (answer_error(storage_status(Code.INVALID_ARGUMENT)), "without naming a row"),
        (answer_error(storage_status(Code.FAILED_PRECONDITION)), "as things stand"),
        (end_with(storage_status(Code.UNIMPLEMENTED)), "isn't the Storage Write API"),
        (answer_error(storage_status(Code.FAILED_PRECONDITION, StorageCode.CMEK_NOT_PROVIDED)), "encryption key"),
    ),
    INSERT_ALL: (
        (http_error(403, "accessDenied", DENIED), DENIED),
        (http_error(401, "authError"), "credentials"),
        (http_error(404, "notFound"), "the table or dataset doesn't exist"),
        (http_error(400, "invalid"), "refuses the request"),
        (http_error(403, "billingNotEnabled"), "billing"),
        (http_error(403, "policyViolation"), "policy"),
        (http_error(407, None), "proxy"),
    ),
}


@pytest.mark.parametrize("method", METHODS)
def test_a_table_that_is_blocked_says_why_and_is_tried_every_five_minutes(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        item = faulty.site.enqueue("notes", 1)
        faulty.insert(5)
        faults = BLOCKING[method]
        faulty.writes.add(*[fault for fault, _ in faults])
        with capture_logs() as logs, faulty.working():
            faulty.site.wait_until_drained()
            assert faulty.status().state == "running"

        held = [line for line in logs if line["event"] == "not carrying rows"]
        assert {line["state"] for line in held} == {"blocked"}
        for line, (_, expected) in zip(held, faults, strict=True):
            assert expected in line["reason"]
        assert faulty.arrived() == [1, 2, 3, 4, 5]
        assert faulty.site.item(item) == ("completed", None, True)
        assert faulty.site.read("SELECT retry_count FROM bq_sync_queue") == [(0,)]
        assert faulty.waits == [("TableOwner", PROBE_SECONDS)] * len(faults)
        assert faulty.attempts_failed("blocked") == len(faults)
        assert len(faulty.writes.calls) == len(faults) + len(faulty.batches("completed"))  # one probe each


def shut(faulty: FaultySite, table: str) -> None:
    """The service account may no longer write to the table."""
    faulty.service.storage.creates.last(storage_status(Code.PERMISSION_DENIED, message=DENIED), table)
    faulty.service.storage.appends.last(end_with(storage_status(Code.PERMISSION_DENIED, message=DENIED)), table)
    faulty.service.rest.inserts.last(http_error(403, "accessDenied", DENIED), table)


@pytest.mark.parametrize(("method", "missing"), [(method, missing) for method in METHODS for missing in (False, True)])
def test_one_blocked_table_of_three(mariadb: MariaDB, emulator: Emulator, method: str, missing: bool) -> None:
    tables = ("notes", "memos", "drafts")
    with faulty_site(mariadb, emulator, method, tables, batch_size=20, max_batch_rows=20) as faulty:
        if missing:
            faulty.site.client.delete_table(faulty.path("memos"))
        else:
            shut(faulty, "memos")
        for table in tables:
            faulty.insert(200, table)

        reason = "the table or dataset doesn't exist" if missing else DENIED

        def told(text: str) -> bool:
            return text.startswith("memos is blocked: ") and reason in text

        with faulty.working():
            faulty.wait_until_blocked(reason, "memos")
            for table in ("notes", "drafts"):
                faulty.site.wait_until(lambda t=table: len(faulty.arrived(t)) == 200, f"{table} is sent")  # type: ignore[misc]
            for table in ("notes", "drafts"):
                assert faulty.status(table).state == "running"
                assert faulty.status(table).last_error is None

            faulty.wait_until_blocked(reason, "memos")
            assert faulty.status("memos").pending.rows == 200
            assert faulty.status("memos").failed.rows == 0
            faulty.site.wait_until(lambda: any(told(text) for text in faulty.health().texts), "health says it")
            assert set(faulty.waits) == {("TableOwner", PROBE_SECONDS)}
            tried = (faulty.service.rest.metadata, faulty.service.storage.creates, faulty.writes)
            assert max(calls.calls.count("memos") for calls in tried) <= len(faulty.waits) + 1

            if missing:
                faulty.site.create("memos", NOTES_SCHEMA, "written_at")
            faulty.service.end_faults()
            faulty.site.wait_until_drained()
            faulty.site.wait_until(lambda: faulty.status("memos").state == "running", "memos runs again")
            assert not any(told(text) for text in faulty.health().texts)
        for table in tables:
            assert faulty.arrived(table) == list(range(1, 201))


@pytest.mark.parametrize("method", METHODS)
def test_a_column_that_is_dropped_blocks_and_is_carried_again_when_it_is_back(
    mariadb: MariaDB, emulator: Emulator, method: str
) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        faulty.insert(3)
        with capture_logs() as logs, faulty.working():
            faulty.site.wait_until_drained()
            faulty.change_columns([field for field in NOTES_SCHEMA if field.name != "detail"])
            faulty.service.storage.appends.last(refuse_column("detail"))
            faulty.insert(3)
            faulty.wait_until_blocked("column detail")
            assert faulty.status().pending.rows == 3
            assert faulty.failed() == []

            faulty.change_columns(NOTES_SCHEMA)
            faulty.service.end_faults()
            faulty.site.wait_until_drained()

        held = [line for line in logs if line["event"] == "not carrying rows"]
        assert {line["state"] for line in held} == {"blocked"}
        assert all("detail" in line["reason"] for line in held)  # also what BigQuery itself said, at first
        assert faulty.arrived() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("method", METHODS)
def test_a_column_that_is_added_in_bigquery_changes_nothing(mariadb: MariaDB, emulator: Emulator, method: str) -> None:
    with faulty_site(mariadb, emulator, method) as faulty:
        faulty.insert(3)
        with faulty.working():
            faulty.site.wait_until_drained()
            faulty.change_columns([*NOTES_SCHEMA, SchemaField("mood", "STRING")])
            faulty.insert(3)
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1, 2, 3, 4, 5, 6]
        assert faulty.waits == []
