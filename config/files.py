"""The configuration file: where it is, and what it holds."""

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

CHECKOUT_FILE = Path(__file__).with_name("bq_sync.yaml")
SYSTEM_FILE = Path("/etc/bq-sync/bq_sync.yaml")


class SettingsError(Exception):
    """One or more settings are wrong; `problems` has a line for each: name, problem, fix."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def find_file(environment: Mapping[str, str]) -> Path:
    """The configuration file: BQ_SYNC_CONFIG, else the checkout's or, where bq-sync is installed, the system's.

    The shipped file is part of what is installed too, to start from: read there, it would hide the system's.
    """
    if chosen := environment.get("BQ_SYNC_CONFIG"):
        return Path(chosen)
    return CHECKOUT_FILE if _is_checkout(CHECKOUT_FILE.parents[1]) else SYSTEM_FILE


def _is_checkout(directory: Path) -> bool:
    return (directory / "pyproject.toml").exists()


def read_file(path: Path) -> dict[str, Any]:
    """What stands under `bq_sync:`. An empty text is left out, as an empty variable of the environment is.

    Raises:
        SettingsError: the file can't be read. Nothing of its text is quoted: it may hold a password.
    """
    try:
        # safe_load's own loader, made stricter.
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)  # noqa: S506  a SafeLoader that is stricter
    except OSError as error:
        fix = "set BQ_SYNC_CONFIG to the configuration file"
        raise SettingsError([f"{path}: can't be read ({error.strerror}): {fix}"]) from error
    except UnicodeDecodeError as error:
        raise SettingsError([f"{path}: isn't UTF-8 text: save it as UTF-8"]) from error
    except _BadNameError as error:
        raise SettingsError([f"{path}: {error} ({_place(error)})"]) from None
    except yaml.YAMLError as error:
        fix = "put texts with special characters in quotes, and indent with spaces"
        raise SettingsError([f"{path}: isn't valid YAML ({_place(error)}): {fix}"]) from None
    values = document.get("bq_sync") if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise SettingsError([f"{path}: has no `bq_sync:` section: start from the shipped config/bq_sync.yaml"])
    return {name: value for name, value in values.items() if value != ""}


class _BadNameError(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: yaml.Mark) -> None:
        super().__init__(problem=problem, problem_mark=mark)

    def __str__(self) -> str:
        return str(self.problem)


class _Loader(yaml.SafeLoader):
    """Refuses what PyYAML takes in silence: the last of two equal names, and names that it reads as something else."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        names: set[str] = set()
        for name, _ in node.value:
            if name.tag == "tag:yaml.org,2002:merge":
                continue
            if name.tag != "tag:yaml.org,2002:str":
                raise _BadNameError("a name that YAML doesn't read as text: put it in quotes", name.start_mark)
            if name.value in names:
                raise _BadNameError(f"{name.value} stands there twice: remove one", name.start_mark)
            names.add(name.value)
        return super().construct_mapping(node, deep)


def _place(error: yaml.YAMLError) -> str:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return "at an unknown place" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}"
