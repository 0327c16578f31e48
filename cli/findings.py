"""Findings as they are printed: in groups as they come, or as JSON."""

import json
import sys
from typing import Self

import click

from operations.findings import Finding, Severity

COLOURS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.ERROR: "red"}
WIDEST = len("warning")


class FindingsPrinter:
    """Prints each finding at once, under a heading where its group begins.

    On a terminal levels have colours, and what is being done stands on the last line until the next line is printed.
    """

    def __init__(self) -> None:
        self._where: str | None = None
        self._step_stands = False

    def doing(self, step: str) -> None:
        """Show the step until something else is printed."""
        self._wipe()
        if sys.stderr.isatty():
            click.echo(f"  … {step}", nl=False, err=True)
            self._step_stands = True

    def report(self, finding: Finding) -> None:
        self._wipe()
        if finding.where != self._where:
            click.secho(f"\n{finding.where}" if self._where else finding.where, bold=True)
            self._where = finding.where
        level = click.style(finding.level.name.lower().ljust(WIDEST), fg=COLOURS[finding.level])
        click.echo(f"  {level}  {finding.text}")
        if finding.fix:
            click.echo(f"  {' ' * WIDEST}  fix: {finding.fix}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self._wipe()

    def _wipe(self) -> None:
        if self._step_stands:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._step_stands = False


def as_json(level: Severity, findings: list[Finding]) -> str:
    """One document: the worst level, and every finding. `fix` is null where the text ends with it or none is needed."""
    described = [
        {"level": each.level.name.lower(), "where": each.where, "text": each.text, "fix": each.fix} for each in findings
    ]
    return json.dumps({"level": level.name.lower(), "findings": described}, ensure_ascii=False, indent=2)
