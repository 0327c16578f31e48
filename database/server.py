"""What kind of server the database is, as far as bq-sync has to know."""

from sqlalchemy import Connection, text

_UTC = frozenset({"UTC", "+00:00", "Etc/UTC", "GMT"})


def keeps_utc(connection: Connection) -> bool:
    """Whether the server's own time zone is UTC, so that DATETIME columns which it fills in are in UTC."""
    zone, system = connection.execute(text("SELECT @@global.time_zone, @@system_time_zone")).one()
    return (system if zone == "SYSTEM" else zone) in _UTC
