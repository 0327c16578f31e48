"""Whether load jobs may be used is known before anything is begun."""

from types import SimpleNamespace
from typing import Any

import pytest
from google.api_core import exceptions as api

from bigquery.load_jobs import LoadJob
from bigquery.loading import Loading
from delivery.errors import DestinationError, ErrorClass
from mapping.schema import BigQueryTable
from tests.unit.bigquery.test_lookup_query import SETTINGS

DENIED = api.Forbidden("no", errors=[{"reason": "accessDenied", "message": "no bigquery.tables.create"}])


class Client:
    """Makes tables, if it may, and deletes them."""

    def __init__(self, denied: Exception | None = None) -> None:
        self.denied = denied
        self.tables: list[str] = []
        self.expire: list[Any] = []

    def get_dataset(self, _: str, **__: object) -> Any:
        return SimpleNamespace(location="asia-northeast1")

    def create_table(self, table: Any, **_: object) -> None:
        if self.denied is not None:
            raise self.denied
        self.tables.append(table.table_id)
        self.expire.append(table.expires)

    def delete_table(self, table: str, **_: object) -> None:
        self.tables.remove(table.rpartition(".")[2])


def loading(client: Client) -> Loading:
    clients: Any = SimpleNamespace(rest=client)
    return Loading(clients, SETTINGS, BigQueryTable("events", {}), "box")


def test_it_leaves_nothing_behind_and_knows_where_jobs_run() -> None:
    client = Client()
    tried = loading(client)
    tried.try_out()
    assert client.tables == []
    assert all(client.expire)
    job = LoadJob.named(tried.new_stream(12))
    assert job is not None
    assert (job.location, job.rows) == ("asia-northeast1", 12)


def test_without_the_right_to_make_tables_it_says_so() -> None:
    with pytest.raises(DestinationError, match=r"no bigquery\.tables\.create") as raised:
        loading(Client(DENIED)).try_out()
    assert raised.value.failure.error_class is ErrorClass.BLOCKED
