"""What `bq-sync check` says about the database server and bq-sync's own tables in it."""

from collections.abc import Generator, Iterator

from sqlalchemy import URL, Engine
from sqlalchemy.exc import SQLAlchemyError

from config.settings import Settings
from database.durability import Durability, read_durability
from database.facts import ServerFacts, read_server
from database.failures import explain
from database.grants import lacking_rights
from database.identifiers import quote, quote_text
from database.schema import metadata
from migrations import VERSION_TABLE
from operations.findings import Doing, Finding, error, ok, warning
from operations.migrate import MigrationError, MigrationPlan, plan

WHERE = "database"

# The oldest servers that bq-sync is made for.
OLDEST_MARIADB = (10, 6)
OLDEST_MYSQL = (8, 0)

# The longest statement writes a batch into the ledger. A row takes 16 bytes there where ids are numbers and 50 where
# they are random, after compression (measured with 50,000 rows); its bytes may double when they are escaped.
PACKET_BYTES_A_ROW = 150

OWN_RIGHTS = ("SELECT", "INSERT", "UPDATE", "DELETE")


def check_database(engine: Engine, settings: Settings, doing: Doing) -> Generator[Finding, None, ServerFacts | None]:
    """The findings; returns what was read of the server, None where it doesn't answer."""
    doing(f"connecting to {_place(engine.url)}")
    try:
        with engine.connect() as connection:
            server, durability = read_server(connection), read_durability(connection)
            lacking = {
                name: lacking_rights(connection, name, _own_rights(name))
                for name in metadata.tables
                if name in server.engines
            }
            version = lacking_rights(connection, VERSION_TABLE, {"SELECT": ["version_num"]})
    except SQLAlchemyError as problem:
        fix = "see that the database runs, and that BQ_SYNC_DATABASE_URL names it and its user"
        yield error(WHERE, f"{_place(engine.url)} can't be used: {explain(problem)}", fix)
        return None
    yield ok(WHERE, f"{_place(engine.url)} answers")
    yield from judge_server(server, settings)
    yield from judge_durability(durability, settings)
    if version and server.engines:
        text = f"whether bq-sync's tables are up to date can't be told: the user lacks SELECT on {VERSION_TABLE}"
        yield warning(WHERE, text, grant(server, VERSION_TABLE, version))
    else:
        doing("comparing the database with what `migrate` would make")
        try:
            yield judge_plan(plan(engine, settings))
        except MigrationError as problem:
            yield error(WHERE, f"whether bq-sync's tables are up to date can't be told: {problem}")
    yield from judge_own_tables(server, lacking)
    return server


def judge_server(server: ServerFacts, settings: Settings) -> Iterator[Finding]:
    product, oldest = ("MariaDB", OLDEST_MARIADB) if server.is_mariadb else ("MySQL", OLDEST_MYSQL)
    version = f"{product} {_dotted(server.version)}"
    if server.version < oldest:
        yield error(WHERE, f"{version} is too old", f"update it to {product} {_dotted(oldest)} or newer")
    else:
        yield ok(WHERE, version)
    if server.read_only:
        fix = "let BQ_SYNC_DATABASE_URL name the primary, or set read_only = 0"
        yield error(WHERE, "the server is read-only, as a replica is", fix)
    yield _judge_zone(server, settings)
    needed = settings.most_rows * PACKET_BYTES_A_ROW
    if server.max_allowed_packet < needed:
        yield warning(
            WHERE,
            f"max_allowed_packet is {server.max_allowed_packet:,} bytes, and the ledger may need {needed:,} for a batch"
            f" of {settings.most_rows:,} rows",
            f"set max_allowed_packet to {needed:,} or more, or max_batch_rows lower",
        )
    else:
        yield ok(WHERE, f"max_allowed_packet is {server.max_allowed_packet:,} bytes")


def _judge_zone(server: ServerFacts, settings: Settings) -> Finding:
    if settings.zone is not None:
        return ok(WHERE, f"DATETIME columns are read as {settings.zone}; the server's own zone is {server.zone}")
    if server.keeps_utc:
        return ok(WHERE, "DATETIME columns are read as UTC, which is the server's own zone")
    return error(
        WHERE,
        f"database_timezone isn't set, and the server's own zone is {server.zone}, not UTC",
        "set database_timezone to the zone that DATETIME columns are in, such as Asia/Tokyo",
    )


def judge_durability(durability: Durability, settings: Settings) -> Iterator[Finding]:
    """See fact 7 of docs/exactly-once.md."""
    if not durability.may_undo_commits:
        binary_log = f"on, sync_binlog {durability.sync_binlog}" if durability.binary_log else "off"
        flush = f"innodb_flush_log_at_trx_commit is {durability.flush_at_commit}, the binary log {binary_log}"
        wait = durability.new_stream_seconds
        yield ok(WHERE, flush + (f": a new stream waits {wait:g} s before its first rows" if wait else ""))
        return
    text = f"sync_binlog is {durability.sync_binlog} with a binary log: a crash may undo any number of commits"
    fix = "set sync_binlog = 1"
    if settings.on_unsafe_durability == "refuse":
        yield error(WHERE, f"{text}, so the worker refuses to start", f"{fix}, or on_unsafe_durability: lookup_first")
    else:
        yield warning(WHERE, f"{text}, so rows are looked up before they are sent, at every start", fix)


def judge_plan(planned: MigrationPlan) -> Finding:
    """About bq-sync's own tables; what source tables lack is said with each of them."""
    if planned.revision is None:
        return error(WHERE, "bq-sync's tables aren't there", "run `bq-sync migrate`")
    if planned.revision != planned.head:
        return error(
            WHERE,
            f"bq-sync's tables are at revision {planned.revision}, this version needs {planned.head}",
            "run `bq-sync migrate`; where a newer bq-sync has migrated them, update this one",
        )
    return ok(WHERE, f"bq-sync's tables are at revision {planned.revision}, the newest")


def judge_own_tables(server: ServerFacts, lacking: dict[str, tuple[str, ...]]) -> Iterator[Finding]:
    for name, engine in server.engines.items():
        if engine.lower() != "innodb":
            fix = f"ALTER TABLE {quote(name)} ENGINE=InnoDB"
            yield error(WHERE, f"{name}'s engine is {engine}, which has no transactions", fix)
    denied = {name: rights for name, rights in lacking.items() if rights}
    for name, rights in denied.items():
        yield error(WHERE, f"the user lacks {', '.join(rights)} on {name}", grant(server, name, rights))
    if server.engines and not denied:
        also = "`migrate` also needs CREATE, ALTER, INDEX, DROP and LOCK TABLES"
        yield ok(WHERE, f"the user has {', '.join(OWN_RIGHTS)} on bq-sync's tables ({also})")


def grant(server: ServerFacts, table: str, rights: tuple[str, ...]) -> str:
    """The statement that an administrator should run."""
    user, _, host = server.user.rpartition("@")
    on = f"{quote(server.database)}.{quote(table)}"
    return f"GRANT {', '.join(rights)} ON {on} TO {quote_text(user)}@{quote_text(host)}"


def _own_rights(name: str) -> dict[str, list[str]]:
    columns = [column.name for column in metadata.tables[name].columns]
    return dict.fromkeys(OWN_RIGHTS, columns)


def _place(url: URL) -> str:
    """The database in words; without the password."""
    return f"{url.host}:{url.port or 3306}/{url.database} as {url.username}"


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
