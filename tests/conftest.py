"""What tests run on: a MariaDB and an emulator for each test process, a database and a dataset for each test."""

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.cloud.bigquery import Client
from prometheus_client import values
from sqlalchemy import Engine

from database.engine import connect
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB


@pytest.fixture(scope="session", autouse=True)
def metrics_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the processes that tests start put their metrics, rather than into a directory that outlives them."""
    directory = tmp_path_factory.mktemp("metrics") / "shared"
    os.environ["BQ_SYNC_METRICS_DIRECTORY"] = str(directory)
    return directory


@pytest.fixture(autouse=True)
def _metrics_of_this_test_alone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A command that a test runs in this process may share its metrics; what later tests measure is theirs."""
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    yield
    os.environ.pop("PROMETHEUS_MULTIPROC_DIR", None)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A server that lives as long as the test process; who kills or freezes it starts one of its own."""
    with MariaDB(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """An emulator that lives as long as the test process and forgets everything with it."""
    with Emulator(tmp_path_factory.mktemp("emulator")) as emulator:
        yield emulator


@pytest.fixture
def database_url(mariadb: MariaDB) -> Iterator[str]:
    """The URL of an empty database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    mariadb.create_database(name)
    yield mariadb.url(name)
    mariadb.drop_database(name)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An engine of the empty database, as bq-sync makes them."""
    engine = connect(database_url)
    yield engine
    engine.dispose()


@pytest.fixture(scope="session")
def bigquery_client(emulator: Emulator) -> Iterator[Client]:
    client = emulator.client()
    yield client
    client.close()


@pytest.fixture
def dataset(emulator: Emulator) -> Iterator[str]:
    """The id of an empty dataset in the emulator, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    emulator.create_dataset(name)
    yield name
    emulator.drop_dataset(name)


@pytest.fixture
def shipped_dataset(emulator: Emulator, dataset: str) -> str:
    """The id of a dataset that holds the three shipped tables, empty."""
    emulator.create_shipped_tables(dataset)
    return dataset
