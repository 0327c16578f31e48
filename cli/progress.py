"""How far long work is, on stderr: on a terminal one line that is written anew, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import click

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
