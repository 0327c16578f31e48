"""BigQuery as a whole, with faults: the Storage Write API and the REST API, both in front of the emulator.

It takes the emulator's place for a worker. Rows land in the emulator, where tests look for them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from google.cloud import bigquery

from sandbox.emulator import Emulator
from tests.fakes.append_rows import EmulatorStreams, FakeBigQueryWrite
from tests.fakes.rest import FakeRest


@dataclass(frozen=True)
class BigQueryService:
    """What a worker takes for BigQuery."""

    emulator: Emulator
    storage: FakeBigQueryWrite
    rest: FakeRest

    @property
    def storage_endpoint(self) -> str:
        return self.storage.endpoint

    def environment(self) -> dict[str, str]:
        """What points bq-sync at this service."""
        return {"BIGQUERY_EMULATOR_HOST": self.rest.url, "BQ_SYNC_STORAGE_ENDPOINT": self.storage.endpoint}

    def end_faults(self) -> None:
        """From now on every call goes through."""
        storage, rest = self.storage, self.rest
        for calls in (storage.creates, storage.appends, storage.finalizes, rest.inserts, rest.metadata, rest.queries):
            calls.end()
        rest.jobs.end()
        rest.uploads.end()

    def client(self) -> bigquery.Client:
        """A client that no fault befalls."""
        return self.emulator.client()

    def create_dataset(self, name: str) -> None:
        self.emulator.create_dataset(name)

    def drop_dataset(self, name: str) -> None:
        self.emulator.drop_dataset(name)


@contextmanager
def bigquery_service(
    emulator: Emulator, *, idle_seconds: float | None = None, window_seconds: float = 60.0
) -> Iterator[BigQueryService]:
    """The service while it runs; see FakeBigQueryWrite and FakeRest for the seconds."""
    streams = EmulatorStreams(emulator.storage_endpoint)
    with (
        FakeBigQueryWrite(streams, idle_seconds=idle_seconds) as storage,
        FakeRest(f"127.0.0.1:{emulator.rest_port}", window_seconds=window_seconds) as rest,
    ):
        yield BigQueryService(emulator, storage, rest)
    streams.close()
