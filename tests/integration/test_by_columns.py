"""Rows that are read by columns are those that are read one by one, whatever their types; or they aren't read so."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, text

from config.settings import TableSettings
from database.by_columns import FEWEST_ROWS, Columns
from database.engine import CONCAT_BYTES, connect_for_reading
from database.source import SqlSource
from database.source_columns import SourceColumns
from delivery.rows import Key
from delivery.source import PageTooLong, SourceChangedError
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.pipeline import notes_site
from tests.integration.worlds import LOGS, sql_world

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
FLAG = "synced_to_bq BOOLEAN NULL DEFAULT 0"


def settings(**more: object) -> TableSettings:
    return TableSettings.model_validate(
        {
            "destination": "events",
            "primary_key": "id",
            "columns": {"event_id": {"template": "det_{id}"}},
            "identity": ["event_id"],
            **more,
        }
    )


@contextmanager
def source_of(
    engine: Engine, create: str, columns: Sequence[str], key_of: Callable[[str], Key] = int, **more: object
) -> Iterator[SqlSource]:
    """Of a table `logs`, with the connections that a Poller has."""
    configured = settings(**more)
    reading = connect_for_reading(engine.url, connections=1)
    with sql_world(engine, create, configured) as world:
        described = SourceColumns(configured, world.described, ZoneInfo("Asia/Tokyo"), lambda: NOW)
        yield SqlSource(reading, "logs", described, columns, key_of, by_columns=True)
    reading.dispose()


def by_columns(source: SqlSource, keys: Sequence[Key]) -> Columns:
    read = source.waiting_by_columns(keys)
    assert read is not None
    return read


def fill(
    engine: Engine, rows: int = FEWEST_ROWS, columns: str = "label", values: str = "CONCAT('label ', seq)"
) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql(f"INSERT INTO logs (id, {columns}) SELECT seq, {values} FROM seq_1_to_{rows}")


TYPES = {
    "tiny": ("TINYINT", ["-128", "0", "127"]),
    "padded": ("INT(8) UNSIGNED ZEROFILL", ["7", "4294967295"]),
    "huge": ("BIGINT UNSIGNED", ["0", "18446744073709551615"]),
    "year_": ("YEAR", ["0", "1901", "2155"]),
    "price": ("DECIMAL(30,10)", ["-0.0000000001", "99999999999999999999.0123456789", "0"]),
    "single": ("FLOAT", ["0.1", "-3.4e38", "1e-37", "16777217", "123456.789"]),
    "twofold": ("DOUBLE", ["0.1", "-1.7976931348623157e308", "5e-324", "1e15", "1e16", "123456789.123456789"]),
    "fixed": ("DOUBLE(10,3)", ["1.5", "-2.0005"]),
    "letters": ("CHAR(10)", ["'a'", "'trailing  '", "''", "'夜'"]),
    "latin": ("VARCHAR(50) CHARACTER SET latin1", ["'Größe'", "'€'", "''"]),
    "wide": ("VARCHAR(50) CHARACTER SET utf16", ["'夜'", "'😀'"]),
    "words": ("LONGTEXT", ["'😀 a\\tb\\nc\\0d,e'", "'\\'\"\\\\'", "''", "REPEAT('x', 70000)"]),
    "choice": ("ENUM('low', 'très haut') CHARACTER SET latin1", ["'très haut'", "'low'"]),
    "choices": ("SET('night', 'rain')", ["'night,rain'", "''"]),
    "document": ("JSON", ['\'{"a": [1, 1.50, null, "日本"]}\'', "'null'"]),
    "code": ("VARBINARY(20)", ["x'00ff10'", "''", "x'2c0a'"]),
    "fingerprint": ("BINARY(4)", ["x'0102'", "x'00000000'"]),
    "picture": ("BLOB", ["x'ff00fe'", "''"]),
    "raw_choice": ("ENUM('a', 'b') CHARACTER SET binary", ["'a'", "'b'"]),
    "on_day": ("DATE", ["'0001-01-01'", "'9999-12-31'", "'0000-00-00'", "'2026-02-00'"]),
    "lasted": ("TIME(6)", ["'-838:59:59.000001'", "'00:00:00'", "'23:59:59.125'"]),
    "whole": ("TIME", ["'-100:00:01'", "'10:00:00'"]),
    "at": ("DATETIME(6)", ["'2026-01-05 09:00:00.123456'", "'1000-01-01'", "'0000-00-00'"]),
    "at_second": ("DATETIME", ["'2026-01-05 09:00:00'"]),
    "stamped": ("TIMESTAMP(3) NULL", ["'2026-01-05 09:00:00.500'", "'1970-01-01 00:00:01'"]),
    "identifier": ("UUID", ["'123e4567-e89b-12d3-a456-426655440000'"]),
    "address": ("INET6", ["'2001:db8::1'", "'::'"]),
    "address4": ("INET4", ["'192.0.2.1'"]),
}


def test_every_type_has_the_values_that_it_has_row_by_row(engine: Engine) -> None:
    columns = ", ".join(f"{name} {type_}" for name, (type_, _) in TYPES.items())
    create = f"CREATE TABLE logs (id BIGINT PRIMARY KEY, {columns}, {FLAG}) ENGINE=InnoDB"
    names = ["id", *TYPES]
    with source_of(engine, create, names) as source:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET SESSION sql_mode = ''")  # which lets dates in that don't exist
            for key in range(1, FEWEST_ROWS + 1):
                chosen = [[*values, "NULL"][key % (len(values) + 1)] for _, values in TYPES.values()]
                connection.execute(
                    text(
                        f"INSERT INTO logs ({', '.join(names)}) VALUES ({key}, {', '.join(chosen)})".replace(":", "\\:")
                    )
                )
        keys = range(1, FEWEST_ROWS + 1)
        one_by_one = source.rows(keys)
        read = by_columns(source, keys)
        assert read.keys == list(keys)
        for key, values in zip(read.keys, read.rows(), strict=True):
            assert dict(zip(names, values, strict=True)) == dict(zip(names, one_by_one[key].values, strict=True))
        kinds = [[type(value) for value in row] for row in read.rows()]
        assert kinds == [[type(value) for value in one_by_one[key].values] for key in keys]


def test_floating_point_numbers_are_the_same_to_the_last_digit(engine: Engine) -> None:
    create = f"CREATE TABLE logs (id BIGINT PRIMARY KEY, single FLOAT, twofold DOUBLE, {FLAG}) ENGINE=InnoDB"
    random = Random(7)
    with source_of(engine, create, ["id", "single", "twofold"]) as source:
        rows = [
            {"id": key, "single": random.uniform(-1, 1) * 10 ** random.randint(-30, 30), "twofold": number}
            for key in range(2000)
            if (number := random.uniform(-1, 1) * 10.0 ** random.randint(-300, 300))
        ]
        with engine.begin() as connection:
            connection.execute(text("INSERT INTO logs (id, single, twofold) VALUES (:id, :single, :twofold)"), rows)
        one_by_one = source.rows(range(2000))
        read = by_columns(source, range(2000))
        assert list(read.rows()) == [tuple(one_by_one[key].values) for key in read.keys]
        assert {values[0]: tuple(values) for values in read.rows()} == {
            row["id"]: (row["id"], struct.unpack("f", struct.pack("f", row["single"]))[0], row["twofold"])
            for row in rows
        }


def test_columns_may_have_any_name(engine: Engine) -> None:
    name = 'it\'s "a" %s: `100%`'
    quoted = "`" + name.replace("`", "``") + "`"
    with source_of(engine, LOGS.replace("label", quoted), ["id", name]) as source:
        fill(engine, columns=quoted.replace("%", "%%"))
        read = by_columns(source, range(1, FEWEST_ROWS + 1))
        assert list(read.rows())[:2] == [(1, "label 1"), (2, "label 2")]


@pytest.mark.parametrize("type_", ["BIT(8)", "GEOMETRY", "POINT"])
def test_types_that_have_no_text_are_read_row_by_row(engine: Engine, type_: str) -> None:
    create = f"CREATE TABLE logs (id BIGINT PRIMARY KEY, odd {type_} NULL, {FLAG}) ENGINE=InnoDB"
    with source_of(engine, create, ["id", "odd"]) as source:
        fill(engine, columns="odd", values="NULL")
        assert source.waiting_by_columns(range(1, FEWEST_ROWS + 1)) is None


def test_only_rows_that_wait_are_read(engine: Engine) -> None:
    create = LOGS.replace("label VARCHAR(255)", "label VARCHAR(255), at DATETIME NULL")
    with source_of(engine, create, ["id", "label"], age_column="at", settle_seconds=60) as source:
        fill(engine, 2 * FEWEST_ROWS)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE logs SET synced_to_bq = 1 WHERE id = 3")
            connection.exec_driver_sql("UPDATE logs SET synced_to_bq = NULL WHERE id = 4")
            connection.exec_driver_sql("UPDATE logs SET at = '2026-03-01 20:59:01' WHERE id = 5")  # settling
            connection.exec_driver_sql("DELETE FROM logs WHERE id = 6")
        read = by_columns(source, range(1, FEWEST_ROWS + 1))
        assert read.keys == [1, 2, *range(7, FEWEST_ROWS + 1)]


def test_nothing_is_read_where_none_waits_any_more(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        assert list(by_columns(source, range(FEWEST_ROWS)).keys) == []


def test_some_rows_tell_since_when_they_wait(engine: Engine) -> None:
    create = LOGS.replace("label VARCHAR(255)", "label VARCHAR(255), at DATETIME NULL")
    for carried in (["id", "label"], ["id", "at", "label"]):
        with source_of(engine, create, carried, age_column="at") as source:
            fill(engine, 2 * FEWEST_ROWS, "at", "IF(seq = 1, NULL, '2026-03-01 09:00:00' + INTERVAL seq SECOND)")
            read = by_columns(source, range(1, 2 * FEWEST_ROWS + 1))
            assert 10 <= len(read.since) <= 100
            assert 0 not in read.since  # which has none
            assert all(
                since == datetime(2026, 3, 1, 0, (1 + place) // 60, (1 + place) % 60, tzinfo=UTC)
                for place, since in read.since.items()
            )
            assert all(len(row) == len(carried) for row in read.rows())
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE logs")


def test_a_column_that_is_too_long_in_all_is_said_to_be(engine: Engine) -> None:
    with source_of(engine, LOGS.replace("VARCHAR(255)", "LONGTEXT"), ["id", "label"]) as source:
        fill(engine, FEWEST_ROWS, values=f"REPEAT('x', {CONCAT_BYTES // FEWEST_ROWS})")
        assert len(by_columns(source, range(1, FEWEST_ROWS + 1)).keys) == FEWEST_ROWS
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE logs SET label = CONCAT(label, 'x') WHERE id = 1")
        with pytest.raises(PageTooLong):
            source.waiting_by_columns(range(1, FEWEST_ROWS + 1))


def test_columns_that_are_larger_together_than_a_packet_may_be_are_read_all_the_same(engine: Engine) -> None:
    create = LOGS.replace("label VARCHAR(255)", "a LONGTEXT, b LONGTEXT, c LONGTEXT")
    with source_of(engine, create, ["id", "a", "b", "c"]) as source:
        with engine.begin() as connection:
            assert connection.exec_driver_sql("SELECT @@max_allowed_packet").scalar_one() <= 3 * 7_000_000
        fill(engine, FEWEST_ROWS, "a, b, c", ", ".join(["REPEAT('x', 30000)"] * 3))
        read = by_columns(source, range(1, FEWEST_ROWS + 1))
        assert read.nbytes > 3 * 7_000_000


def test_a_column_whose_type_was_changed_is_noticed(engine: Engine) -> None:
    create = LOGS.replace("label VARCHAR(255)", "at DATETIME")
    with source_of(engine, create, ["id", "at"]) as source:
        fill(engine, columns="at", values="'2026-03-01 12:00:00'")
        by_columns(source, range(1, FEWEST_ROWS + 1))
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE logs MODIFY at TIMESTAMP NULL")
        with pytest.raises(SourceChangedError):
            source.waiting_by_columns(range(1, FEWEST_ROWS + 1))


@pytest.mark.parametrize("by_what", ["rows", "columns"])
def test_a_column_whose_type_was_changed_before_anything_was_read_is_noticed(engine: Engine, by_what: str) -> None:
    create = LOGS.replace("label VARCHAR(255)", "at DATETIME")
    with source_of(engine, create, ["id", "at"]) as source:
        fill(engine, columns="at", values="'2026-03-01 12:00:00'")
        with engine.begin() as connection:
            connection.exec_driver_sql("ALTER TABLE logs MODIFY at TIMESTAMP NULL")
        keys = range(1, FEWEST_ROWS + 1)
        for _ in range(2):
            with pytest.raises(SourceChangedError):
                source.rows(keys) if by_what == "rows" else source.waiting_by_columns(keys)


def test_of_rows_that_wait_only_those_are_read_that_were_asked_for(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine, 1000)
        odd = range(1, 1000, 2)
        assert [tuple(values) for values in by_columns(source, odd).rows()] == [(key, f"label {key}") for key in odd]


def test_a_few_rows_are_not_worth_it(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine)
        assert source.waiting_by_columns(range(1, FEWEST_ROWS)) is None


@pytest.mark.parametrize("character_set", ["latin1", "utf16"])
def test_a_column_that_was_given_another_character_set_is_read_row_by_row(engine: Engine, character_set: str) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine)
        by_columns(source, range(1, FEWEST_ROWS + 1))
        with engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE logs MODIFY label VARCHAR(255) CHARACTER SET {character_set}")
        assert source.waiting_by_columns(range(1, FEWEST_ROWS + 1)) is None


def test_what_only_mariadb_takes_for_a_text_is_read_row_by_row(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine)
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE logs SET label = _utf8mb4 x'EDA080' WHERE id = 7")  # a lone surrogate
        assert source.waiting_by_columns(range(1, FEWEST_ROWS + 1)) is None


@contextmanager
def short_answers(engine: Engine) -> Iterator[None]:
    """Of new connections: the server makes no value of over 1 KB meanwhile."""
    with engine.begin() as connection:
        connection.exec_driver_sql("SET GLOBAL max_allowed_packet = 1024")
    try:
        yield
    finally:
        with engine.begin() as connection:
            connection.exec_driver_sql("SET GLOBAL max_allowed_packet = 16777216")


def test_keys_whose_text_was_cut_are_read_one_by_one(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine, 2000)
        with short_answers(engine):
            assert source.waiting_keys(None, 2000) == list(range(1, 2001))


def test_a_page_of_which_not_even_the_lengths_fit_into_an_answer_is_too_long(engine: Engine) -> None:
    with source_of(engine, LOGS, ["id", "label"]) as source:
        fill(engine, 2000)
        with short_answers(engine), pytest.raises(PageTooLong) as raised:
            source.waiting_by_columns(range(1, 2001))
        assert raised.value.rows == 2000


def test_keys_that_are_texts_are_spelled_as_the_database_does(engine: Engine) -> None:
    create = f"CREATE TABLE logs (id VARCHAR(20) PRIMARY KEY, label VARCHAR(255), {FLAG}) ENGINE=InnoDB"
    with source_of(engine, create, ["id", "label"], str) as source:
        with engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO logs (id, label) SELECT CONCAT('Nö ', seq), seq FROM seq_1_to_300")
        keys = list(source.waiting_keys(None, 300))
        read = by_columns(source, keys)
        assert sorted(read.keys) == sorted(keys)
        assert ("Nö 7", "7") in read.rows()


def test_of_a_thousand_rows_the_bad_ones_fail_alone_and_the_others_are_as_they_were(
    mariadb: MariaDB, emulator: Emulator
) -> None:
    with notes_site(mariadb, emulator, batch_size=100, database_share=1) as site:
        site.run(
            "INSERT INTO notes (id, label, detail, written_at) SELECT seq, CONCAT('夜 ', seq),"
            " IF(seq = 3, NULL, JSON_OBJECT('n', seq)), '2026-01-05 09:00:00' + INTERVAL seq SECOND FROM seq_1_to_1000",
            "UPDATE notes SET label = NULL WHERE id = 500",
            "UPDATE notes SET detail = '{\"n\": ' WHERE id = 900",
        )
        with site.working():
            site.wait_until(lambda: site.waiting() == 2, "only the bad ones wait")

        assert site.read("SELECT record_id, sync_status, last_error FROM bq_sync_queue ORDER BY id") == [
            ("500", "failed", "label: is NULL, but the column is REQUIRED"),
            ("900", "failed", "detail: isn't valid JSON"),
        ]
        nine = datetime(2026, 1, 5, 9, tzinfo=UTC)
        assert sorted(site.sent("notes"), key=lambda row: int(row["note_id"].removeprefix("note_"))) == [
            {
                "note_id": f"note_{number}",
                "label": f"夜 {number}",
                "detail": None if number == 3 else {"n": number},
                "written_at": nine + timedelta(seconds=number),
            }
            for number in range(1, 1001)
            if number not in (500, 900)
        ]


@pytest.mark.parametrize("rows", [5, 300])
def test_a_text_that_only_mariadb_takes_for_one_fails_alone(mariadb: MariaDB, emulator: Emulator, rows: int) -> None:
    with notes_site(mariadb, emulator, batch_size=2) as site:
        site.run(
            f"INSERT INTO notes (id, label) SELECT seq, 'some' FROM seq_1_to_{rows}",
            "UPDATE notes SET label = _utf8mb4 x'EDA080' WHERE id = 3",  # half of a surrogate pair
        )
        with site.working():
            site.wait_until(lambda: site.waiting() == 1, "only the bad one waits")

        assert site.read("SELECT record_id, last_error FROM bq_sync_queue") == [
            ("3", "label: isn't valid Unicode text (a lone surrogate)")
        ]
        assert len(site.sent("notes")) == rows - 1
