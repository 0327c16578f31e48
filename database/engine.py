"""Connections to the source database: bounded in time, READ COMMITTED, with UTC sessions."""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.pool import NullPool

from database.converters import CONVERTERS
from database.failures import say_where
from database.tls import share_context

CONNECT_SECONDS = 5
ANSWER_SECONDS = 8  # longer than any lock wait below, so that the server's own error comes first

# A worker frozen in a transaction is rolled back by the server after this long, so that its successor gets on.
SESSION_SECONDS = 10
LOCK_WAIT_SECONDS = 3
LOOKING_WAIT_SECONDS = 1  # the least that MySQL knows

CONCAT_BYTES = 16_000_000  # of one column of one page, when rows are read by columns

# Connections that only read hold nothing that anybody waits for; made anew less often, they cost an idle database less.
READING_SECONDS = 1200


@dataclass(frozen=True, slots=True)
class Engines:
    """A worker's connections to the database: for transactions under a lease, and for reading what waits."""

    write: Engine
    read: Engine


def connect(url: str | URL, *, connections: int = 5) -> Engine:
    """An engine for transactions; nothing is connected yet.

    Up to `connections` are open at once; each is made anew before the server's patience with an idle one can end.
    """
    return _create(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=ANSWER_SECONDS,
        pool_recycle=SESSION_SECONDS // 2,
        isolation_level="READ COMMITTED",
        session_seconds=SESSION_SECONDS,
    )


def connect_for_reading(url: str | URL, *, connections: int) -> Engine:
    """An engine whose every SELECT stands alone: no transaction, and no statement but the SELECT itself."""
    return _create_for_reading(url, connections, LOCK_WAIT_SECONDS)


def connect_for_looking(url: str | URL, *, connections: int = 1) -> Engine:
    """As `connect_for_reading`, for a look at all tables that can do without one that somebody has locked."""
    return _create_for_reading(url, connections, LOOKING_WAIT_SECONDS)


def connect_unpooled(url: str | URL) -> Engine:
    """An engine that opens a connection for each use; for the connection that holds the locks."""
    return _create(
        url,
        poolclass=NullPool,
        isolation_level="AUTOCOMMIT",
        session_seconds=SESSION_SECONDS,
    )


def _create_for_reading(url: str | URL, connections: int, lock_wait_seconds: int) -> Engine:
    return _create(
        url,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=ANSWER_SECONDS,
        pool_recycle=READING_SECONDS // 2,
        pool_reset_on_return=None,
        skip_autocommit_rollback=True,
        isolation_level="AUTOCOMMIT",
        session_seconds=READING_SECONDS,
        lock_wait_seconds=lock_wait_seconds,
    )


def _create(
    url: str | URL, *, session_seconds: int, lock_wait_seconds: int = LOCK_WAIT_SECONDS, **options: Any
) -> Engine:
    url = make_url(url).update_query_dict({"charset": "utf8mb4"})
    connect_args = _connect_args(session_seconds, lock_wait_seconds)
    engine = create_engine(url, connect_args=connect_args, hide_parameters=True, **options)
    say_where(engine)
    share_context(engine)
    return engine


def _connect_args(session_seconds: int, lock_wait_seconds: int) -> dict[str, object]:
    return {
        "connect_timeout": CONNECT_SECONDS,
        "read_timeout": ANSWER_SECONDS,
        "write_timeout": ANSWER_SECONDS,
        "conv": CONVERTERS,
        "init_command": (
            "SET SESSION time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
            f" wait_timeout = {session_seconds}, innodb_lock_wait_timeout = {lock_wait_seconds},"
            f" lock_wait_timeout = {lock_wait_seconds}, group_concat_max_len = {CONCAT_BYTES}"
        ),
    }
