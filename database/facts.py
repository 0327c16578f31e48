"""What `bq-sync check` has to know of the server and of source tables, beyond what the worker itself reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Select, and_, column, func, select, table, text
from sqlalchemy.sql import quoted_name

from config.settings import TableSettings
from database.schema import batch, metadata
from database.server import keeps_utc
from mapping.schema import SourceTable


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server and the session's user.

    Attributes:
        version: of MariaDB or MySQL, by its first two numbers.
        zone: the server's own time zone, as it calls it.
        zone_offset_seconds: of that zone now, east of UTC.
        engines: of bq-sync's own tables, as far as they are there.
    """

    user: str
    database: str
    is_mariadb: bool
    version: tuple[int, int]
    zone: str
    zone_offset_seconds: int
    keeps_utc: bool
    read_only: bool
    max_allowed_packet: int
    engines: Mapping[str, str]


# CONVERT_TZ knows the server's own zone also where the time zone tables are empty.
_SERVER = """
SELECT CURRENT_USER() AS user, DATABASE() AS name, @@max_allowed_packet AS max_allowed_packet,
       @@global.read_only AS read_only,
       IF(@@global.time_zone = 'SYSTEM', @@system_time_zone, @@global.time_zone) AS zone,
       TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CONVERT_TZ(UTC_TIMESTAMP(), '+00:00', @@global.time_zone)) AS zone_offset
"""

_ENGINES = """
SELECT table_name AS name, COALESCE(engine, table_type) AS engine FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_name LIKE 'bq\\_sync\\_%'
"""

_FILLED = """
SELECT column_name AS name FROM information_schema.columns
WHERE table_schema = DATABASE() AND table_name = :table AND data_type = 'datetime'
  AND (LOWER(column_default) LIKE '%current_timestamp%' OR LOWER(extra) LIKE '%on update%')
ORDER BY ordinal_position
"""


def read_server(connection: Connection) -> ServerFacts:
    row = connection.execute(text(_SERVER)).one()
    dialect = connection.dialect
    major, minor, *_ = dialect.server_version_info or (0, 0)
    return ServerFacts(
        user=row.user,
        database=row.name,
        is_mariadb=dialect.is_mariadb,  # type: ignore[attr-defined]  # MySQL's dialect
        version=(int(major), int(minor)),
        zone=row.zone,
        zone_offset_seconds=int(row.zone_offset or 0),
        keeps_utc=keeps_utc(connection),
        read_only=str(row.read_only).upper() not in {"0", "OFF"},  # a word since MariaDB 12
        max_allowed_packet=int(row.max_allowed_packet),
        engines={each.name: each.engine for each in connection.execute(text(_ENGINES)) if each.name in metadata.tables},
    )


def columns_filled_by_server(connection: Connection, name: str) -> tuple[str, ...]:
    """The DATETIME columns that the server itself may set, to what time it is in the inserting session's zone."""
    return tuple(connection.scalars(text(_FILLED), {"table": name}))


def newest_time(connection: Connection, source: SourceTable, settings: TableSettings, zone: tzinfo) -> datetime | None:
    """The time of the row with the greatest key, from a DATETIME age column; None where there is no such thing.

    Args:
        zone: what DATETIME columns are in.
    """
    key, age = source.columns.get(settings.primary_key), source.columns.get(settings.age_column or "")
    if key is None or age is None or not key.is_integer or age.data_type != "datetime":
        return None
    query: Select[Any] = (
        select(column(quoted_name(age.name, quote=True)))
        .select_from(table(quoted_name(source.name, quote=True)))
        .order_by(column(quoted_name(key.name, quote=True)).desc())
        .limit(1)
    )
    newest = connection.execute(query).scalar()
    return newest.replace(tzinfo=zone) if isinstance(newest, datetime) else None


@dataclass(frozen=True, slots=True)
class OpenBatches:
    """Batches that were begun and aren't done. `oldest_seconds` since the first of them was begun."""

    count: int
    oldest_seconds: float


def open_batches(connection: Connection, name: str) -> OpenBatches:
    """The table's batches that are begun or appended."""
    is_open = and_(batch.c.table_name == name, batch.c.state.in_(("begun", "appended")))
    count, oldest = connection.execute(select(func.count(), func.min(batch.c.begun_at)).where(is_open)).one()
    if oldest is None:
        return OpenBatches(0, 0.0)
    now = connection.execute(select(func.utc_timestamp())).scalar_one()
    return OpenBatches(count, (now.replace(tzinfo=UTC) - oldest.replace(tzinfo=UTC)).total_seconds())
