"""How far long work is, on stderr: on a terminal one line that is written anew, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click

from cli.printing import age
from delivery.backfill_report import BackfillReport

ON_TERMINAL_SECONDS = 0.5
ELSEWHERE_SECONDS = 10.0
BAR = 20  # letters
CLEAR = "\r\x1b[2K"


class Progress:
    """Shows `line()` until the `with` block ends, at most every few seconds."""

    def __init__(self, line: Callable[[], str], clock: Callable[[], float] = time.monotonic) -> None:
        self._line = line
        self._clock = clock
        self._on_terminal = sys.stderr.isatty()
        self._every = ON_TERMINAL_SECONDS if self._on_terminal else ELSEWHERE_SECONDS
        self._shown_at = clock() if not self._on_terminal else float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.wipe()

    def wipe(self) -> None:
        """Make room for something else to be printed."""
        if self._on_terminal:
            click.echo(CLEAR, err=True, nl=False)

    def show(self) -> None:
        now = self._clock()
        if now - self._shown_at < self._every:
            return
        self._shown_at = now
        if self._on_terminal:
            click.echo(CLEAR + self._line(), err=True, nl=False)
        else:
            click.echo(self._line(), err=True)


def bar(done: int, total: int) -> str:
    """How much of it is done, to be seen at a glance."""
    share = min(1.0, done / total) if total else 1.0
    return f"{'█' * int(BAR * share):░<{BAR}} {share:4.0%}"


class Estimate:
    """How many rows a second are done, and how long the rest takes if it goes on so."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()

    def line(self, table: str, report: BackfillReport) -> str:
        if report.total is None:
            return f"{table}  counting rows" + _waits(report)
        about = "about " if report.total.is_estimate else ""
        total = max(report.total.rows, report.passed)
        rate = report.done / max(self._clock() - self._began, 0.001)
        left = f", {age((total - report.done) / rate)} left" if rate > 0 else ""
        rows = f"{report.done:,} of {about}{total:,} rows"
        return f"{table}  {bar(report.done, total)}  {rows}, {rate:,.0f} a second{left}{_waits(report)}"


def _waits(report: BackfillReport) -> str:
    return f"; {report.waits_for}" if report.waits_for else ""
