"""The BigQuery emulator as a child process, on two ports of 127.0.0.1."""

import socket
import sys
import time
from contextlib import closing
from importlib import resources
from pathlib import Path
from types import TracebackType
from typing import Self

import duckdb
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from google.cloud.bigquery import DEFAULT_RETRY

from bigquery.tables import SHIPPED, shipped_table
from sandbox.child import Child, ChildError, free_port

PROGRAM = Path(__file__).with_name("run_emulator.py")

START_SECONDS = 60
PORT_ATTEMPTS = 5
PROJECT = "mobesorder"
RETRY = DEFAULT_RETRY.with_timeout(10)  # the client's own would hide a dead emulator for ten minutes


class Emulator:
    """bqemulator, REST and gRPC: started, killed and restarted, always on the same ports.

    With `persistent` its rows survive a restart, its streams don't; otherwise both are gone.
    """

    def __init__(self, directory: Path, *, persistent: bool = False, project: str = PROJECT) -> None:
        self.directory = directory
        self.project = project
        self.rest_port = 0
        self.grpc_port = 0
        self._persistent = persistent
        self._child: Child | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def child(self) -> Child:
        if self._child is None:
            raise ChildError("the emulator hasn't been started")
        return self._child

    def start(self) -> None:
        """Start the emulator, and return when both of its ports answer.

        Raises:
            ChildError: it doesn't; with the end of its log.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        _install_spatial_extension()
        if self.rest_port:
            self._start_on(self.rest_port, self.grpc_port)
            return
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                self._start_on(free_port(), free_port())
            except ChildError:
                if "address already in use" not in self.child.log_tail().lower():
                    raise
            else:
                return
        self._start_on(free_port(), free_port())

    def stop(self) -> None:
        if self._child is not None:
            self._child.terminate()

    def kill(self) -> None:
        self.child.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        self.child.freeze()

    def thaw(self) -> None:
        self.child.thaw()

    @property
    def rest_url(self) -> str:
        return f"http://127.0.0.1:{self.rest_port}"

    @property
    def storage_endpoint(self) -> str:
        return f"127.0.0.1:{self.grpc_port}"

    def environment(self) -> dict[str, str]:
        """What points bq-sync at this emulator."""
        return {"BIGQUERY_EMULATOR_HOST": self.rest_url, "BQ_SYNC_STORAGE_ENDPOINT": self.storage_endpoint}

    def client(self) -> bigquery.Client:
        """A REST client of this emulator."""
        return bigquery.Client(
            project=self.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": self.rest_url},
        )

    def create_dataset(self, name: str) -> None:
        with closing(self.client()) as client:
            client.create_dataset(name, timeout=10, retry=RETRY)

    def create_shipped_tables(self, dataset: str) -> None:
        with closing(self.client()) as client:
            for name in SHIPPED:
                client.create_table(shipped_table(self.project, dataset, name), timeout=10, retry=RETRY)

    def drop_dataset(self, name: str) -> None:
        """Drop a dataset with all its tables, if it is there."""
        with closing(self.client()) as client:
            client.delete_dataset(name, delete_contents=True, not_found_ok=True, timeout=10, retry=RETRY)

    def _start_on(self, rest_port: int, grpc_port: int) -> None:
        command = [
            *(sys.executable, str(PROGRAM), "start"),
            *("--rest-port", str(rest_port), "--grpc-port", str(grpc_port), "--project", self.project),
            *("--log-level", "warning"),
            *(("--persistent", "--data-dir", str(self.directory / "data")) if self._persistent else ("--ephemeral",)),
        ]
        # It would try to download the formats' extensions, which no table of ours needs.
        environment = {"BQEMU_ENABLE_FORMAT_EXTENSIONS": "false"}
        self._child = Child("the emulator", command, self.directory / "emulator.log", environment=environment)
        self._child.start()
        self.rest_port, self.grpc_port = rest_port, grpc_port
        try:
            deadline = time.monotonic() + START_SECONDS
            for port in (rest_port, grpc_port):
                _wait_until_listening(port, self._child, deadline)
        except ChildError:
            self._child.kill()
            raise


def _wait_until_listening(port: int, child: Child, deadline: float) -> None:
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if child.wait(0.05) is not None:
                raise child.failure("ended while starting") from None
        else:
            return
    raise child.failure(f"didn't listen on port {port} within {START_SECONDS} s")


def _install_spatial_extension() -> None:
    """Put DuckDB's spatial extension, from its package, where the emulator looks for it; it would download it."""
    versions = resources.files("duckdb_extension_spatial") / "extensions"
    duckdb.execute(f"INSTALL '{versions / f'v{duckdb.__version__}' / 'spatial.duckdb_extension'}'")
