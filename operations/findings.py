"""What a check found: a line for whoever asked, with the fix where something is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad it is; the worst of many is their maximum."""

    OK = 0
    WARNING = 1  # works, but somebody should look
    ERROR = 2  # rows can't be carried, or not safely


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of a check.

    Attributes:
        where: what it is about: "settings", "database", "BigQuery" or a source table's name.
        fix: what to do; None where nothing has to be done, or where the text itself ends with it.
    """

    level: Severity
    where: str
    text: str
    fix: str | None = None


Report = Callable[[Finding], None]

# Is told what is being done now, before each step that may take long.
Doing = Callable[[str], None]


def ok(where: str, text: str) -> Finding:
    return Finding(Severity.OK, where, text)


def warning(where: str, text: str, fix: str | None = None) -> Finding:
    return Finding(Severity.WARNING, where, text, fix)


def error(where: str, text: str, fix: str | None = None) -> Finding:
    return Finding(Severity.ERROR, where, text, fix)
