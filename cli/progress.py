"""What long work prints: each finding as a line and, on a terminal, what is being done meanwhile."""

import sys

import click

from operations.findings import Finding, Level

_COLOURS = {Level.OK: "green", Level.WARNING: "yellow", Level.ERROR: "red"}


class Printer:
    """Findings go to stdout; what is being done stands on stderr's last line, and vanishes."""

    def __init__(self) -> None:
        self._on_terminal = sys.stderr.isatty()

    def doing(self, step: str) -> None:
        if self._on_terminal:
            click.echo(f"\r\033[K{step} ...", nl=False, err=True)

    def finding(self, finding: Finding) -> None:
        self.clear()
        level = click.style(f"{finding.level.name.lower():<8}", fg=_COLOURS[finding.level])
        fix = f": {finding.fix}" if finding.fix else ""
        click.echo(f"{level} {finding.where}: {finding.text}{fix}")

    def clear(self) -> None:
        if self._on_terminal:
            click.echo("\r\033[K", nl=False, err=True)
