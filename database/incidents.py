"""What the Monitor has told, or is about to: an incident outlives the process that noticed it.

Written under the site's lease alone, so that a Monitor that was frozen changes nothing once another has taken over.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, delete, select
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.exc import SQLAlchemyError

from database.failures import explain
from database.leases import begin, grant_site
from database.schema import incident
from database.site import site_id
from delivery.errors import LedgerError
from delivery.lease import Lease

SITE = "bq_sync_site"  # the lease's and lock's name; a table of our own has it, so no source table can


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong, and for how long.

    Attributes:
        name: the kind of what is wrong (`operations.health.Kind`), with `:table` where it is one table's.
        description: in words, as it was when it opened.
        told_at: when some channel took the news of it.
        cleared_at: since when all is well again.
    """

    name: str
    description: str
    opened_at: datetime
    told_at: datetime | None = None
    cleared_at: datetime | None = None


class SiteRecord:
    """What is kept for the site as a whole.

    Every method raises LedgerError when the database doesn't answer or `bq-sync migrate` hasn't run; with a lease also
    LeaseLost.
    """

    def __init__(self, engine: Engine, configured_id: str) -> None:
        self._engine = engine
        self._configured_id = configured_id

    def grant(self, lease: Lease) -> None:
        grant_site(self._engine, lease)

    def site_id(self) -> str:
        with _explained():
            return site_id(self._engine, self._configured_id)

    def incidents(self) -> tuple[Incident, ...]:
        """All of them, the oldest first."""
        with _explained(), self._engine.connect() as connection:
            rows = connection.execute(select(incident).order_by(incident.c.opened_at, incident.c.name)).all()
        return tuple(
            Incident(row.name, row.description, _utc(row.opened_at), _maybe(row.told_at), _maybe(row.cleared_at))
            for row in rows
        )

    def keep(self, lease: Lease, changed: Collection[Incident], gone: Collection[str]) -> None:
        """Write these, and forget those of these names."""
        with begin(self._engine, lease) as connection:
            _write(connection, changed)
            if gone:
                connection.execute(delete(incident).where(incident.c.name.in_(gone)))


def _write(connection: Connection, changed: Collection[Incident]) -> None:
    for each in changed:
        values = {
            "description": each.description,
            "opened_at": _naive(each.opened_at),
            "told_at": _naive(each.told_at) if each.told_at else None,
            "cleared_at": _naive(each.cleared_at) if each.cleared_at else None,
        }
        statement = insert(incident).values(name=each.name, **values)
        connection.execute(statement.on_duplicate_key_update(**values))


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise LedgerError(explain(error), outcome_unknown=False) from error


def _naive(instant: datetime) -> datetime:
    """As our sessions write it: in UTC."""
    return instant.astimezone(UTC).replace(tzinfo=None)


def _utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)


def _maybe(instant: datetime | None) -> datetime | None:
    return None if instant is None else _utc(instant)
