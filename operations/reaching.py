"""Both sides, as a command reaches them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bigquery.connect import Clients
from bigquery.connect import connect as connect_bigquery
from config.settings import Settings
from database.engine import Engines, connect, connect_for_reading


@dataclass(frozen=True, slots=True)
class Reached:
    settings: Settings
    engines: Engines
    clients: Clients


@contextmanager
def reaching(settings: Settings) -> Iterator[Reached]:
    """Connections that are closed in the end; nothing is connected yet. Raises SettingsError."""
    url = settings.require_database_url()
    clients = connect_bigquery(settings)
    engines = Engines(connect(url, connections=2), connect_for_reading(url, connections=2))
    try:
        yield Reached(settings, engines, clients)
    finally:
        engines.write.dispose()
        engines.read.dispose()
        clients.close()
