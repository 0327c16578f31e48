"""What happens to the source database."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from random import Random

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from database.locks import lock_name
from tests.chaos.arena import NAME, WORKERS_USER, Arena
from tests.chaos.faults.kinds import kind

BACKLOG = 400


def killed(arena: Arena, random: Random) -> str:
    """kill -9, and started again; now and then twice."""
    times = random.choice([1, 1, 2])
    for _ in range(times):
        arena.mariadb.kill()
        time.sleep(random.uniform(0, 1.5))
        arena.mariadb.start()
        time.sleep(random.uniform(0, 1))
    return f"killed {times}×"


def restarted(arena: Arena, random: Random) -> str:
    arena.mariadb.stop()
    time.sleep(random.uniform(0, 1))
    arena.mariadb.start()
    return "restarted"


def frozen(arena: Arena, random: Random) -> str:
    """Mostly for less long than its clients are patient."""
    seconds = random.choice([random.uniform(0.3, 4), random.uniform(0.3, 4), random.uniform(8, 12)])
    arena.mariadb.freeze()
    time.sleep(seconds)
    arena.mariadb.thaw()
    return f"frozen for {seconds:.1f} s"


def lock_connection_killed(arena: Arena, random: Random) -> str:
    """The connection that holds the advisory lock of a table."""
    table = random.choice(list(arena.keys))
    times = random.randint(1, 2)
    killed = 0
    for _ in range(times):
        holder = _holder(arena, table)
        killed += _kill(arena, [holder] if holder is not None else [])
        time.sleep(random.uniform(0, 3))
    return f"lock connection killed {killed}×"


def connections_killed(arena: Arena, random: Random) -> str:
    """A random half of what workers have, some times over."""
    killed = 0
    for _ in range(random.randint(1, 5)):
        connections = _connections(arena)
        killed += _kill(arena, random.sample(connections, (len(connections) + 1) // 2))
        time.sleep(random.uniform(0, 0.5))
    return f"{killed} connections killed"


def disk_full(arena: Arena, random: Random) -> str:
    assert arena.disk is not None
    seconds = random.uniform(1, 4)
    try:
        arena.site.insert("detection_logs", BACKLOG)  # whose flags and batches take room
        arena.disk.fill()
        arena.site.insert("detection_logs", BACKLOG)
    except DBAPIError:
        pass  # as meant
    time.sleep(seconds)
    arena.disk.free()
    return f"disk full for {seconds:.1f} s"


def table_altered(arena: Arena, random: Random) -> str:
    """Columns and indexes come and go, in place and by a copy."""
    table = random.choice(list(arena.keys))
    name = f"x{random.randrange(1 << 30)}"
    way = random.choice(["ALGORITHM=INSTANT", "ALGORITHM=COPY"])
    there_and_back = random.choice(
        [
            (f"ADD COLUMN `{name}` INT NULL, {way}", f"DROP COLUMN `{name}`"),
            (f"ADD COLUMN `{name}` INT NOT NULL DEFAULT 5 FIRST, {way}", f"DROP COLUMN `{name}`"),
            (f"ADD INDEX `{name}` (tid, fid)", f"DROP INDEX `{name}`"),
        ]
    )
    for change in there_and_back:
        _do(arena, f"ALTER TABLE `{table}` {change}")
        time.sleep(random.uniform(0, 1.5))
    return f"{table}: {there_and_back[0]}"


def table_locked(arena: Arena, random: Random) -> str:
    """LOCK TABLES: nobody else gets at it, with or without a transaction."""
    table = random.choice(list(arena.keys))
    seconds = random.uniform(0.5, 5)
    with _session(arena) as connection:
        connection.execute(text(f"LOCK TABLES `{table}` WRITE"))
        time.sleep(seconds)
        connection.execute(text("UNLOCK TABLES"))
    return f"{table} locked for {seconds:.1f} s"


def waiting_ddl(arena: Arena, random: Random) -> str:
    """An ALTER waits for somebody's open transaction, and everybody else waits behind the ALTER."""
    table = random.choice(list(arena.keys))
    seconds = random.randint(1, 4)
    with _session(arena) as reader:
        reader.execute(text(f"SELECT COUNT(*) FROM `{table}`"))
        with _session(arena) as altering:
            altering.execute(text(f"SET lock_wait_timeout = {seconds}"))
            with suppress(DBAPIError):  # as meant: it waits in vain
                altering.execute(text(f"ALTER TABLE `{table}` COMMENT = 'x{random.random()}'"))
    return f"DDL on {table} waited for {seconds} s"


@contextmanager
def _session(arena: Arena) -> Iterator[Connection]:
    """A connection that another fault may break."""
    try:
        with arena.engine.connect() as connection:
            yield connection
            connection.invalidate()  # with whatever was set in it
    except DBAPIError as error:
        arena.notes.append(f"broken off ({type(error.orig).__name__})")


def _do(arena: Arena, statement: str) -> None:
    with _session(arena) as connection:
        connection.execute(text(statement))


def _holder(arena: Arena, table: str) -> int | None:
    with _session(arena) as connection:
        holder = connection.scalar(text("SELECT IS_USED_LOCK(:name)"), {"name": lock_name(NAME, table)})
        return None if holder is None else int(holder)
    return None


def _connections(arena: Arena) -> list[int]:
    with _session(arena) as connection:
        query = text("SELECT id FROM information_schema.processlist WHERE user = :user ORDER BY id")
        return list(connection.scalars(query, {"user": WORKERS_USER}))
    return []


def _kill(arena: Arena, connections: list[int]) -> int:
    killed = 0
    for number in connections:
        with _session(arena) as connection:
            connection.execute(text(f"KILL CONNECTION {number}"))
            killed += 1
    return killed


KINDS = [
    kind("MariaDB killed", killed, "database"),
    kind("MariaDB restarted", restarted, "database"),
    kind("MariaDB frozen", frozen, "database"),
    kind("lock connection killed", lock_connection_killed, "database"),
    kind("connections killed", connections_killed, "database"),
    kind("disk full", disk_full, "database", needs="disk"),
    kind("source table altered", table_altered, "database"),
    kind("source table locked", table_locked, "database"),
    kind("DDL waits", waiting_ddl, "database"),
]
