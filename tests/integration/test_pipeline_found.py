"""Each line of the table in docs/exactly-once.md ("Two ways in, one row"), through a running worker.

A flush is the barrier of each test: what was committed before it is decided when it returns. It tells how many rows
it sent.
"""

import json
from collections.abc import Iterator

import pytest

from mapping.row import MAX_ROW_BYTES
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site, notes_site

pytestmark = pytest.mark.integration

SENT = ("completed", None, True)  # an item that BigQuery has its row by
NOTHING_TO_SEND = ("completed", None, False)
PENDING = ("pending", None, False)


class Notes:
    """A site's table `notes`."""

    def __init__(self, site: Site) -> None:
        self.site = site

    def add(
        self, label: str | None = "as it was read", *, flag: int | None = 0, item: str = "", detail: str | None = None
    ) -> tuple[int, int]:
        """Insert a row and, with a status, a queue item of it, in one transaction; the ids of both."""
        with self.site.engine.begin() as connection:
            insert = "INSERT INTO notes (label, detail, synced_to_bq) VALUES (%s, %s, %s)"
            key = connection.exec_driver_sql(insert, (label, detail, flag)).lastrowid
            if not item:
                return key, 0
            enqueue = "INSERT INTO bq_sync_queue (table_name, record_id, sync_status) VALUES ('notes', %s, %s)"
            return key, connection.exec_driver_sql(enqueue, (str(key), item)).lastrowid

    def enqueue(self, record_id: object, **columns: object) -> int:
        return self.site.enqueue("notes", record_id, **columns)

    def item(self, item_id: int) -> tuple[str, str | None, bool]:
        return self.site.item(item_id)

    def items_of(self, key: int) -> list[tuple[str, str | None, bool]]:
        ids = self.site.read("SELECT id FROM bq_sync_queue WHERE record_id = :key ORDER BY id", key=str(key))
        return [self.item(item_id) for (item_id,) in ids]

    def flag(self, key: int) -> int | None:
        ((flag,),) = self.site.read("SELECT synced_to_bq FROM notes WHERE id = :key", key=key)
        return None if flag is None else int(flag)

    def flush(self) -> int:
        return self.site.flush()

    def labels(self, key: int) -> list[str]:
        """The label of each row that BigQuery has of this key."""
        return [row["label"] for row in self.site.sent("notes") if row["note_id"] == f"note_{key}"]


@pytest.fixture(scope="module")
def working_site(mariadb: MariaDB, emulator: Emulator) -> Iterator[Site]:
    """One worker for all tests of this file, each of which has rows of its own. It sends when it is asked to flush."""
    with notes_site(mariadb, emulator, interval_seconds=3600) as site, site.working():
        Notes(site).add()
        site.flush()  # only the first batch of a worker doesn't wait for the interval
        yield site


@pytest.fixture
def notes(working_site: Site) -> Notes:
    return Notes(working_site)


# rows


@pytest.mark.parametrize("status", ["syncing", "failed", "abandoned"])
def test_a_row_whose_item_is_undecided_or_given_up_is_left_alone(notes: Notes, status: str) -> None:
    key, item = notes.add(item=status)

    notes.flush()

    assert notes.labels(key) == []
    assert notes.flag(key) == 0
    assert notes.item(item) == (status, None, False)


def test_a_row_with_a_pending_item_is_sent_once_by_its_item(notes: Notes) -> None:
    key, item = notes.add(item="pending")

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1
    assert notes.item(item) == SENT


def test_a_row_whose_item_was_sent_gets_its_flag_and_is_not_sent(notes: Notes) -> None:
    key, item = notes.add(flag=None)
    item = notes.enqueue(key)
    notes.flush()
    assert notes.item(item) == SENT

    notes.site.run("UPDATE notes SET synced_to_bq = 0 WHERE id = :key", key=key)
    assert notes.flush() == 0

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1


def test_a_row_without_item_is_sent(notes: Notes) -> None:
    key, _ = notes.add()

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1
    assert notes.items_of(key) == []


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_a_row_with_an_item_of_another_operation_is_sent(notes: Notes, operation: str) -> None:
    key, _ = notes.add()
    notes.enqueue(key, operation=operation)

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1


def test_a_row_whose_item_completed_without_being_sent_is_sent(notes: Notes) -> None:
    key, _ = notes.add(item="completed")

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]


def test_history_is_not_sent(notes: Notes) -> None:
    key, _ = notes.add(flag=None)

    assert notes.flush() == 0

    assert notes.labels(key) == []
    assert notes.flag(key) is None


# items


def test_an_item_whose_row_is_marked_is_completed_without_sending(notes: Notes) -> None:
    key, item = notes.add(flag=1, item="pending")

    assert notes.flush() == 0

    assert notes.labels(key) == []
    assert notes.item(item) == NOTHING_TO_SEND


def test_an_item_whose_key_was_sent_by_another_item_is_completed_without_sending(notes: Notes) -> None:
    key, first = notes.add(item="pending")
    notes.flush()
    notes.site.run("UPDATE notes SET synced_to_bq = 0 WHERE id = :key", key=key)
    second = notes.enqueue(key)

    assert notes.flush() == 0

    assert notes.labels(key) == ["as it was read"]
    assert notes.item(first) == SENT
    assert notes.item(second) == NOTHING_TO_SEND


def test_of_two_items_of_a_key_the_lower_is_sent_and_the_other_completed(notes: Notes) -> None:
    key, first = notes.add(item="pending")
    second = notes.enqueue(key)

    notes.flush()
    notes.flush()  # the second waited for the first

    assert notes.labels(key) == ["as it was read"]
    assert notes.item(first) == SENT
    assert notes.item(second) == NOTHING_TO_SEND


def test_two_items_of_a_key_are_sent_once_when_the_lower_commits_last(notes: Notes) -> None:
    key, _ = notes.add(flag=None)
    insert = f"INSERT INTO bq_sync_queue (table_name, record_id) VALUES ('notes', '{key}')"
    with notes.site.engine.connect() as connection:
        lower = connection.exec_driver_sql(insert).lastrowid
        higher = notes.enqueue(key)
        notes.flush()
        assert notes.item(higher) == SENT
        connection.commit()

    notes.flush()

    assert lower < higher
    assert notes.labels(key) == ["as it was read"]
    assert notes.item(lower) == NOTHING_TO_SEND


def test_an_item_waits_while_another_of_its_key_is_syncing(notes: Notes) -> None:
    key, _ = notes.add(item="syncing")
    second = notes.enqueue(key)

    assert notes.flush() == 0

    assert notes.labels(key) == []
    assert notes.item(second) == PENDING
    notes.site.run("UPDATE bq_sync_queue SET sync_status = 'abandoned' WHERE id = :id", id=second)


def test_an_item_of_history_is_sent_and_its_row_marked(notes: Notes) -> None:
    key, item = notes.add(flag=None, item="pending")

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1
    assert notes.item(item) == SENT


def test_a_payload_is_sent_as_it_stands_and_a_row_that_appears_later_only_gets_its_flag(notes: Notes) -> None:
    key, _ = notes.add()
    notes.flush()
    key += 1000
    item = notes.enqueue(key, payload=json.dumps({"label": "as it was enqueued", "detail": {"a": [1]}}))

    assert notes.flush() == 1
    assert notes.item(item) == SENT

    notes.site.run("INSERT INTO notes (id, label) VALUES (:key, 'as it is now')", key=key)
    assert notes.flush() == 0

    assert notes.labels(key) == ["as it was enqueued"]
    assert notes.flag(key) == 1


def test_a_payload_wins_over_its_row(notes: Notes) -> None:
    key, _ = notes.add("as it is now", flag=None)
    notes.enqueue(key, payload=json.dumps({"label": "as it was enqueued", "note_id": f"note_{key}"}))

    notes.flush()

    assert notes.labels(key) == ["as it was enqueued"]
    assert notes.flag(key) == 1


def test_an_item_without_row_waits_for_it(notes: Notes) -> None:
    key = notes.add(flag=1)[0] + 1
    item = notes.enqueue(key)

    assert notes.flush() == 0
    assert notes.item(item) == PENDING

    assert notes.add() == (key, 0)
    assert notes.flush() == 1
    assert notes.labels(key) == ["as it was read"]
    assert notes.item(item) == SENT


def test_an_item_whose_row_stays_away_is_completed_as_gone_and_a_later_row_is_sent(notes: Notes) -> None:
    key = notes.add(flag=1)[0] + 1
    item = notes.enqueue(key, created_at="2026-01-05 09:00:00")

    assert notes.flush() == 0
    assert notes.item(item) == NOTHING_TO_SEND

    assert notes.add() == (key, 0)
    assert notes.flush() == 1
    assert notes.labels(key) == ["as it was read"]


def test_an_item_with_resend_is_sent_whatever_flag_and_items_say(notes: Notes) -> None:
    key, _ = notes.add(flag=1)
    again = notes.enqueue(key, resend=1)

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.item(again) == SENT


def test_an_item_with_resend_doubles_no_row_that_bigquery_has(notes: Notes) -> None:
    key, _ = notes.add(item="pending")
    notes.flush()
    again, once_more = notes.enqueue(key, resend=1), notes.enqueue(key, resend=1)

    while notes.flush():  # it counts what it finds there too; the second item waits for the first
        pass

    assert notes.labels(key) == ["as it was read"]
    assert [notes.item(again), notes.item(once_more)] == [SENT] * 2


@pytest.mark.parametrize("operation", ["UPDATE", "DELETE"])
def test_an_operation_that_bigquery_does_not_take_is_abandoned(notes: Notes, operation: str) -> None:
    key, _ = notes.add(flag=1)
    item = notes.enqueue(key, operation=operation)

    assert notes.flush() == 0

    assert notes.labels(key) == []
    assert notes.item(item) == ("abandoned", "BigQuery takes new rows only here, no UPDATE or DELETE", False)


@pytest.mark.parametrize("spelled", ["{key}", "000{key}", "+{key}"])
def test_every_spelling_of_a_record_id_means_its_row(notes: Notes, spelled: str) -> None:
    key, _ = notes.add(flag=None)
    item = notes.enqueue(spelled.format(key=key))

    assert notes.flush() == 1

    assert notes.labels(key) == ["as it was read"]
    assert notes.flag(key) == 1
    assert notes.items_of(key) == [SENT]  # from now on it has the key's own spelling
    assert notes.item(item) == SENT


def test_two_spellings_of_a_record_id_are_one_row(notes: Notes) -> None:
    key, _ = notes.add(flag=None)
    first, second = notes.enqueue(f"00{key}"), notes.enqueue(key)

    notes.flush()
    notes.flush()

    assert notes.labels(key) == ["as it was read"]
    assert notes.item(first) == SENT
    assert notes.item(second) == NOTHING_TO_SEND


@pytest.mark.parametrize("record_id", ["seven", "7.0", "", str(2**63), "7; DROP TABLE notes"])
def test_a_record_id_that_is_no_key_fails(notes: Notes, record_id: str) -> None:
    item = notes.enqueue(record_id)

    assert notes.flush() == 0

    assert notes.item(item) == (
        "failed",
        "the record id is no primary key of this table: enqueue the row's own",
        False,
    )


# bad rows


@pytest.mark.parametrize(
    ("label", "detail", "error"),
    [
        pytest.param("label", "{not JSON", "detail: isn't valid JSON", id="not JSON"),
        pytest.param(None, None, "label: is NULL, but the column is REQUIRED", id="NULL in REQUIRED"),
        pytest.param("label", json.dumps("x" * MAX_ROW_BYTES), "too large", id="too large"),
    ],
)
@pytest.mark.parametrize("item", ["pending", ""], ids=["with item", "without item"])
def test_a_bad_row_fails_alone(notes: Notes, label: str | None, detail: str | None, error: str, item: str) -> None:
    before, _ = notes.add(item=item)
    bad, _ = notes.add(label, detail=detail, item=item)
    after, _ = notes.add(item=item)

    assert notes.flush() == 2

    assert [notes.labels(key) for key in (before, bad, after)] == [["as it was read"], [], ["as it was read"]]
    assert [notes.flag(key) for key in (before, bad, after)] == [1, 0, 1]
    ((status, last_error, has_batch),) = notes.items_of(bad)
    assert (status, has_batch) == ("failed", False)
    assert last_error is not None
    assert last_error.startswith(error)


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (
            {"label": "x", "colour": "red"},
            "colour: the payload names a column that BigQuery's table notes doesn't have",
        ),
        ({"label": "x", "note_id": "note_1"}, "note_id: isn't the id that belongs to the item's record_id"),
        ({"detail": {}}, "label: is NULL, but the column is REQUIRED"),
        ({"label": 7}, "label: isn't a text"),
        (["label"], "the payload isn't a JSON object"),
    ],
)
def test_a_bad_payload_fails(notes: Notes, payload: object, error: str) -> None:
    key = notes.add(flag=1)[0] + 500
    item = notes.enqueue(key, payload=json.dumps(payload))

    assert notes.flush() == 0

    assert notes.labels(key) == []
    assert notes.item(item) == ("failed", error, False)


def test_a_failed_item_is_sent_when_it_is_retried_after_its_row_was_mended(notes: Notes) -> None:
    key, _ = notes.add(None)
    notes.flush()
    ((status, _, _),) = notes.items_of(key)
    assert status == "failed"

    mend = "UPDATE notes SET label = 'mended' WHERE id = :key"
    retry = "UPDATE bq_sync_queue SET sync_status = 'pending' WHERE record_id = CAST(:key AS CHAR)"
    notes.site.run(mend, retry, key=key)
    assert notes.flush() == 1

    assert notes.labels(key) == ["mended"]
    assert notes.flag(key) == 1
    assert notes.items_of(key) == [SENT]  # its last error is gone
