"""Bytes beside those of the rows' own JSON."""

from datetime import UTC, datetime

from bench.wire import Bytes, Case, Rest, as_json, report, split

SENT = Bytes(rest_sent=100, rest_received=10, grpc_sent=900, grpc_received=40, database_sent=5, database_received=6)
NOTHING = Bytes(0, 0, 0, 0, 0, 0)


def test_a_row_is_an_object_without_its_nulls() -> None:
    row = {"id": "det_1", "at": datetime(2025, 1, 2, 3, tzinfo=UTC), "tags": ["a", None], "note": None}
    assert as_json(row) == b'{"id":"det_1","at":"2025-01-02T03:00:00+00:00","tags":["a",null]}'


def test_bytes_are_counted_from_a_moment_on() -> None:
    counted = SENT - Bytes(
        rest_sent=1, rest_received=2, grpc_sent=3, grpc_received=4, database_sent=5, database_received=6
    )
    assert (counted.sent, counted.received, counted.database_sent, counted.database_received) == (996, 44, 0, 0)


def test_compressed_lines_are_compared_with_compressed_json_and_silence_with_nothing() -> None:
    cases = [
        Case("a, none, trickling", "none", 10, 1, SENT, json=2_000, json_compressed=500),
        Case("a, gzip, catching up", "gzip", 10, 1, SENT, json=2_000, json_compressed=800),
    ]
    figures = {
        figure.name: (figure.value, figure.reached) for figure in report(cases, [Rest("a", SENT, NOTHING)]).figures
    }
    assert figures["a, none, trickling: sent for a row"] == (100, None)
    assert figures["a, none, trickling: sent to its own JSON"] == (0.5, None)
    assert figures["a, gzip, catching up: sent to its own JSON, compressed"] == (1.25, False)
    assert figures["a: sent and received at rest"] == (0, True)


def test_rows_are_those_of_the_batches_that_they_were_sent_in() -> None:
    assert [*split([b"a", b"b", b"c"], [2, 1])] == [[b"a", b"b"], [b"c"]]
