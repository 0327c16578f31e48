"""The private servers of the sandbox: what survives what, and that nothing is left behind."""

import signal
import subprocess
import sys
from pathlib import Path

import pymysql
import pytest
from google.cloud.bigquery import SchemaField, Table
from sqlalchemy import create_engine, text

from sandbox.child import Child, ChildError
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB

pytestmark = pytest.mark.integration


def values(server: MariaDB) -> list[int]:
    with create_engine(server.url("shop")).connect() as connection:
        return list(connection.execute(text("SELECT a FROM t ORDER BY a")).scalars())


def test_a_killed_database_keeps_port_and_rows(tmp_path: Path) -> None:
    with MariaDB(tmp_path, innodb_flush_log_at_trx_commit=1, log_bin=True, sync_binlog=1) as server:
        port = server.port
        server.create_database("shop")
        server.execute("CREATE TABLE shop.t (a INT)", "INSERT INTO shop.t VALUES (1)")

        server.kill()
        with pytest.raises(pymysql.err.OperationalError):
            server.execute("SELECT 1")
        server.start()

        assert (server.port, values(server)) == (port, [1])


def test_a_restored_database_has_gone_back_in_time(mariadb: MariaDB, tmp_path: Path) -> None:
    mariadb.create_database("shop")
    mariadb.execute("CREATE TABLE shop.t (a INT)", "INSERT INTO shop.t VALUES (1)")
    mariadb.dump("shop", tmp_path / "backup.sql")
    mariadb.execute("INSERT INTO shop.t VALUES (2)")

    mariadb.restore("shop", tmp_path / "backup.sql")

    assert values(mariadb) == [1]
    mariadb.drop_database("shop")


def test_a_user_with_fewer_rights_can_be_made(mariadb: MariaDB, database_url: str) -> None:
    mariadb.execute("CREATE USER 'fewer_rights'@'%' IDENTIFIED BY 'p@ss'", "GRANT SELECT ON *.* TO 'fewer_rights'@'%'")
    url = mariadb.url(database_url.rpartition("/")[2], user="fewer_rights", password="p@ss")

    with create_engine(url).connect() as connection:
        assert connection.execute(text("SELECT 1")).scalar_one() == 1
    mariadb.execute("DROP USER 'fewer_rights'@'%'")


def test_a_wrong_option_is_an_error_with_the_servers_words(tmp_path: Path) -> None:
    with pytest.raises(ChildError, match="unknown option '--no-such-option'"):
        MariaDB(tmp_path, no_such_option=True).start()


def test_a_killed_emulator_keeps_ports_and_rows(tmp_path: Path) -> None:
    with Emulator(tmp_path, persistent=True) as emulator:
        emulator.create_dataset("d")
        client = emulator.client()
        client.create_table(Table(f"{emulator.project}.d.t", [SchemaField("a", "INT64")]))
        assert not client.insert_rows_json("d.t", [{"a": 1}])
        ports = emulator.rest_port, emulator.grpc_port

        emulator.kill()
        emulator.start()

        assert (emulator.rest_port, emulator.grpc_port) == ports
        assert [row.a for row in emulator.client().list_rows("d.t")] == [1]


def test_children_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    parent = (
        "import pathlib, time; from sandbox.child import Child\n"
        f"child = Child('sleeper', ['sleep', '600'], pathlib.Path({str(tmp_path / 'log')!r}))\n"
        "child.start(); print(child.pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        # A handle on the process itself: its number could be given to another one.
        sleeper = subprocess.Popen(["tail", f"--pid={pid}", "-f", "/dev/null"])
        process.send_signal(signal.SIGKILL)

    assert sleeper.wait(timeout=10) == 0


def test_a_frozen_child_is_terminated_all_the_same(tmp_path: Path) -> None:
    child = Child("sleeper", ["sleep", "600"], tmp_path / "log")
    child.start()
    child.freeze()

    assert child.terminate() == -signal.SIGTERM
    assert not child.running
