"""`bq-sync check`: prints what is found, and says by the exit code how bad it is."""

from collections import Counter

import click

from cli.findings import FindingsPrinter, as_json
from config.settings import Settings
from operations.check import run_checks
from operations.findings import Finding, Severity


def run_check(settings: Settings, *, in_json: bool, strict: bool) -> int:
    """The exit code: 1 where something is wrong; with `strict` also where there are only warnings."""
    findings: list[Finding] = []
    if in_json:
        level = run_checks(settings, findings.append)
        click.echo(as_json(level, findings))
    else:
        with FindingsPrinter() as printer:

            def report(finding: Finding) -> None:
                findings.append(finding)
                printer.report(finding)

            level = run_checks(settings, report, printer.doing)
        click.echo(f"\n{summary(findings)}")
    return int(level >= (Severity.WARNING if strict else Severity.ERROR))


def summary(findings: list[Finding]) -> str:
    """How many there are of each level."""
    counted = Counter(finding.level for finding in findings)
    return f"errors: {counted[Severity.ERROR]}, warnings: {counted[Severity.WARNING]}, ok: {counted[Severity.OK]}"
