"""Clients are made without a network, or not at all, with the setting's name."""

from pathlib import Path

import pytest
from google.auth import exceptions as auth

from bigquery.connect import connect
from config.settings import Settings, SettingsError

EMULATOR = {"BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1"}


def settings(**values: object) -> Settings:
    table = {"destination": "events", "primary_key": "id", "columns": {"id": "id"}}
    return Settings.model_validate({"project_id": "p", "dataset_id": "d", "tables": {"logs": table}, **values})


@pytest.mark.parametrize("named", ["http://127.0.0.1:1", "127.0.0.1:1"])
def test_an_emulator_needs_no_credentials_and_may_be_named_without_a_scheme(named: str) -> None:
    environment = {"BIGQUERY_EMULATOR_HOST": named}
    clients = connect(settings(storage_endpoint="127.0.0.1:2", credentials_path="/nowhere.json"), environment)
    assert clients.rest_endpoint == "http://127.0.0.1:1"
    assert clients.rest.project == "p"
    clients.close()


@pytest.mark.parametrize(("environment", "endpoint"), [(EMULATOR, None), ({}, "127.0.0.1:2")])
def test_half_an_emulator_is_refused(environment: dict[str, str], endpoint: str | None) -> None:
    with pytest.raises(SettingsError, match=r"BIGQUERY_EMULATOR_HOST and BQ_SYNC_STORAGE_ENDPOINT"):
        connect(settings(storage_endpoint=endpoint), environment)


def test_a_missing_credentials_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"BQ_CREDENTIALS_PATH: .*key.json can't be read"):
        connect(settings(credentials_path=tmp_path / "key.json"), {})


@pytest.mark.parametrize("text", ["not json", '{"type": "service_account", "private_key": "secret"}', "[]"])
def test_a_file_that_is_no_key_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(SettingsError, match=r"BQ_CREDENTIALS_PATH: .*isn't a service account file") as raised:
        connect(settings(credentials_path=path), {})
    assert "secret" not in str(raised.value)


def test_no_credentials_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(**_: object) -> None:
        raise auth.DefaultCredentialsError("none")

    monkeypatch.setattr("google.auth.default", nothing)
    with pytest.raises(SettingsError, match="BQ_CREDENTIALS_PATH: not set"):
        connect(settings(), {})
