"""Settings: the environment over the file, and every mistake said at once with its name, the problem and the fix."""

import re
from pathlib import Path
from typing import Any

import certifi
import pytest
import yaml

from config.files import CHECKOUT_FILE
from config.settings import (
    FromObject,
    FromTemplate,
    FromValue,
    JsonMember,
    Settings,
    SettingsError,
    TableSettings,
    load,
)

DOCS = Path(__file__).parents[2] / "docs"
TABLE: dict[str, Any] = {
    "destination": "events",
    "primary_key": "id",
    "columns": {"event_id": {"template": "det_{id}"}, "tid": "tid"},
}
GOOD: dict[str, Any] = {"project_id": "p", "dataset_id": "d", "tables": {"logs": TABLE}}
SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "bq_sync.yaml"


def read(file: Path, values: object, **environment: str) -> Settings:
    file.write_text(yaml.safe_dump({"bq_sync": values}))
    return load({"BQ_SYNC_CONFIG": str(file), **environment})


def problems(file: Path, values: object, **environment: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(file, values, **environment)
    return caught.value.problems


def problems_of_text(file: Path, text: str | bytes) -> list[str]:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(SettingsError) as caught:
        load({"BQ_SYNC_CONFIG": str(file)})
    return caught.value.problems


def with_table(**changes: object) -> dict[str, Any]:
    return GOOD | {"tables": {"logs": TABLE | changes}}


def with_column(origin: object) -> dict[str, Any]:
    return with_table(columns=TABLE["columns"] | {"extra": origin})


def test_the_shipped_file_is_valid_and_sends_nothing() -> None:
    settings = load({"BQ_SYNC_CONFIG": str(CHECKOUT_FILE)})
    assert not settings.enabled
    assert {name: table.destination for name, table in settings.tables.items()} == {
        "detection_logs": "semantic_events",
        "ai_summary_cache": "summaries",
        "is21_logs": "inference_logs",
    }


def test_without_a_choice_the_checkouts_file_is_read() -> None:
    assert load({}).project_id == "mobesorder"


def test_the_environment_wins_over_the_file(file: Path) -> None:
    settings = read(
        file,
        GOOD | {"batch_size": 5, "enabled": False},
        BQ_SYNC_BATCH_SIZE="7",
        BQ_SYNC_ENABLED="true",
        BQ_CREDENTIALS_PATH="/etc/secrets/other.json",
    )
    assert (settings.batch_size, settings.enabled) == (7, True)
    assert settings.credentials_path == Path("/etc/secrets/other.json")


def test_an_empty_variable_and_an_empty_text_set_nothing(file: Path) -> None:
    settings = read(file, GOOD | {"batch_size": 5, "credentials_path": ""}, BQ_SYNC_BATCH_SIZE="", BQ_SYNC_API_TOKEN="")
    assert (settings.batch_size, settings.credentials_path, settings.api_token) == (5, None, None)


def test_every_problem_is_said_at_once_with_name_problem_and_fix(file: Path) -> None:
    values = with_table(identity=["nope"], settle_seconds=5) | {
        "batch_size": "many",
        "enabeld": True,
        "api_host": "0.0.0.0",
    }
    del values["project_id"]
    assert problems(file, values, BQ_SYNC_API_PORT="99999") == [
        f"project_id: is missing: add it (in {file}, or BQ_SYNC_PROJECT_ID)",
        f"batch_size: must be a whole number (in {file}, or BQ_SYNC_BATCH_SIZE)",
        "api_port: must be less than or equal to 65535 (from BQ_SYNC_API_PORT)",
        "api_token: is missing, and others can reach api_host 0.0.0.0: set BQ_SYNC_API_TOKEN, or api_host to 127.0.0.1"
        f" (in {file}, or BQ_SYNC_API_TOKEN)",
        f"tables.logs.identity: nope isn't mapped: add it to columns, or take it out of identity (in {file})",
        f"tables.logs.settle_seconds: needs age_column, the column that says how old a row is: set it too (in {file})",
        f"enabeld: no such setting: did you mean enabled? (in {file})",
    ]


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (GOOD | {"enabled": "perhaps"}, "enabled: must be true or false"),
        (GOOD | {"interval_seconds": "soon"}, "interval_seconds: must be a number"),
        (GOOD | {"interval_seconds": float("inf")}, "interval_seconds: must be a finite number"),
        (GOOD | {"interval_seconds": 0}, "interval_seconds: must be greater than 0"),
        (GOOD | {"batch_size": 1.5}, "batch_size: must be a whole number"),
        (GOOD | {"project_id": 12}, "project_id: must be a text: put it in quotes"),
        (GOOD | {"dataset_id": "a`b"}, "dataset_id: has a character that isn't allowed there, or is too long"),
        (GOOD | {"write_method": "insertAll"}, "write_method: must be 'storage_write' or 'insert_all'"),
        (GOOD | {"compression": "zip"}, "compression: must be 'none' or 'gzip'"),
        (
            GOOD | {"database_timezone": "Tokyo"},
            "database_timezone: 'Tokyo' is no time zone: use a name such as Asia/Tokyo",
        ),
        (GOOD | {"database_timezone": "../etc/passwd"}, "database_timezone: '../etc/passwd' is no time zone"),
        (GOOD | {"retention_schedule": 1350}, "retention_schedule: must be a time such as"),  # 22:30 without quotes
        (GOOD | {"retention_schedule": "3:30"}, "retention_schedule: must be a time such as"),
        (GOOD | {"retention_schedule": "24:00-04:00"}, "retention_schedule: must be a time such as"),
        (GOOD | {"verify_before_delete": "nobody"}, "verify_before_delete: must be 'bigquery' or 'ledger'"),
        (GOOD | {"completely_other": 1}, "completely_other: no such setting: remove it"),
        (GOOD | {"tables": {}}, "tables: must not be empty"),
        (GOOD | {"tables": ["logs"]}, "tables: must be a section with `name: value` lines"),
        (GOOD | {"tables": {"logs": None}}, "tables.logs: must be a section with `name: value` lines"),
        (with_table(destination="a.b"), "tables.logs.destination: has a character that isn't allowed there"),
        (with_table(identitty=["tid"]), "tables.logs.identitty: no such setting: did you mean identity?"),
        (with_table(identity="tid"), "tables.logs.identity: must be a list: [one, another]"),
        (
            with_table(columns={"tid": "tid"}),
            "tables.logs.identity: no column carries the primary key id: add one to columns",
        ),
        (with_table(columns={}), "tables.logs.columns: must not be empty"),
        (
            with_column(5),
            "tables.logs.columns.extra: must be a source column, {template: ...}, {value: ...} or {object: ...}",
        ),
        (with_column(None), "tables.logs.columns.extra: must be a source column"),
        (with_column({"templte": "x"}), "tables.logs.columns.extra: must be a source column"),
        (with_column({"template": 5}), "tables.logs.columns.extra.template: must be a text: put it in quotes"),
        (with_column({"template": "x", "value": 1}), "tables.logs.columns.extra.value: no such setting: remove it"),
        (with_column({"template": "x{"}), "tables.logs.columns.extra.template: its braces don't match: write {column}"),
        (with_column({"template": "{id"}), "tables.logs.columns.extra.template: its braces don't match"),
        (with_column({"template": "x}"}), "tables.logs.columns.extra.template: its braces don't match"),
        (with_column({"template": "{}"}), "tables.logs.columns.extra.template: takes {column} with a column's name"),
        (with_column({"template": "{id:03d}"}), "tables.logs.columns.extra.template: takes {column}"),
        (with_column({"template": "{id!r}"}), "tables.logs.columns.extra.template: takes {column}"),
        (
            with_table(columns={"event_id": {"template": "{{id}}"}}),
            "tables.logs.identity: no column carries the primary key id",
        ),
        (with_column({"value": [1]}), "tables.logs.columns.extra.value: must be a text, a number, true or false"),
        (with_column({"object": {}}), "tables.logs.columns.extra.object: must not be empty"),
        (with_column({"object": {"a": 1}}), "tables.logs.columns.extra.object.a: must be a source column, or {json: "),
        (with_column({"object": {"a": {"json": 1}}}), "tables.logs.columns.extra.object.a.json: must be a text"),
    ],
)
def test_a_wrong_setting_is_named_as_it_stands_in_the_file(file: Path, values: object, problem: str) -> None:
    (said,) = problems(file, values)
    assert said.startswith(problem)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no `bq_sync:` section: start from the shipped config/bq_sync.yaml"),
        ("bq_sync:", "has no `bq_sync:` section"),
        ("- a", "has no `bq_sync:` section"),
        ("bq_sync: {a: 'x}", "isn't valid YAML (line 1, column 17): put texts with special characters in quotes"),
        ("bq_sync: {a: 1, a: 2}", "a stands there twice: remove one (line 1, column 17)"),
        ("bq_sync:\n  off: 1", "a name that YAML doesn't read as text: put it in quotes (line 2, column 3)"),
        (b"bq_sync: {a: '\xff'}", "isn't UTF-8 text: save it as UTF-8"),
        ("bq_sync: \x00", "isn't valid YAML (at an unknown place)"),
    ],
)
def test_a_file_that_cant_be_read_says_where(file: Path, text: str | bytes, problem: str) -> None:
    (said,) = problems_of_text(file, text)
    assert said.startswith(f"{file}: {problem}")


def test_a_missing_file_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file or directory.*set BQ_SYNC_CONFIG"):
        load({"BQ_SYNC_CONFIG": str(tmp_path / "none.yaml")})


@pytest.mark.parametrize(
    "setting",
    [
        {"database_url": f"mysql+pymysql://u:{SECRET}@h"},
        {"database_url": f"mysql+pymysql://u:{SECRET}@h:port/db"},
        {"database_url": f"postgresql://u:{SECRET}@h/db"},
        {"database_url": f"mysql+pymysql://u:{SECRET}@[::1/db"},
        {"database_url": f"mysql+pymysql://u:{SECRET}@h:70000/db"},
        {"database_url": f"mysql+pymysql://u:p@{SECRET}@h/db"},
        {"database_url": f"mysql+pymysql://u:p@h/db?{SECRET}=1@h/db"},
        {"database_url": f"mysql+pymysql://u:{SECRET}@h/db?foo=1"},
        {"database_url": f"mysql+pymysql://u:p@h/db?ssl_ca=/nowhere/{SECRET}"},
        {"database_url": [SECRET]},
        {"api_token": [SECRET]},
    ],
)
def test_a_wrong_secret_is_never_shown(file: Path, setting: dict[str, object]) -> None:
    (said,) = problems(file, GOOD | setting)
    assert said.startswith(next(iter(setting)))
    assert SECRET not in said


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("foo=1", "has the option 'foo', which bq-sync doesn't take: the options are charset, ssl_ca, "),
        ("connect_timeout=abc", "has the option 'connect_timeout', which bq-sync doesn't take"),
        ("charset=latin1", "has a wrong charset: remove it, bq-sync always uses utf8mb4"),
        ("ssl_ca=/nowhere/ca.pem", "has a wrong ssl_ca: it must be a readable file of certificates"),
        ("ssl_ca=/dev/null", "has a wrong ssl_ca: "),
        ("ssl_cert=/dev/null", "has a wrong ssl_cert or ssl_key: "),
        ("ssl_check_hostname=perhaps", "has a wrong ssl_check_hostname: it must be true or false"),
        ("ssl_key=/dev/null", "has ssl_key without ssl_cert"),
        ("ssl_ca=/dev/null&ssl_ca=/dev/null", "has the option ssl_ca twice: remove one"),
        ("unix_socket=here", "has a wrong unix_socket: it must be a path"),
    ],
)
def test_options_of_the_database_url_are_judged(file: Path, options: str, problem: str) -> None:
    (said,) = problems(file, GOOD | {"database_url": f"mysql+pymysql://u:p@h/db?{options}"})
    assert said.startswith(f"database_url: {problem}")


def test_useful_options_of_the_database_url_are_taken(file: Path) -> None:
    options = f"charset=utf8mb4&ssl_ca={certifi.where()}&ssl_check_hostname=false&unix_socket=/run/mysqld/mysqld.sock"
    url = f"mysql+pymysql://u:p@localhost/db?{options}"
    assert read(file, GOOD | {"database_url": url}).require_database_url() == url


def test_a_secret_on_a_broken_line_is_never_shown(file: Path) -> None:
    assert SECRET not in "".join(problems_of_text(file, f"bq_sync:\n  api_token: *{SECRET}"))


def test_a_short_token_is_refused_without_showing_it(file: Path) -> None:
    (said,) = problems(file, GOOD, BQ_SYNC_API_TOKEN="short123")
    assert "16 characters" in said
    assert "short123" not in said


def test_good_secrets_arent_shown_either(file: Path) -> None:
    url = f"mysql+pymysql://u:{SECRET}@h/db"
    settings = read(file, GOOD, BQ_SYNC_DATABASE_URL=url, BQ_SYNC_API_TOKEN=SECRET)
    assert SECRET not in f"{settings!r}{settings}"
    assert settings.require_database_url() == url


def test_who_needs_the_database_says_how_to_name_it(file: Path) -> None:
    with pytest.raises(SettingsError, match="database_url: is missing: set BQ_SYNC_DATABASE_URL="):
        read(file, GOOD).require_database_url()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_a_local_api_needs_no_token(file: Path, host: str) -> None:
    assert read(file, GOOD | {"api_host": host}).api_host == host


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.example"])
def test_an_api_that_others_reach_needs_a_token(file: Path, host: str) -> None:
    (said,) = problems(file, GOOD | {"api_host": host})
    assert said.startswith("api_token: is missing")
    assert read(file, GOOD | {"api_host": host, "api_token": SECRET}).api_host == host


def test_columns_of_every_kind(file: Path) -> None:
    origins = {
        "a": {"template": "{site_id}-{id}"},
        "b": {"value": True},
        "c": {"object": {"x": "x", "y": {"json": "blob"}}},
    }
    columns = read(file, with_table(columns=origins)).tables["logs"].columns
    assert columns["a"] == FromTemplate(template="{site_id}-{id}")
    assert columns["b"] == FromValue(value=True)
    assert columns["c"] == FromObject(object={"x": "x", "y": JsonMember(json="blob")})


def test_identity_is_what_carries_the_key_with_tid_and_fid_unless_named(file: Path) -> None:
    assert read(file, GOOD).tables["logs"].identity_columns == ("event_id", "tid")
    assert read(file, with_table(identity=["tid"])).tables["logs"].identity_columns == ("tid",)


@pytest.mark.parametrize(
    ("schedule", "meant"), [("22:30", "22:30"), ("22:00-04:00", "22:00-04:00"), ("never", None), (None, None)]
)
def test_when_retention_runs(file: Path, schedule: str | None, meant: str | None) -> None:
    assert read(file, GOOD | {"retention_schedule": schedule}).retention_schedule == meant


def test_every_setting_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)`", (DOCS / "configuration.md").read_text("utf-8"), re.MULTILINE))
    assert explained == set(Settings.model_fields) | set(TableSettings.model_fields)


def test_an_alert_url_without_a_service_is_named_by_its_place_alone(file: Path) -> None:
    (said,) = problems(file, GOOD, BQ_SYNC_ALERT_URLS=f"json://box.example/{SECRET} {SECRET}.example")
    assert said.startswith("alert_urls: number 2 is no Apprise URL")
    assert SECRET not in said
