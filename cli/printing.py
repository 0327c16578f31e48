"""Text for people: aligned columns, ages and times; and nothing in it that a terminal would obey."""

import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import click

from operations.durations import in_words

GAP = "  "
NARROWEST = 40  # that texts are wrapped to


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    right: bool = False  # for numbers


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A line with the titles, and one for each row; cells may have colours."""
    titles = [column.title for column in columns]
    widths = [max(len(click.unstyle(row[place])) for row in (titles, *rows)) for place in range(len(columns))]
    for row in (titles, *rows):
        cells = (
            " " * (width - len(click.unstyle(cell))) + cell
            if column.right
            else cell + " " * (width - len(click.unstyle(cell)))
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        yield GAP.join(cells).rstrip()


def wrapped(text: str, indent: str) -> Iterator[str]:
    """The text behind that indentation, in lines as wide as the terminal; in a pipe in one line."""
    if not sys.stdout.isatty():
        yield indent + text
        return
    width = max(NARROWEST, shutil.get_terminal_size().columns)
    yield from textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False)


def printable(text: str) -> str:
    """The text in one line, without what moves cursors or paints: keys and errors come from elsewhere."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def age(seconds: float | None) -> str:
    """How old something is; "-" for nothing."""
    return "-" if seconds is None else in_words(seconds)


def local(instant: datetime) -> str:
    """The instant in this machine's zone, to the second."""
    return instant.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def count(number: int, thing: str, things: str | None = None) -> str:
    return f"{number:,} {thing if number == 1 else things or thing + 's'}"
