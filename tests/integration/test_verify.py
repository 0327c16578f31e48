"""Whether verification finds what is wrong, with real servers; and nothing else."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from google.cloud import bigquery

from actors import retention_actor
from bigquery.compare import TableInBigQuery
from database.daily_checks import LastCheck
from database.status import read_status
from delivery import steps, verify
from delivery.both_sides import Bounds, DayCount, Found, KeyPage, Scope, Span
from delivery.steps import Steps
from delivery.verify import Verification
from delivery.verify_report import Damage
from operations.health import Kind, Thresholds, judge
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import Site
from tests.integration.verifying import (
    FIRST,
    SCHEMA,
    TABLE,
    carried,
    ids,
    in_bigquery,
    key_walk,
    named,
    verified,
    visit,
    visits_site,
)

pytestmark = pytest.mark.integration


def test_equal_sides_are_equal_by_counts_and_by_values(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 300)
        visit(site, 5)  # these wait
        by_counts, by_values = verified(site), verified(site, deep=True)
    assert (by_counts.problem, by_counts.equal, by_counts.rows_here, by_counts.rows_there) == (None, True, 305, 300)
    assert (by_counts.waiting, by_counts.compared, by_counts.days) == (5, 0, [])
    assert (by_values.problem, by_values.damaged, by_values.compared) == (None, [], 300)


def test_every_damage_is_found_and_named(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 400)
        in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids([10, 11, 400])})")
        in_bigquery(site, f"INSERT INTO visits SELECT * FROM visits WHERE visit_id IN ({ids([20, 21])})")
        in_bigquery(site, "UPDATE visits SET score = score + 0.5 WHERE visit_id = 'vis_30'")
        in_bigquery(site, "UPDATE visits SET price = NULL, tags = ['a'] WHERE visit_id = 'vis_31'")
        in_bigquery(site, "UPDATE visits SET detail = JSON '{\"seq\": 32}' WHERE visit_id = 'vis_32'")
        in_bigquery(
            site,
            "UPDATE visits SET seen_at = TIMESTAMP_ADD(seen_at, INTERVAL 9 HOUR)"
            " WHERE visit_id IN ('vis_40', 'vis_41')",
        )
        in_bigquery(site, "UPDATE visits SET fid = 'f2' WHERE visit_id = 'vis_50'")
        for id_ in ("vis_999", "vis_x"):
            in_bigquery(
                site,
                "INSERT INTO visits (visit_id, tid, fid, seen_at)"
                f" VALUES ('{id_}', 't1', 'f1', TIMESTAMP '2026-03-05 10:00:00')",
            )
        in_bigquery(
            site,
            "INSERT INTO visits (visit_id, tid, fid, seen_at)"
            " VALUES ('vis_1', 'another site', 'f1', TIMESTAMP '2026-03-05 10:00:00')",
        )
        report = verified(site, deep=True)
        shallow = verified(site)
    assert report.problem is None
    assert named(report, Damage.MISSING) == [10, 11, 400, 50]  # in a scope that isn't ours nobody looks
    assert named(report, Damage.DUPLICATE) == [20, 21]
    assert named(report, Damage.DIFFERENT) == [
        (30, "score"),
        (31, "price", "tags"),
        (32, "detail"),
        (40, "seen_at"),
        (41, "seen_at"),
    ]
    assert named(report, Damage.EXTRA) == [999, "vis_x"]
    assert {row.damage for row in shallow.damaged} >= {Damage.MISSING, Damage.DUPLICATE, Damage.EXTRA}
    assert named(shallow, Damage.MISSING) == named(report, Damage.MISSING)


def test_missing_rows_are_sent_again_once(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 200)
        in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids(range(50, 60))})")
        first, second = verified(site, repair=True), verified(site, repair=True)
        assert (first.asked_again, second.asked_again) == (10, 0)  # the items wait
        site.run("INSERT INTO bq_sync_queue (table_name, record_id, resend) VALUES ('visits', 55, 1)")
        with site.working():
            site.wait_until_drained()
        after = verified(site, deep=True, repair=True)
        assert (after.problem, after.damaged, after.asked_again, after.rows_there) == (None, [], 0, 200)


@pytest.mark.parametrize(
    ("here", "there", "first"),
    [
        (None, "UPDATE visits SET seen_at = TIMESTAMP_ADD(seen_at, INTERVAL 5 DAY) WHERE visit_id = 'vis_40'", None),
        ("UPDATE visits SET seen_at = '2127-06-01' WHERE id = 40", None, date(2127, 1, 1)),
    ],
    ids=["there", "here"],
)
def test_a_row_that_bigquery_has_outside_of_the_days_that_are_compared_is_not_sent_again(
    mariadb: MariaDB, emulator: Emulator, here: str | None, there: str | None, first: date | None
) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 24 * 10)
        if here is not None:
            site.run(here)
        if there is not None:
            in_bigquery(site, there)
        in_bigquery(site, "DELETE FROM visits WHERE visit_id = 'vis_41'")
        last = date(2026, 3, 2) if first is None else None
        report = verified(site, first=first, last=last, repair=True)
        assert named(report, Damage.DIFFERENT) == [(40, "seen_at")]
        assert report.asked_again == (1 if first is None else 0)
        with site.working():
            site.wait_until_drained()
        assert named(verified(site), Damage.DUPLICATE) == []


def test_days_are_utc_and_limit_what_is_compared(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 24 * 10)  # the first day has 8 rows: in Tokyo it is 9 hours older
        in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids([1, 20, 40])})")
        wanted = {"first": date(2026, 3, 1), "last": date(2026, 3, 1)}
        report = verified(site, **wanted)
        assert (named(report, Damage.MISSING), report.rows_here, report.rows_there) == ([20], 24, 23)
        assert [(day.day, day.here, day.there) for day in report.days] == [(date(2026, 3, 1), 24, 23)]
        assert named(verified(site), Damage.MISSING) == [1, 20, 40]


def test_few_days_are_found_by_the_index_on_the_age(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site, key_walk(site) as walk:
        visit(site, 24 * 10)
        # A day more at each end, as the camera's clock has them.
        assert walk.bounds(Span(date(2026, 3, 2), date(2026, 3, 3))) == Bounds(1, 24 * 4 - 1)
        assert walk.bounds(Span(date(2026, 3, 9), date(2026, 3, 9))) == Bounds(24 * 7, 24 * 10 - 1)
        quiet = Span(date(2026, 6, 1), date(2026, 6, 3))
        assert walk.keys(quiet, walk.bounds(quiet), None, 2) == KeyPage([], None)  # it isn't looked for among all
        assert walk.bounds(Span(date(2026, 3, 2), None)) is None


def test_rows_without_time_belong_to_no_day(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 10, seen_at="NULL", id="seq")
        carried(site, 10, id="10 + seq")
        in_bigquery(site, "DELETE FROM visits WHERE visit_id IN ('vis_3', 'vis_13')")
        report = verified(site)
        assert (named(report, Damage.MISSING), report.rows_here) == ([13, 3], 20)
        assert [day.day for day in report.days] == [None, date(2026, 2, 28)]
        assert verified(site, first=date(2026, 3, 1)).equal


def test_rows_of_a_server_with_another_site_id_are_not_ours(mariadb: MariaDB, emulator: Emulator) -> None:
    columns = {**TABLE["columns"], "visit_id": {"template": "{site_id}/vis_{id}"}}
    with visits_site(mariadb, emulator, site_id="tokyo", table={"columns": columns}) as site:
        carried(site, 20)
        in_bigquery(
            site,
            "INSERT INTO visits (visit_id, tid, fid, seen_at)"
            " VALUES ('osaka/vis_3', 't1', 'f1', TIMESTAMP '2026-03-01 10:00:00')",
        )
        assert (report := verified(site, deep=True)).equal
        assert (report.rows_there, report.days) == (20, [])


@pytest.mark.parametrize("identity", [["visit_id", "tid", "fid"], ["visit_id", "tid", "fid", "day"]])
def test_columns_of_bigquery_may_have_any_name(mariadb: MariaDB, emulator: Emulator, identity: list[str]) -> None:
    table = {"columns": {**TABLE["columns"], "day": {"value": "Sunday"}}, "identity": identity}
    further = bigquery.SchemaField("day", "STRING")
    with visits_site(mariadb, emulator, table=table, schema=(*SCHEMA, further)) as site:
        carried(site, 100)
        assert (report := verified(site, deep=True)).equal
        assert report.compared == 100


@pytest.mark.parametrize(
    ("key", "keys"), [("BIGINT UNSIGNED", "18446744073709551000 + seq"), ("BIGINT", "CAST(seq AS SIGNED) - 50")]
)
def test_keys_of_all_64_bits(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, key: str, keys: str
) -> None:
    monkeypatch.setattr(verify, "ROWS_AT_ONCE", 7)
    with visits_site(mariadb, emulator, key=key) as site:
        carried(site, 100, id=keys)
        assert (report := verified(site, deep=True)).equal
        assert report.compared == 100


@pytest.mark.parametrize("rows_a_query", [1_000_000, 30])
def test_text_keys_and_many_pages(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, rows_a_query: int
) -> None:
    monkeypatch.setattr(verify, "ROWS_AT_ONCE", 7)
    monkeypatch.setattr(verify, "ROWS_A_QUERY", rows_a_query)
    monkeypatch.setattr("bigquery.compare.ROWS_A_PAGE", 5)
    with visits_site(mariadb, emulator, key="VARCHAR(20) COLLATE utf8mb4_general_ci") as site:
        carried(site, 100, id="CONCAT(IF(seq % 2, 'a', 'B'), seq, IF(seq % 5, '', 'é'))")
        in_bigquery(site, "DELETE FROM visits WHERE visit_id IN ('vis_a1', 'vis_B30é')")
        in_bigquery(site, "INSERT INTO visits SELECT * FROM visits WHERE visit_id = 'vis_B2'")
        report = verified(site, deep=True)
    assert report.problem is None
    assert (named(report, Damage.MISSING), named(report, Damage.DUPLICATE)) == (["B30é", "a1"], ["B2"])
    assert (len(report.damaged), report.compared) == (3, 98)


def test_text_keys_are_sorted_only_where_rows_are_compared(mariadb: MariaDB, emulator: Emulator) -> None:
    keys = "VARCHAR(20) COLLATE utf8mb4_general_ci"
    with visits_site(mariadb, emulator, key=keys) as site, key_walk(site) as walk:
        visit(site, 4, id="ELT(seq, 'a', 'B', 'é', 'f')")
        everything = Span()
        assert walk.keys(everything, None, "a", 2) == KeyPage(["B", "é"], "é")
        assert walk.keys_in_order(everything, None, None, 3) == KeyPage(["B", "a", "f"], "f")
        assert walk.keys_in_order(everything, None, "f", 3) == KeyPage(["é"], None)


def test_text_keys_that_bigquery_has_as_integers_are_in_another_order(mariadb: MariaDB, emulator: Emulator) -> None:
    columns = {**TABLE["columns"], "visit_id": {"template": "{tid}_{id}"}, "number": "id"}
    table = {"columns": columns, "identity": ["number", "tid", "fid"]}
    schema = (*SCHEMA, bigquery.SchemaField("number", "INT64"))
    with visits_site(mariadb, emulator, key="VARCHAR(20)", table=table, schema=schema) as site:
        problem = verified(site).problem
        assert problem is not None
        assert "can't be put in order" in problem


def test_ids_that_bigquery_has_already_are_told(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 100)
        site.run("DELETE FROM visits WHERE id > 60", "ALTER TABLE visits AUTO_INCREMENT = 61")  # as a backup leaves it
        report = verified(site)
        assert report.reused is not None
        assert (report.reused.next, report.reused.highest, report.equal) == (61, 100, False)
        assert named(report, Damage.EXTRA) == sorted(range(61, 101), key=str)
        site.run("ALTER TABLE visits AUTO_INCREMENT = 101")
        assert verified(site).reused is None


def test_days_without_rows_here_are_asked_for_too_and_an_empty_table_is_no_all_clear(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 48)
        site.run("DELETE FROM visits WHERE id > 20")
        day = {"first": date(2026, 3, 2), "last": date(2026, 3, 2)}
        lost = verified(site, **day)
        assert (lost.rows_here, lost.rows_there, len(named(lost, Damage.EXTRA))) == (0, 16, 16)
        assert lost.reused is None  # of these days alone it isn't known
        site.run("DELETE FROM visits")
        empty = verified(site)
        assert not empty.equal
        assert "the table has no row, though 48 were sent" in str(empty.problem)
    with visits_site(mariadb, emulator) as site:
        assert (verified(site).problem, verified(site).equal) == (None, True)


def test_an_id_that_no_key_here_can_have_is_extra(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator, key="VARCHAR(20) CHARACTER SET latin1") as site:
        carried(site, 10, id="CONCAT('ä', seq)")
        in_bigquery(
            site,
            "INSERT INTO visits (visit_id, tid, fid, seen_at)"
            " VALUES ('vis_日本', 't1', 'f1', TIMESTAMP '2026-03-01 10:00:00')",
        )
        report = verified(site, deep=True)
        assert (report.problem, report.compared, named(report, Damage.EXTRA)) == (None, 10, ["vis_日本"])


def test_a_doubled_row_is_named_once_whatever_queries_read_its_copies(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify, "ROWS_A_QUERY", 20)
    with visits_site(mariadb, emulator) as site:
        carried(site, 24 * 4)
        in_bigquery(
            site,
            "INSERT INTO visits SELECT * REPLACE (TIMESTAMP_ADD(seen_at, INTERVAL 24 HOUR) AS seen_at)"
            " FROM visits WHERE visit_id = 'vis_40'",
        )
        report = verified(site, deep=True)
        assert [(row.damage, row.key) for row in report.damaged] == [(Damage.DUPLICATE, 40)]


def test_after_truncate_ids_begin_anew(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 9)
        site.run("TRUNCATE visits")
        site.run(f"INSERT INTO visits (id, seen_at, synced_to_bq) VALUES (-1, {FIRST}, 0)")
        assert (report := verified(site)).reused is not None
        assert (report.reused.next, report.reused.highest) == (1, 9)


def test_a_row_that_changed_since_it_was_sent_is_different_and_not_sent_again(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 100)
        site.run("UPDATE visits SET seen_at = seen_at + INTERVAL 20 DAY, score = 1 WHERE id = 7")
        site.run("UPDATE visits SET fid = 'f9' WHERE id = 8")
        report = verified(site, deep=True, repair=True)
        assert [row[0] for row in named(report, Damage.DIFFERENT)] == [7, 8]
        assert (named(report, Damage.MISSING), report.asked_again) == ([], 0)


@pytest.mark.parametrize("partition", ["made_at", None])
def test_a_time_that_was_changed_in_bigquery_is_no_duplicate(
    mariadb: MariaDB, emulator: Emulator, partition: str | None
) -> None:
    made_at = bigquery.SchemaField("made_at", "TIMESTAMP")
    table = {"columns": {**TABLE["columns"], "made_at": {"value": "2026-03-01T00:00:00Z"}}}
    with visits_site(mariadb, emulator, table=table, schema=(*SCHEMA, made_at), partition=partition) as site:
        carried(site, 24 * 10)
        later = "UPDATE visits SET seen_at = TIMESTAMP_ADD(seen_at, INTERVAL 5 DAY) WHERE visit_id = 'vis_40'"
        in_bigquery(site, later)
        report = verified(site)
        assert (named(report, Damage.DIFFERENT), len(report.damaged)) == ([(40, "seen_at")], 1)


def test_a_row_that_no_longer_could_be_sent_is_not_compared(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 20)
        site.run("ALTER TABLE visits MODIFY tid VARCHAR(20) NULL", "UPDATE visits SET tid = NULL WHERE id = 3")
        report = verified(site)
        assert (report.unreadable, report.damaged, report.equal) == ({3}, [], False)


def test_rows_that_are_not_here_are_not_kept_in_memory(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0

    def decided(self: Verification, strays: Sequence[Found]) -> Steps[None]:
        nonlocal most
        most = max(most, len(strays))
        return decide(self, strays)

    decide = Verification._decide_strays
    monkeypatch.setattr(Verification, "_decide_strays", decided)
    monkeypatch.setattr(verify, "DOUBTFUL_AT_ONCE", 10)
    monkeypatch.setattr("bigquery.compare.ROWS_A_PAGE", 5)
    with visits_site(mariadb, emulator) as site:
        carried(site, 300)
        site.run("DELETE FROM visits WHERE id NOT IN (3, 299, 300)")
        report = verified(site)
    assert (len(named(report, Damage.EXTRA)), report.compared) == (297, 3)
    assert most <= 15


def test_history_may_be_there_or_not(mariadb: MariaDB, emulator: Emulator) -> None:
    with visits_site(mariadb, emulator) as site:
        carried(site, 60)
        site.run("UPDATE visits SET synced_to_bq = NULL WHERE id <= 20")
        in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids(range(1, 11))})")
        report = verified(site)
        assert (report.equal, report.history, report.damaged) == (True, 20, [])
        assert verified(site, deep=True).equal


def test_a_table_that_is_fed_by_its_queue_has_only_rows_that_were_asked_for(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with visits_site(mariadb, emulator, table={"synced_flag": None}) as site:
        visit(site, 30)
        for key in range(1, 11):
            site.enqueue("visits", key)
        with site.working():
            site.wait_until_drained()
        in_bigquery(site, "DELETE FROM visits WHERE visit_id = 'vis_4'")
        report = verified(site)
        assert (named(report, Damage.MISSING), report.unsent, len(report.damaged)) == ([4], 20, 1)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"age_column": None}, "set age_column"),
        (
            {"columns": {**TABLE["columns"], "visit_id": {"template": "{tid}_{id}"}}},
            "can't be put in order",
        ),
    ],
)
def test_what_can_not_be_compared_is_told(
    mariadb: MariaDB, emulator: Emulator, table: dict[str, Any], problem: str
) -> None:
    with visits_site(mariadb, emulator, table=table) as site:
        report = verified(site)
        assert report.problem is not None
        assert problem in report.problem
        assert not report.equal


# every day by itself


def test_the_counts_of_the_last_days_are_compared_by_themselves(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = "TIMESTAMP(UTC_DATE()) - INTERVAL 6 HOUR + INTERVAL 9 HOUR"  # as Tokyo has it
    with visits_site(mariadb, emulator) as site:
        carried(site, 20, seen_at=yesterday)
        checked = status_of(site)
        assert (checked.last_check, checked.health) == (None, ())  # the worker was stopped before it was due
        monkeypatch.setattr(retention_actor, "FIRST_SECONDS", (0.0, 0.0))
        monkeypatch.setattr(steps, "LEAST_PAUSE_SECONDS", 0.0)
        with site.working():
            site.wait_until(lambda: status_of(site).last_check is not None, "the table was compared")
        check = status_of(site).last_check
        assert check is not None
        assert (check.rows_here, check.rows_there, check.differing, check.problem) == (20, 20, 0, None)

        in_bigquery(site, f"DELETE FROM visits WHERE visit_id IN ({ids([4, 5])})")
        in_bigquery(site, "INSERT INTO visits SELECT * FROM visits WHERE visit_id = 'vis_6'")
        visit(site, 3)  # of a day long ago, in which nothing is compared
        site.run("UPDATE bq_sync_table SET checked_at = checked_at - INTERVAL 1 DAY")
        site.run("DELETE FROM bq_sync_command")
        with site.working():
            site.wait_until(lambda: bool(status_of(site).health), "the damage is told")
        (reason,) = status_of(site).health
        assert "BigQuery doesn't have the rows of 1 day as they were sent" in reason
        assert "20 sent, 19 there, 1 of them doubled" in reason
        assert "bq-sync verify --table visits" in reason

        in_bigquery(site, "DELETE FROM visits WHERE visit_id = 'vis_6'")  # both
        assert verified(site, repair=True).asked_again == 3
        with site.working():
            site.wait_until_drained()
        assert status_of(site).health == (reason,)
        assert verified(site).equal
        assert status_of(site).health == ()  # at once, not only when the next day's comparison is done


def test_rows_that_arrive_while_they_are_counted_are_no_difference(
    mariadb: MariaDB, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = "TIMESTAMP(UTC_DATE()) - INTERVAL 6 HOUR + INTERVAL 9 HOUR"
    monkeypatch.setattr(retention_actor, "FIRST_SECONDS", (0.0, 0.0))
    count = TableInBigQuery.counts
    late = 0

    def counts(self: TableInBigQuery, span: Span, scopes: Collection[Scope]) -> Sequence[DayCount]:
        nonlocal late
        if not late:  # a camera hands in what it kept, and the worker carries it
            late += 1
            visit(site, 10, seen_at=yesterday)
            site.wait_until_drained()
        return count(self, span, scopes)

    monkeypatch.setattr(TableInBigQuery, "counts", counts)
    with visits_site(mariadb, emulator, interval_seconds=1) as site:
        visit(site, 20, seen_at=yesterday)
        with site.working():
            site.wait_until(lambda: status_of(site).last_check is not None, "the table was compared")
        check = status_of(site).last_check
        assert check is not None
        assert (late, check.rows_there, check.differing) == (1, 30, 0)


@dataclass(frozen=True)
class Seen:
    last_check: LastCheck | None
    health: tuple[str, ...]


def status_of(site: Site) -> Seen:
    """The last check, and what health says of the table's rows."""
    status = read_status(site.engine, site.settings)
    kinds = (Kind.DIFFERENT, Kind.UNCHECKED)
    reasons = judge(status, status.read_at, Thresholds()).reasons
    return Seen(status.tables["visits"].last_check, tuple(each.text for each in reasons if each.kind in kinds))
