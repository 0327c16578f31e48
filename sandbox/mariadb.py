"""A private MariaDB server in a directory of its own, on a port of 127.0.0.1."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

import pymysql

from sandbox.child import Child, ChildError, free_port

USER = "bq_sync"
PASSWORD = "sandbox"  # noqa: S105 - of a server that only this machine reaches, for as long as the sandbox runs

LOG_FILE_SIZE = "--innodb-log-file-size=32M"
START_SECONDS = 60
PORT_ATTEMPTS = 5

INSTALL = "install Debian's packages mariadb-server-core and mariadb-client (`apt-get install mariadb-server` has both)"


class MariaDB:
    """A server that is started, killed, frozen and restarted, always on the same port with the same data.

    Its user `bq_sync` may do everything, also create other users. Server options are given by name:
    `MariaDB(path, log_bin=True, max_allowed_packet="4M")`; True gives an option without value.
    """

    def __init__(
        self, directory: Path, environment: Mapping[str, str] | None = None, **options: str | int | bool
    ) -> None:
        """`directory` is made if it isn't there; a server that ran in it before goes on with its data.

        `environment` is added to our own for the server.

        Raises:
            ChildError: a MariaDB program isn't installed.
        """
        self.directory = directory
        self._environment = environment
        self._options = options
        self._server_program = find_program("mariadbd")
        self._data = directory / "data"
        self._child: Child | None = None
        self.port = 0

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
            raise ChildError("MariaDB hasn't been started")
        return self._child

    def start(self) -> None:
        """Start the server, and return when it answers.

        Raises:
            ChildError: it doesn't; with the end of its log.
        """
        if not (self._data / "mysql").exists():
            self._install()
        if self.port:
            self._start_on(self.port)
            return
        for _ in range(PORT_ATTEMPTS - 1):
            try:
                self._start_on(free_port())
            except ChildError:
                if "Address already in use" not in self.child.log_tail():
                    raise
            else:
                return
        self._start_on(free_port())

    def stop(self) -> None:
        """A clean shutdown."""
        if self._child is not None:
            self._child.terminate(patience=20)

    def kill(self) -> None:
        """SIGKILL, as the machine's out-of-memory killer does; the next start recovers."""
        self.child.kill()

    def restart(self) -> None:
        self.stop()
        self.start()

    def freeze(self) -> None:
        self.child.freeze()

    def thaw(self) -> None:
        self.child.thaw()

    def url(self, database: str, *, user: str = USER, password: str = PASSWORD) -> str:
        return f"mysql+pymysql://{quote(user)}:{quote(password)}@127.0.0.1:{self.port}/{quote(database)}"

    def execute(self, *statements: str) -> None:
        """Run statements as the all-powerful user, outside any database."""
        with self._connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def create_database(self, name: str) -> None:
        self.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4")

    def drop_database(self, name: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS `{name}`")

    def dump(self, database: str, file: Path) -> None:
        """A consistent backup of the database, as SQL; the server goes on meanwhile."""
        with file.open("wb") as output:
            command = [*self._client("mariadb-dump"), "--single-transaction", "--hex-blob", "--routines", database]
            subprocess.run(command, env=_client_environment(), stdout=output, check=True)

    def restore(self, database: str, file: Path) -> None:
        """Make the database anew from a backup: what came after it is gone."""
        self.drop_database(database)
        self.create_database(database)
        with file.open("rb") as backup:
            command = [*self._client("mariadb"), database]
            subprocess.run(command, env=_client_environment(), stdin=backup, check=True)

    def _connect(self) -> "pymysql.Connection[pymysql.cursors.Cursor]":
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=USER,
            password=PASSWORD,
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=5,
        )

    def _client(self, program: str) -> list[str]:
        return [
            find_program(program),
            "--no-defaults",
            "--host=127.0.0.1",
            f"--port={self.port}",
            f"--user={USER}",
            "--default-character-set=utf8mb4",
        ]

    def _install(self) -> None:
        """Make the data directory, and the file that makes the user at each start."""
        (self.directory / "tmp").mkdir(parents=True, exist_ok=True)
        command = [
            find_program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={self._data}",
            "--skip-test-db",
            "--skip-name-resolve",
            *self._own_options(),
        ]
        # In a session of its own: Ctrl-C is the caller's business.
        done = subprocess.run(command, capture_output=True, text=True, check=False, start_new_session=True)
        if done.returncode:
            raise ChildError(f"mariadb-install-db failed in {self._data}:\n{done.stdout}{done.stderr}")
        self._init_file.write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )

    def _own_options(self) -> list[str]:
        # A server that starts removes the temporary tables of all others that share its tmpdir.
        return [f"--tmpdir={self.directory / 'tmp'}", LOG_FILE_SIZE, *_as_root()]

    @property
    def _init_file(self) -> Path:
        return self.directory / "user.sql"

    def _start_on(self, port: int) -> None:
        command = [
            self._server_program,
            "--no-defaults",
            f"--datadir={self._data}",
            f"--init-file={self._init_file}",
            "--bind-address=127.0.0.1",
            f"--port={port}",
            "--socket=mysql.sock",  # relative to the data directory: a socket's path must be short
            "--skip-name-resolve",
            "--character-set-server=utf8mb4",
            "--innodb-buffer-pool-size=64M",
            *self._own_options(),
            *(_option(name, value) for name, value in self._options.items()),
        ]
        self._child = Child("MariaDB", command, self.directory / "mariadb.log", environment=self._environment)
        self._child.start()
        self.port = port
        try:
            self._wait_until_ready(self._child)
        except ChildError:
            self._child.kill()
            raise

    def _wait_until_ready(self, child: Child) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            try:
                self._connect().close()
            except pymysql.err.OperationalError:
                if child.wait(0.05) is not None:
                    raise child.failure("ended while starting") from None
            else:
                return
        raise child.failure(f"didn't answer within {START_SECONDS} s")


def find_program(name: str) -> str:
    """The path of a MariaDB program.

    Raises:
        ChildError: it isn't installed; says what to install.
    """
    # Debian puts the server into /usr/sbin, which isn't in an ordinary user's PATH.
    path = shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise ChildError(f"{name} isn't there: {INSTALL}")
    return path


def _as_root() -> list[str]:
    # The server refuses to run as root unless it is told to.
    return ["--user=root"] if os.geteuid() == 0 else []


def _option(name: str, value: str | int | bool) -> str:
    option = f"--{name.replace('_', '-')}"
    return option if value is True else f"{option}={int(value) if isinstance(value, bool) else value}"


def _client_environment() -> dict[str, str]:
    return os.environ | {"MYSQL_PWD": PASSWORD}
