"""Source tables as the database's catalogue describes them."""

import pytest
from sqlalchemy import Engine

from database.catalogue import COUNTED_ROWS, read_source_table, table_size
from database.engine import connect
from mapping.schema import SourceTable
from sandbox.mariadb import MariaDB
from tests.integration.migrating import run

pytestmark = pytest.mark.integration

RICH = """
CREATE TABLE rich (
    log_id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY,
    kind ENUM('a', 'b') NOT NULL,
    price DECIMAL(12, 4) NULL,
    detail JSON NULL,
    checked TEXT CHECK (JSON_VALID(checked)),
    both_ways TEXT CHECK (JSON_VALID(both_ways) OR both_ways = ''),
    name VARCHAR(40) CHARACTER SET latin1 COLLATE latin1_german2_ci,
    twice INT AS (log_id * 2) VIRTUAL,
    kept INT AS (price + 1) STORED,
    changed_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
    INDEX by_kind (kind, price),
    UNIQUE INDEX by_name (name)
)
"""


def described(engine: Engine, name: str) -> SourceTable:
    with engine.connect() as connection:
        table = read_source_table(connection, name)
    assert table is not None
    return table


def test_a_rich_table(engine: Engine) -> None:
    run(
        engine,
        RICH,
        "CREATE TRIGGER on_update BEFORE UPDATE ON rich FOR EACH ROW SET NEW.price = 1",
        "CREATE TRIGGER on_insert BEFORE INSERT ON rich FOR EACH ROW SET NEW.price = 1",
        # The same column name and constraint name elsewhere.
        "CREATE TABLE other (checked TEXT, name TEXT CHECK (JSON_VALID(name)))",
    )

    table = described(engine, "rich")

    assert (table.engine, table.primary_key, table.triggers) == ("InnoDB", ("log_id",), ("on_update",))
    assert table.indexes == {"by_kind": ("kind", "price"), "by_name": ("name",)}
    names = ["log_id", "kind", "price", "detail", "checked", "both_ways", "name", "twice", "kept", "changed_at"]
    assert list(table.columns) == names
    columns = table.columns
    assert columns["log_id"].is_integer
    assert columns["log_id"].is_unsigned
    assert (columns["kind"].column_type, columns["kind"].nullable) == ("enum('a','b')", False)
    assert (columns["price"].data_type, columns["price"].column_type) == ("decimal", "decimal(12,4)")
    assert (columns["name"].character_set, columns["name"].collation) == ("latin1", "latin1_german2_ci")
    assert {name for name in names if columns[name].holds_json} == {"detail", "checked"}
    assert {name for name in names if columns[name].generated} == {"twice", "kept"}
    assert {name for name in names if columns[name].on_update} == {"changed_at"}


DEFAULTS = """
CREATE TABLE defaults (
    none BOOLEAN, nothing BOOLEAN NOT NULL, zero BOOLEAN DEFAULT FALSE, one BOOLEAN DEFAULT TRUE,
    `bit` BIT(1) DEFAULT FALSE, word VARCHAR(9) DEFAULT 'NULL' COMMENT 'a word'
)
"""


def test_defaults_and_comments(engine: Engine) -> None:
    run(engine, DEFAULTS)

    columns = described(engine, "defaults").columns

    assert {name: columns[name].default for name in list(columns)[:5]} == {
        "none": None,
        "nothing": None,
        "zero": "0",
        "one": "1",
        "bit": "b'0'",
    }
    assert columns["word"].default == "'NULL'"
    assert [column.comment for column in columns.values()] == [""] * 5 + ["a word"]


def test_a_table_without_key_and_one_with_two_columns(engine: Engine) -> None:
    run(engine, "CREATE TABLE loose (a INT)", "CREATE TABLE two (b INT, a INT, PRIMARY KEY (b, a)) ENGINE=MyISAM")

    assert described(engine, "loose").primary_key == ()
    assert (described(engine, "two").primary_key, described(engine, "two").engine) == (("b", "a"), "MyISAM")


def test_a_view_has_no_engine(engine: Engine) -> None:
    run(engine, "CREATE TABLE t (a INT)", "CREATE VIEW v AS SELECT a FROM t")

    assert described(engine, "v").engine == "VIEW"


def test_no_such_table(engine: Engine) -> None:
    with engine.connect() as connection:
        assert read_source_table(connection, "nothing") is None


def test_small_tables_are_counted_and_large_ones_estimated(engine: Engine) -> None:
    run(engine, "CREATE TABLE t (a INT) SELECT seq AS a FROM seq_1_to_123")
    with engine.connect() as connection:
        size = table_size(connection, "t")
    assert (size.rows, size.rows_are_estimated) == (123, False)

    run(engine, f"INSERT INTO t SELECT seq FROM seq_1_to_{COUNTED_ROWS}")
    with engine.connect() as connection:
        size = table_size(connection, "t")
    assert size.rows > COUNTED_ROWS
    assert size.rows_are_estimated
    assert str(size).startswith("about 10,")


def test_json_is_seen_by_a_user_who_has_rights_on_the_table_alone(
    mariadb: MariaDB, engine: Engine, database_url: str
) -> None:
    run(engine, "CREATE TABLE kept (id INT PRIMARY KEY, detail JSON, note TEXT COMMENT 'CHECK (json_valid(`note`))')")
    database = database_url.rpartition("/")[2]
    user = f"u_{database[-12:]}"
    account = f"'{user}'@'127.0.0.1'"
    mariadb.execute(
        f"CREATE USER {account} IDENTIFIED BY 'pw'", f"GRANT SELECT, UPDATE ON `{database}`.kept TO {account}"
    )
    least = connect(mariadb.url(database, user=user, password="pw"))
    try:
        columns = described(least, "kept").columns
    finally:
        least.dispose()
        mariadb.execute(f"DROP USER {account}")
    assert {name for name in columns if columns[name].holds_json} == {"detail"}
