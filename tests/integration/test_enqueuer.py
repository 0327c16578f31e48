"""Items come and go with the caller's own transaction."""

import json

import pytest
from bq_sync_enqueuer import BqSyncEnqueuer, PayloadError
from bq_sync_enqueuer.table import metadata, queue
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def queue_table(engine: Engine) -> None:
    metadata.create_all(engine, tables=[queue])


def items(engine: Engine) -> list[tuple[object, ...]]:
    query = select(queue.c.table_name, queue.c.record_id, queue.c.operation, queue.c.payload, queue.c.sync_status)
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(query.order_by(queue.c.id))]


def test_the_three_tables_and_any_other(engine: Engine) -> None:
    with engine.begin() as connection:
        enqueuer = BqSyncEnqueuer(connection)
        ids = [
            enqueuer.enqueue_detection_log(1),
            enqueuer.enqueue_summary("S-1", {"summary_text": "100 % 猫"}),
            enqueuer.enqueue_inference_log(2),
            enqueuer.enqueue("mine", "x", operation="DELETE", payload={}),
        ]

    assert ids == sorted(set(ids))
    assert items(engine) == [
        ("detection_logs", "1", "INSERT", None, "pending"),
        ("ai_summary_cache", "S-1", "INSERT", '{"summary_text":"100 % 猫"}', "pending"),
        ("is21_logs", "2", "INSERT", None, "pending"),
        ("mine", "x", "DELETE", "{}", "pending"),
    ]


def test_an_item_goes_with_its_transaction(engine: Engine) -> None:
    with engine.connect() as connection:
        BqSyncEnqueuer(connection).enqueue_detection_log(1)
        assert items(engine) == []
        connection.rollback()
    assert items(engine) == []


def test_a_session_of_the_orm(engine: Engine) -> None:
    with Session(engine) as session:
        item = BqSyncEnqueuer(session).enqueue_detection_log(1, {"tid": "T1"})
        assert items(engine) == []
        session.commit()
        assert json.loads(session.execute(select(queue.c.payload).where(queue.c.id == item)).scalar_one()) == {
            "tid": "T1"
        }
        BqSyncEnqueuer(session).enqueue_detection_log(2)
        session.rollback()
    assert len(items(engine)) == 1


def test_many_at_once(engine: Engine) -> None:
    with engine.begin() as connection:
        enqueuer = BqSyncEnqueuer(connection)
        assert enqueuer.enqueue_many("detection_logs", range(1, 5001)) == 5000
        assert enqueuer.enqueue_many("detection_logs", []) == 0
        assert connection.execute(select(func.count(queue.c.record_id.distinct()))).scalar_one() == 5000


@pytest.mark.parametrize(
    ("table", "record_id", "operation"),
    [
        ("", 1, "INSERT"),
        ("x" * 65, 1, "INSERT"),
        ("t", "", "INSERT"),
        ("t", "x" * 256, "INSERT"),
        ("t", None, "INSERT"),
        ("t", True, "INSERT"),
        ("t", 1.5, "INSERT"),
        ("t", 1, "insert"),
    ],
)
def test_what_the_queue_cannot_hold(engine: Engine, table: str, record_id: object, operation: str) -> None:
    with engine.begin() as connection, pytest.raises(ValueError, match=r"has to be|has to have|is of type"):
        BqSyncEnqueuer(connection).enqueue(table, record_id, operation=operation)  # type: ignore[arg-type]  # the point
    assert items(engine) == []


def test_a_bad_payload_leaves_the_transaction_usable(engine: Engine) -> None:
    with engine.begin() as connection:
        with pytest.raises(PayloadError):
            BqSyncEnqueuer(connection).enqueue("t", 1, payload={"score": float("nan")})
        BqSyncEnqueuer(connection).enqueue("t", 2)
    assert [item[1] for item in items(engine)] == ["2"]
