"""The files of deploy/, and docs/deploy.md: systemd takes the unit, and every command and setting they name exists."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from cli.main import main
from config import files
from config.settings import Settings, environment_name

CHECKOUT = Path(__file__).parents[2]
DEPLOY = CHECKOUT / "deploy"
UNIT = DEPLOY / "systemd/bq-sync@.service"
EXPOSURE = 20  # the most that `systemd-analyze security` may find; 0 is none, 100 all

analyzes = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze (Debian: systemd)")


def unit_of(command: str, directory: Path) -> Path:
    """The unit of one of bq-sync's commands; the program that it starts is one that is there."""
    unit = directory / f"bq-sync@{command}.service"
    unit.write_text(UNIT.read_text().replace("/opt/bq-sync/bin/bq-sync", "/bin/true"))
    return unit


@analyzes
@pytest.mark.parametrize("command", ["run", "worker", "api"])
def test_systemd_takes_the_unit(command: str, tmp_path: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "verify", unit_of(command, tmp_path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@analyzes
def test_the_unit_has_few_rights(tmp_path: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager"]
    done = subprocess.run([*command, unit_of("run", tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", ["install.sh", "systemd/bq-sync"])
def test_a_shell_understands_the_scripts(script: str) -> None:
    assert (DEPLOY / script).stat().st_mode & 0o111
    subprocess.run(["sh", "-n", DEPLOY / script], check=True)


# Where a command begins: a line, a path or what stands between backticks. `bq-sync@run` is the unit of one.
NAMED = re.compile(r"(?:^ *|[/`]|exec )bq-sync[@ ]([a-z][a-z-]*)((?: --[a-z-]+)*)", re.MULTILINE)


@pytest.mark.parametrize("file", ["Procfile", "README.md", "docs/commands.md", "docs/deploy.md"])
def test_every_command_that_is_named_exists(file: str) -> None:
    named = NAMED.findall((CHECKOUT / file).read_text())
    assert {"api", "worker"} <= {command for command, _ in named}
    for name, options in named:
        command = main.get_command(click.Context(main), name)
        assert command is not None, name
        known = {option for parameter in command.params for option in parameter.opts}
        assert known.issuperset(options.split()), f"{name}{options}"


def test_units_are_enabled_and_disabled_by_name() -> None:
    """systemd takes no pattern there: it warns, does nothing, and says that all is well."""
    assert not re.findall(r"systemctl (?:enable|disable)[^\n]*\*", (CHECKOUT / "docs/deploy.md").read_text())


def test_containers_run_commands_that_exist() -> None:
    services = compose()["services"]
    assert {tuple(service["command"]) for service in services.values()} == {("worker",), ("api",)}
    assert 'ENTRYPOINT ["bq-sync"]\nCMD ["run"]' in (DEPLOY / "Containerfile").read_text()
    assert {"worker", "api", "run"} <= main.commands.keys()


def test_every_variable_that_is_named_is_a_setting() -> None:
    known = {environment_name(name) for name in Settings.model_fields} | {"BQ_SYNC_CONFIG"}
    texts = [
        file.read_text() for file in (DEPLOY / "bq-sync.env", DEPLOY / "compose.yaml", DEPLOY / "Containerfile", UNIT)
    ]
    named = {name for each in texts for name in re.findall(r"\b(?:BQ_SYNC|BQ_CREDENTIALS)_[A-Z_]+\b", each)}
    assert "BQ_CREDENTIALS_PATH" in named
    assert named <= known


def test_a_container_gets_every_package() -> None:
    left_out = set((CHECKOUT / ".dockerignore").read_text().split())
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")}
    assert packages & left_out == {"bench", "tests"} & packages
    assert {"COPY . .", "COPY --from=build /opt/bq-sync /opt/bq-sync"} <= {
        line for line in (DEPLOY / "Containerfile").read_text().splitlines() if line.startswith("COPY")
    }


def test_a_container_has_few_rights() -> None:
    for service in compose()["services"].values():
        assert service["restart"] == "always"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["user"] == "10001:10001"
        assert "mem_limit" in service


def compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


def test_a_checkout_reads_its_own_settings_and_what_is_installed_the_systems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "CHECKOUT_FILE", tmp_path / "config/bq_sync.yaml")
    assert files.find_file({}) == Path("/etc/bq-sync/bq_sync.yaml")
    (tmp_path / "pyproject.toml").touch()
    assert files.find_file({}) == tmp_path / "config/bq_sync.yaml"
    assert files.find_file({"BQ_SYNC_CONFIG": "/some/file"}) == Path("/some/file")
