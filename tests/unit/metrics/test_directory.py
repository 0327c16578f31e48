"""The directory that processes share: where it is, and that it is ours alone."""

import os
from pathlib import Path

import pytest

from metrics.directory import DirectoryError, choose_directory, open_directory
from tests.unit.api.client import settings


def test_the_setting_wins_then_systemd_then_a_temporary_one(tmp_path: Path) -> None:
    systemd = {"RUNTIME_DIRECTORY": "/run/bq-sync:/run/other"}
    assert choose_directory(settings(metrics_directory=str(tmp_path)), systemd) == tmp_path
    assert choose_directory(settings(), systemd) == Path("/run/bq-sync/metrics")
    assert choose_directory(settings(), {}).name.startswith(f"bq-sync-{os.geteuid()}-")


def test_installations_are_told_apart_by_their_database_and_no_password_shows() -> None:
    def name(url: str) -> str:
        return choose_directory(settings(database_url=url), {}).name

    one = name("mysql+pymysql://reader:secret@db:3306/is22")
    assert one == name("mysql+pymysql://writer:other@db:3306/is22")
    assert one != name("mysql+pymysql://reader:secret@db:3306/is23")


def test_it_is_made_and_for_us_alone(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics"
    os.close(open_directory(path))
    assert path.stat().st_mode & 0o777 == 0o700
    os.close(open_directory(path))  # and found again


def test_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "metrics").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DirectoryError, match="is a link"):
        open_directory(tmp_path / "metrics")


def test_one_that_others_can_use_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics"
    path.mkdir()
    path.chmod(0o770)
    with pytest.raises(DirectoryError, match="chmod 700"):
        open_directory(path)


def test_one_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics"
    path.mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(DirectoryError, match="another user"):
        open_directory(path)
