"""How far long work is, on stderr: a line that is drawn over on a terminal, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable
from typing import Self

import click

BAR = 24  # letters
ON_TERMINAL_SECONDS = 0.2
ELSEWHERE_SECONDS = 10.0


class Progress:
    """One line at a time; gone, on a terminal, when it is closed or something else is to be printed."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._on_terminal = sys.stderr.isatty()
        self._every = ON_TERMINAL_SECONDS if self._on_terminal else ELSEWHERE_SECONDS
        self._next = clock() + self._every
        self._stands = False

    def show(self, text: str, done: int, total: int = 0) -> None:
        """Show it, unless something was shown a moment ago. `total`: 0 where it isn't known."""
        if self._clock() < self._next:
            return
        self._next = self._clock() + self._every
        line = f"{text}: {done:,}" if not total else f"{text}: {done:,} of {total:,}"
        if not self._on_terminal:
            click.echo(line, err=True)
            return
        share = min(1.0, done / total) if total else 0.0
        bar = f"{'█' * int(BAR * share):░<{BAR}} {share:4.0%}  " if total else ""
        click.echo(f"\r\x1b[K{bar}{line}", nl=False, err=True)
        self._stands = True

    def wipe(self) -> None:
        if self._stands:
            click.echo("\r\x1b[K", nl=False, err=True)
            self._stands = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.wipe()
