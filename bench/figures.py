"""What a bench found: figures, some with a goal, as one table for people and as JSON for a later run to compare."""

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Self

HEAD = ("figure", "value", "unit", "goal", "reached")


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound that a figure has to keep; in the figure's unit."""

    direction: Literal["at_least", "at_most"]
    bound: float

    def reached_by(self, value: float) -> bool:
        return value >= self.bound if self.direction == "at_least" else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.direction == 'at_least' else '<='} {self.bound:,g}"


def at_least(bound: float) -> Goal:
    return Goal("at_least", bound)


def at_most(bound: float) -> Goal:
    return Goal("at_most", bound)


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. Its unit is as people write it: "rows/s", "MB" (of 1,000,000 bytes), "ms", "" for a ratio."""

    name: str
    value: float
    unit: str
    goal: Goal | None = None

    @property
    def reached(self) -> bool | None:
        """Whether the goal is; None where there is none."""
        return None if self.goal is None else self.goal.reached_by(self.value)

    @property
    def verdict(self) -> str:
        """Whether the goal is reached, and by how much of it: "yes, by 12 %"."""
        if self.goal is None:
            return ""
        word = "yes" if self.reached else "NO"
        if not self.goal.bound:
            return f"{word}, by {_shown(abs(self.value))}" if self.value else word
        return f"{word}, by {100 * abs(self.value - self.goal.bound) / abs(self.goal.bound):.0f} %"


@dataclass(frozen=True, slots=True)
class Report:
    """What one bench found.

    `command` gives it again. `raw` holds what the figures are made of, and whatever else is worth keeping, as JSON has
    it; `notes` are sentences for whoever reads the table.
    """

    title: str
    command: str
    figures: Sequence[Figure]
    notes: Sequence[str] = ()
    raw: Mapping[str, Any] = field(default_factory=dict)

    def table(self) -> str:
        """For people: the title, the command, a line for each figure, the notes."""
        return "\n".join([f"{self.title}: {self.command}", table(self.figures), *self.notes])

    def as_json(self) -> dict[str, Any]:
        figures = [asdict(figure) | {"reached": figure.reached} for figure in self.figures]
        return asdict(self) | {"figures": figures}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> Self:
        """What `as_json` made."""
        return cls(
            found["title"],
            found["command"],
            [
                Figure(each["name"], each["value"], each["unit"], Goal(**each["goal"]) if each["goal"] else None)
                for each in found["figures"]
            ],
            found["notes"],
            found["raw"],
        )


def table(figures: Iterable[Figure]) -> str:
    """A line for each figure, in columns: name, value, unit, goal, whether it is reached and by how much."""
    return aligned([HEAD, *map(_cells, figures)])


def table_of(reports: Sequence[Report]) -> str:
    """One table of them all, each under its title and command."""
    head, *lines = aligned([HEAD, *(_cells(figure) for report in reports for figure in report.figures)]).splitlines()
    rest = iter(lines)
    parts = ([f"{report.title}: {report.command}", *islice(rest, len(report.figures))] for report in reports)
    return "\n".join([head, *chain.from_iterable(parts)])


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The lines in columns as wide as their longest cell; the second one, of numbers, to the right."""
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place == 1 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def parser(description: str | None) -> argparse.ArgumentParser:
    """What every bench's command understands, described by the first line of its module's docstring."""
    made = argparse.ArgumentParser(description=(description or "").splitlines()[0])
    made.add_argument("--json", type=Path, metavar="FILE", help="writes what was found there, too")
    made.add_argument("--small", action="store_true", help="a try of about 20 s, whose figures say little")
    return made


def command_of(name: str, arguments: Sequence[str] | None = None) -> str:
    """The command that gives the figures of `bench.<name>` again: ours, but for where the JSON goes."""
    rest, kept = iter(sys.argv[1:] if arguments is None else arguments), []
    for argument in rest:
        if argument == "--json":
            next(rest, None)
        elif not argument.startswith("--json="):
            kept.append(argument)
    return shlex.join(["python", "-m", f"bench.{name}", *kept])


def deliver(report: Report, file: Path | None) -> None:
    """Print the table; write the JSON where a file is named."""
    print(report.table(), flush=True)
    if file is not None:
        file.write_text(json.dumps(report.as_json(), indent=2) + "\n")


def _cells(figure: Figure) -> Sequence[str]:
    return (figure.name, _shown(figure.value), figure.unit, str(figure.goal or ""), figure.verdict)


def _shown(value: float) -> str:
    """Three digits that matter, and none behind the point of large numbers."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"
