"""insertAll has no offsets: what is in doubt is looked up before anything is sent again."""

import pytest

from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.fakes.rest_faults import http_error, reset, reset_after
from tests.integration.faulty import INSERT_ALL, FaultySite, faulty_site

pytestmark = pytest.mark.integration


def inserted(faulty: FaultySite) -> list[list[str]]:
    """The ids of the rows of each insertAll that BigQuery has read."""
    return [[row["json"]["note_id"] for row in request["rows"]] for request in faulty.service.rest.requests]


def test_rows_of_a_lost_answer_are_looked_up_and_not_sent_again(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, INSERT_ALL) as faulty:
        faulty.writes.add(reset_after)
        item = faulty.site.enqueue("notes", 1)
        faulty.insert(1)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1]
        assert inserted(faulty) == [["note_1"]]
        assert faulty.service.rest.queries.calls == ["notes"]
        assert faulty.site.item(item) == ("completed", None, True)


def test_rows_that_are_looked_up_and_are_not_there_are_sent_once(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, INSERT_ALL) as faulty:
        faulty.writes.add(reset)
        item = faulty.site.enqueue("notes", 1)
        faulty.insert(1)
        with faulty.working():
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1]
        assert inserted(faulty) == [["note_1"]]
        assert faulty.service.rest.queries.calls == ["notes"]
        assert faulty.site.item(item) == ("completed", None, True)


def test_nothing_is_sent_as_long_as_the_look_up_fails(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, INSERT_ALL) as faulty:
        faulty.writes.add(reset_after)
        faulty.service.rest.queries.last(http_error(403, "accessDenied", "no bigquery.jobs.create"))
        faulty.insert(1)
        with faulty.working():
            faulty.wait_until_blocked("no bigquery.jobs.create")
            faulty.site.wait_until(lambda: len(faulty.service.rest.queries.calls) >= 3, "it is looked up again")
            faulty.wait_until_blocked("no bigquery.jobs.create")
            assert len(inserted(faulty)) == 1
            assert faulty.batches("begun") == [1]

            faulty.service.end_faults()
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1]
        assert len(inserted(faulty)) == 1


def test_an_empty_look_up_is_not_believed_before_its_time(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, INSERT_ALL, lookup_settle_seconds=3600) as faulty:
        faulty.writes.add(reset)
        faulty.insert(1)
        with faulty.working():
            faulty.site.wait_until(lambda: len(faulty.service.rest.queries.calls) >= 3, "it is looked up again")
            assert inserted(faulty) == []
            assert faulty.status().state in ("waiting", "recovering")
            # It arrives after all, by the request that was given up.
            faulty.site.client.query_and_wait(
                f"INSERT INTO `{faulty.path('notes')}` (note_id, label, written_at)"
                " VALUES ('note_1', 'fine', TIMESTAMP '2026-01-05 09:00:00+00')"
            )
            faulty.site.wait_until_drained()

        assert faulty.arrived() == [1]
        assert inserted(faulty) == []


def test_a_row_that_comes_twice_within_the_window_is_there_once(mariadb: MariaDB, emulator: Emulator) -> None:
    with faulty_site(mariadb, emulator, INSERT_ALL, window_seconds=60) as faulty:
        faulty.insert(3)
        with faulty.working():
            faulty.site.wait_until_drained()
            # As a worker does whose database has forgotten that it had sent them.
            faulty.site.run("UPDATE notes SET synced_to_bq = 0", "DELETE FROM bq_sync_queue")
            faulty.site.wait_until_drained()

        first, again = faulty.service.rest.requests
        assert [row["insertId"] for row in first["rows"]] == [row["insertId"] for row in again["rows"]]
        assert len({row["insertId"] for row in first["rows"]}) == 3
        assert faulty.arrived() == [1, 2, 3]
