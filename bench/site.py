"""A site to measure: a private MariaDB with the camera server's tables, an emulator, and bq-sync's own processes."""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine

from config.settings import Settings, load
from database.engine import connect
from operations.migrate import migrate_up
from sandbox.camera_tables import create_tables
from sandbox.child import Child, free_port
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.progress import Progress
from sandbox.proxy import Proxy

# As a site installs it (`make bench`), where that is there; pyarrow would load numpy, which only the emulator needs.
AS_ON_A_SITE = Path(__file__).parents[1] / ".venv-site" / "bin" / "bq-sync"
PROGRAM = AS_ON_A_SITE if AS_ON_A_SITE.exists() else Path(sys.executable).parent / "bq-sync"
DATABASE = "is22"
LOOK_SECONDS = 0.25  # between looks at its database; from ten statements a second on the worker would make room for us


@dataclass
class Site:
    """`engine` is bq-sync's own way to the database; `settings` are what its processes get through the environment."""

    engine: Engine
    database: MariaDB
    emulator: Emulator
    settings: Settings
    directory: Path
    environment: Mapping[str, str]
    _parts: ExitStack = field(default_factory=ExitStack)

    @property
    def url(self) -> str:
        """For programs that know nothing of bq-sync."""
        return self.database.url(DATABASE)

    def child(self, command: str, *options: str) -> Child:
        """`bq-sync worker`, or another, with these options, to be started; it ends with the site."""
        log = self.directory / f"{'-'.join((command, *options))}.log"
        child = Child(command, [PROGRAM, command, *options], log, environment=self.environment)
        self._parts.callback(child.terminate)
        return child

    def start(self, command: str, *options: str) -> Child:
        """The same, started."""
        child = self.child(command, *options)
        child.start()
        return child

    def reach_bigquery_through(self, rest: Proxy, write: Proxy) -> None:
        """By these two lines, all that is started from here on: one for queries and one for appends."""
        self.environment = {
            **self.environment,
            "BIGQUERY_EMULATOR_HOST": f"http://127.0.0.1:{rest.port}",
            "BQ_SYNC_STORAGE_ENDPOINT": f"127.0.0.1:{write.port}",
        }

    def progress(self) -> Progress:
        return Progress(self.engine, self._parts.enter_context(self.emulator.client()), self.settings)


@contextmanager
def site(directory: Path, **settings: object) -> Iterator[Site]:
    """A migrated site without rows, with the shipped configuration; `settings` change it, by their names."""
    with MariaDB(directory / "mariadb") as database, site_on(database, directory, **settings) as made:
        yield made


@contextmanager
def site_on(database: MariaDB, directory: Path, **settings: object) -> Iterator[Site]:
    """The same, on a server that runs already, with whatever options."""
    with Emulator(directory / "emulator") as emulator, ExitStack() as parts:
        database.create_database(DATABASE)
        chosen = {
            "enabled": True,
            "database_url": database.url(DATABASE),
            "api_port": free_port(),
            "metrics_directory": directory / "metrics",
            **settings,
        }
        environment = {f"BQ_SYNC_{name.upper()}": str(value) for name, value in chosen.items()}
        environment |= emulator.environment()
        loaded = load({**os.environ, **environment})
        emulator.create_dataset(loaded.dataset_id)
        emulator.create_shipped_tables(loaded.dataset_id)
        engine = connect(database.url(DATABASE))
        parts.callback(engine.dispose)
        create_tables(engine)
        migrate_up(engine, loaded, "send", lambda _: None)
        yield Site(engine, database, emulator, loaded, directory, environment, parts)
