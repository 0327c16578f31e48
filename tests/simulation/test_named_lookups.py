"""Histories in which only a look-up can tell what became of rows: by what was sent, not by what is there now."""

from dataclasses import replace
from datetime import datetime

import pytest

from config.settings import TableSettings
from delivery.destination import Missing, NoCount
from delivery.ledger import BatchState
from delivery.rows import SentRow, SentRows
from mapping.compile import TableMapping, compile_mapping
from mapping.schema import BigQueryColumn, SourceColumn
from tests.fakes.destination import Delayed
from tests.fakes.mapping import DESTINATION, SOURCE
from tests.simulation.named import HOUR, TWO_INTERVALS, Site, a_single_batch, at_the_point, die

APPENDING = ["before an append", "after an append"]  # the rows aren't in BigQuery, or they are
YOUNG = 500.0  # s: less than stream_settle_seconds


# a stream that the service doesn't know


@pytest.mark.parametrize("point", APPENDING)
def test_a_stream_was_collected_by_the_service(point: str) -> None:
    site = a_single_batch()
    at_the_point(site, point, die)
    site.bigquery.vanish("stream-0")
    site.start_worker()
    site.advance(YOUNG)
    assert site.db.states() == [BatchState.BEGUN], "NOT_FOUND of a young stream says nothing"
    site.advance(HOUR)
    site.check()
    assert len(site.bigquery.streams) == (1 if point == "before an append" else 0)


@pytest.mark.parametrize("point", APPENDING)
def test_a_stream_was_collected_while_nobody_worked(point: str) -> None:
    site = a_single_batch()
    at_the_point(site, point, die)
    site.bigquery.vanish("stream-0")
    site.db.clock.now += 100 * HOUR
    site.start_worker()
    site.advance(HOUR)  # the new worker can't know how old the stream is
    site.check()


def test_a_stream_is_collected_that_its_worker_hasnt_used_for_long() -> None:
    site = a_single_batch()
    site.advance(100 * HOUR)
    site.bigquery.vanish("stream-0")
    site.db.add_rows(3, 4)
    site.advance(TWO_INTERVALS)  # it knows the stream for long, and believes at once that it is gone
    site.check()


@pytest.mark.parametrize("arrives", [True, False])
def test_a_young_stream_is_not_found_while_an_append_to_it_is_on_its_way(arrives: bool) -> None:
    site = a_single_batch()
    site.bigquery.faults.append(Delayed())
    at_the_point(site, "after an append", die)
    site.bigquery.finalize_answers.extend([Missing()] * 3)
    site.start_worker()
    site.advance(15)
    if arrives:
        site.bigquery.arrive()
    site.advance(YOUNG)
    site.bigquery.arrive()
    site.check()


# what was sent, not what is there now


def test_a_look_up_meets_another_sites_row_of_the_same_id() -> None:
    site = Site()
    for other in ("T2", None):
        site.bigquery.hold(SentRows(("event_id", "tid"), None, (SentRow(1, ("det_1", other)),)))
    site.db.add_rows(1)
    at_the_point(site, "before an append", die)
    recovered_by_look_up(site)
    site.check()


def test_a_look_up_meets_rows_of_our_own_among_another_sites() -> None:
    site = Site()
    site.bigquery.hold(SentRows(("event_id", "tid"), None, (SentRow(1, ("det_1", "T2")),)))
    site.db.add_rows(1)
    at_the_point(site, "after an append", die)
    recovered_by_look_up(site)
    site.check()


@pytest.mark.parametrize("point", APPENDING)
def test_detected_at_is_corrected_between_send_and_look_up(point: str) -> None:
    site = Site(mapping=partitioned())
    site.db.values[1] = (1, "as it was", datetime(2026, 5, 1, 12))
    site.db.values[2] = (2, "as it was", datetime(2026, 5, 1, 12))
    at_the_point(site, point, die)
    site.db.values[1] = (1, "corrected", datetime(2026, 4, 30, 12))
    recovered_by_look_up(site)
    site.check()


def test_a_row_is_deleted_between_send_and_look_up() -> None:
    site = a_single_batch()
    at_the_point(site, "after an append", die)
    del site.db.values[1]
    recovered_by_look_up(site)
    site.check_arrived({1, 2})


def recovered_by_look_up(site: Site) -> None:
    """A new worker gets no count of the stream that the dead one has left."""
    site.bigquery.finalize_answers.append(NoCount())
    site.kill_and_replace()
    site.advance(TWO_INTERVALS)


def partitioned() -> TableMapping:
    """The mapping of a table whose BigQuery table is partitioned by the time that a row says."""
    source = replace(
        SOURCE,
        columns={**SOURCE.columns, "detected_at": SourceColumn("detected_at", "datetime", "datetime", nullable=True)},
    )
    destination = replace(
        DESTINATION,
        columns={**DESTINATION.columns, "detected_at": BigQueryColumn("detected_at", "TIMESTAMP")},
        partition_column="detected_at",
    )
    settings = TableSettings.model_validate(
        {
            "destination": "events",
            "primary_key": "id",
            "columns": {
                "event_id": {"template": "det_{id}"},
                "tid": {"value": "T1"},
                "label": "label",
                "detected_at": "detected_at",
            },
            "identity": ["event_id", "tid"],
        }
    )
    return compile_mapping("logs", settings, source, destination, zone=None, site_id="site")
