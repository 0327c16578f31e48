from datetime import UTC, datetime, timedelta

import pytest

from delivery.clocks import Clocks

NOW = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
NONE, MINUTE, HOUR = timedelta(), timedelta(minutes=1), timedelta(hours=1)


def test_clocks_that_agree_are_believed_and_the_slowest_counts() -> None:
    clocks = Clocks(NOW, database_ahead=-MINUTE, bigquery_ahead=MINUTE)
    assert clocks.problem() is None
    assert clocks.earliest == NOW - MINUTE
    assert Clocks(NOW, MINUTE, MINUTE).earliest == NOW


@pytest.mark.parametrize(
    ("clocks", "whose"),
    [
        (Clocks(NOW, HOUR, NONE), "the database's clock is 3,600 s ahead"),
        (Clocks(NOW, -HOUR, NONE), "the database's clock is 3,600 s behind"),
        (Clocks(NOW, NONE, HOUR), "BigQuery's clock is 3,600 s ahead"),
        (Clocks(NOW, HOUR, HOUR), "the database's clock"),
        (Clocks(NOW, -4 * MINUTE, 4 * MINUTE), "more than 5 minutes apart"),
        (Clocks(datetime(1970, 1, 1, 0, 5, tzinfo=UTC), NONE, NONE), "this machine's clock says 1970-01-01"),
        (Clocks(datetime(2127, 1, 1, tzinfo=UTC), NONE, NONE), "this machine's clock says 2127-01-01"),
    ],
)
def test_clocks_that_cannot_be_believed(clocks: Clocks, whose: str) -> None:
    assert whose in (clocks.problem() or "")
