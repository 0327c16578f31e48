"""Less of the same in the log: one line a minute of what repeats, which says how much it stands for."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

EVERY_SECONDS = 60.0
MOST_REASONS = 10  # of one line within a minute; a reason that is worded anew each time mustn't be a flood either
MOST_LINES = 1000  # that are remembered

# What makes news of a line that was just printed.
TELLING = ("state", "reason", "error", "problems", "actor", "outcome")

COMPLETED, ALL_COMPLETED = "batch completed", "batches completed"
SUMMED = ("rows", "bytes")
OF_ONE = ("batch", "seconds")  # say nothing of several

Fields = MutableMapping[str, Any]


class Throttle(logging.Filter):
    """Lets a warning or an error through once a minute, and at once where its reason changes.

    Lines are the same where logger, event and table are. The next one that is printed says in `left_out` how many
    were not. What ends the process is always printed.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lines: dict[tuple[str, str, str], _Line] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        if not logging.WARNING <= record.levelno < logging.CRITICAL:
            return True
        fields, now = _fields(record), self._clock()
        with self._lock:
            line = self._line((record.name, str(fields.get("event", record.msg)), str(fields.get("table"))), now)
            if not line.may_print(_reason(record, fields), now):
                line.left_out += 1
                return False
            if line.left_out:
                fields["left_out"], line.left_out = line.left_out, 0
            return True

    def _line(self, key: tuple[str, str, str], now: float) -> "_Line":
        if key not in self._lines and len(self._lines) >= MOST_LINES:
            self._lines = {each: line for each, line in self._lines.items() if line.was_printed(now)}
        return self._lines.setdefault(key, _Line())


@dataclass(slots=True)
class _Line:
    """When it was printed within the last minute, by reason; and how many weren't since the last one."""

    printed: dict[str, float] = field(default_factory=dict)
    left_out: int = 0

    def may_print(self, reason: str, now: float) -> bool:
        if self.was_printed(now) and (reason in self.printed or len(self.printed) >= MOST_REASONS):
            return False
        self.printed[reason] = now
        return True

    def was_printed(self, now: float) -> bool:
        self.printed = {reason: at for reason, at in self.printed.items() if now - at < EVERY_SECONDS}
        return bool(self.printed)


class Summary(logging.Filter):
    """Sums up completed batches: for each table the first at once, then a line a minute with all since the last one.

    Such a line is "batches completed": how many, with their rows and bytes together, within so many seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._tables: dict[str, _Batches] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        fields, now = _fields(record), self._clock()
        if fields.get("event") != COMPLETED:
            return True
        table = str(fields.get("table"))
        with self._lock:
            batches = self._tables.setdefault(table, _Batches(now - EVERY_SECONDS))
            batches.add(fields)
            if now - batches.since < EVERY_SECONDS:
                return False
            self._tables[table] = _Batches(now)
        if batches.count > 1:
            batches.tell(fields, now)
        return True


@dataclass(slots=True)
class _Batches:
    """Those that were completed since the last line."""

    since: float
    count: int = 0
    sums: Counter[str] = field(default_factory=Counter)

    def add(self, fields: Fields) -> None:
        self.count += 1
        self.sums.update({name: fields[name] for name in SUMMED if name in fields})

    def tell(self, fields: Fields, now: float) -> None:
        """Make the last batch's line theirs."""
        for name in OF_ONE:
            fields.pop(name, None)
        fields.update(self.sums, event=ALL_COMPLETED, batches=self.count, within=round(now - self.since, 1))


def _fields(record: logging.LogRecord) -> Fields:
    """What the line will show: structlog's event, or what the standard library's record carries."""
    return record.msg if isinstance(record.msg, dict) else record.__dict__


def _reason(record: logging.LogRecord, fields: Fields) -> str:
    error = fields.get("exc_info") or record.exc_info
    kind = error[0] if isinstance(error, tuple) else type(error)
    return repr([fields.get(name) for name in TELLING] + [kind])
