"""What operators are told when the database refuses or isn't there."""

import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from database.engine import connect, connect_for_reading, connect_unpooled
from database.failures import explain, place_of

pytestmark = pytest.mark.integration


def said(engine: Engine, statement: str = "SELECT 1") -> str:
    """How the failure of that statement is explained."""
    with pytest.raises(SQLAlchemyError) as failed, engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
    return explain(failed.value)


@pytest.mark.parametrize("make", [connect, connect_unpooled, lambda url: connect_for_reading(url, connections=1)])
def test_a_server_that_isnt_there_is_named_with_the_cause(make: Callable[[str], Engine]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens there as long as we hold it
        port = unused.getsockname()[1]
        engine = make(f"mysql+pymysql://u:hunter2@127.0.0.1:{port}/d")
        assert said(engine) == f"the database at 127.0.0.1:{port} can't be reached (connection refused, error 2003)"


def test_a_socket_that_isnt_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.sock"
    engine = connect(f"mysql+pymysql://u:hunter2@localhost/d?unix_socket={path}")
    assert said(engine) == f"the database at {path} can't be reached (no such file or directory, error 2003)"


def test_an_address_of_version_6_stands_in_brackets() -> None:
    assert place_of(connect("mysql+pymysql://u:p@[::1]:3307/d").url) == "[::1]:3307"
    assert place_of(connect("mysql+pymysql://u:p@box/d").url) == "box:3306"


def test_a_missing_right_is_named_with_its_table(engine: Engine) -> None:
    name = engine.url.database
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE logs (id INT, secret INT)"))
        connection.execute(text("CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY 'hunter2'"))
        connection.execute(text("GRANT SELECT (id) ON logs TO reader@'127.0.0.1'"))
    user = connect(engine.url.set(username="reader", password="hunter2"))
    denied = said(user, "UPDATE logs SET id = 7")
    assert denied.startswith(f"the database user lacks the right UPDATE on table `{name}`.`logs`: grant it")
    assert said(user, "SELECT secret FROM logs").startswith("the database user lacks the right SELECT on column")


def test_a_row_whose_constraint_forbids_any_change_of_it_is_told_by_the_constraints_name(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE logs (id INT, note TEXT, CONSTRAINT is_json CHECK (json_valid(note)))"))
    explained = said(engine, "INSERT INTO logs VALUES (1, 'AB-1234')")
    assert explained.startswith("a CHECK constraint (`is_json`) refuses a row as it is")
    assert "AB-1234" not in explained


def test_a_trigger_that_refuses_a_row_is_told_without_its_words(engine: Engine) -> None:
    refuses = "FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'AB-12'"
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE logs (id INT)"))
        connection.execute(text(f"CREATE TRIGGER no BEFORE INSERT ON logs {refuses}"))
    explained = said(engine, "INSERT INTO logs VALUES (1)")
    assert explained.startswith("a trigger refuses a row as it is")
    assert "AB-12" not in explained
