"""How commands end: the exit codes that scripts can rely on, and errors that are one message."""

from enum import IntEnum
from typing import Any

import click


class Exit(IntEnum):
    """docs/commands.md explains each."""

    DONE = 0  # or healthy
    FAILED = 1
    WRONG_SETTINGS = 2  # or a wrong command line
    DEGRADED = 3
    UNHEALTHY = 4
    STILL_RUNNING = 5
    NO_WORKER = 6
    DIFFERENT = 7


class Failed(click.ClickException):
    """Ends the command with one message and exit code 1."""

    exit_code = Exit.FAILED.value

    def format_message(self) -> str:
        return self.message

    def show(self, file: Any = None) -> None:
        click.echo(f"bq-sync: {self.format_message()}", file=file, err=file is None)


class WrongSettings(Failed):
    exit_code = Exit.WRONG_SETTINGS.value
