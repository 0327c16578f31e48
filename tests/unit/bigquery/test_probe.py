"""Whether a table may be written to: by insertAll that is asked, since what it writes it can't take back."""

from types import SimpleNamespace
from typing import Any

import pytest

from bigquery import probe
from delivery.errors import DestinationError, ErrorClass
from mapping.schema import BigQueryTable
from tests.unit.mapping.tables import shipped

TABLE = BigQueryTable("semantic_events", {})


def try_writing(permissions: dict[str, list[str]]) -> list[tuple[object, ...]]:
    """With a service that answers so; what it was asked."""
    asked: list[tuple[object, ...]] = []

    def test_iam_permissions(*question: object, **_: object) -> dict[str, list[str]]:
        asked.append(question)
        return permissions

    clients: Any = SimpleNamespace(rest=SimpleNamespace(test_iam_permissions=test_iam_permissions))
    probe.try_writing(clients, shipped().model_copy(update={"write_method": "insert_all"}), TABLE)
    return asked


def test_who_may_insert_may_write() -> None:
    assert try_writing({"permissions": [probe.TO_INSERT]}) == [
        ("mobesorder.paraclate.semantic_events", [probe.TO_INSERT])
    ]


def test_who_may_not_insert_hears_what_is_missing() -> None:
    with pytest.raises(DestinationError, match=probe.TO_INSERT) as raised:
        try_writing({})
    assert raised.value.failure.error_class is ErrorClass.BLOCKED
