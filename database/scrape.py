"""What only a scrape of the metrics asks for, beside the status: who holds which lock, what is open, whose this is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Engine, column, func, literal, select, text, union_all
from sqlalchemy.exc import DBAPIError

from database.locks import lock_name
from database.schema import incident, site


@dataclass(frozen=True, slots=True)
class Scraped:
    """Beside the status.

    Attributes:
        holders: the host, as the server sees it, of the connection that holds each owned table's lock.
        open_incidents: those that haven't cleared; None: the database isn't prepared for them.
        site_id: as kept in the database; None before the first worker, or where the configuration has it.
    """

    holders: Mapping[str, str]
    open_incidents: int | None
    site_id: str | None


def read_scraped(engine: Engine, tables: Iterable[str]) -> Scraped:
    """Ask in two statements. What the database lacks, or doesn't let us read, is left out.

    A user always sees connections of its own name; those of others, without the right PROCESS, are left out.

    Raises:
        SQLAlchemyError: the database doesn't answer.
    """
    database = engine.url.database or ""
    holders = union_all(
        *(
            select(literal(table), text("host"))
            .select_from(text("information_schema.processlist"))
            .where(column("id") == func.is_used_lock(lock_name(database, table)))
            for table in tables
        )
    )
    incidents = select(func.count()).select_from(incident).where(incident.c.cleared_at.is_(None))
    known = select(incidents.scalar_subquery(), select(site.c.site_id).scalar_subquery())
    with engine.connect() as connection:
        try:
            found = {table: _without_port(host) for table, host in connection.execute(holders)}
            return Scraped(found, *connection.execute(known).one())
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return Scraped({}, None, None)


def _without_port(host: str) -> str:
    """The port is another one for each connection."""
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host
