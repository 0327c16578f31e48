"""Whether anybody but this process works on the database server: what it counts, less what we have sent it."""

import math
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

LOOK_SECONDS = 0.5  # a look makes the server add up its counters, some tenths of a millisecond
WINDOW_SECONDS = 2.0
OTHERS_PER_SECOND = 10.0  # statements, in a window; less is hardly disturbed, and may be our own API
STAY_SECONDS = 10.0  # that others are taken to be there after they were last seen

_COUNTERS = ", ".join(
    f"'Com_{kind}'"
    for kind in (
        "select",
        "insert",
        "insert_select",
        "update",
        "update_multi",
        "delete",
        "delete_multi",
        "replace",
        "replace_select",
        "load",
    )
)
_COUNTED = ("SELECT", "INSERT", "UPDATE", "DELETE")  # how those of ours begin that the server counts


class OtherWork:
    """Compares, from look to look, the statements that the server has run with those that this process has sent.

    Call it to hear whether others work there; at most every LOOK_SECONDS the server is asked. Others are also bq-sync's
    other processes, and those that use other databases on the server. Until it is known, they are taken to be there.

    Args:
        engine: to ask by. Only the engines given to `count` are ours.
        clock: seconds since some fixed point.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._clock = clock
        self._counting = threading.Lock()
        self._sent = 0
        self._looking = threading.Lock()
        self._next_look = clock()
        self._looks: deque[_Look] = deque(maxlen=round(WINDOW_SECONDS / LOOK_SECONDS))
        self._there_until = math.inf

    def count(self, engine: Engine) -> None:
        """From now on the engine's statements are known to be ours."""

        @event.listens_for(engine, "before_cursor_execute")
        def add(_: object, __: object, statement: str, parameters: Any, ___: object, executemany: bool) -> None:
            if (begins := statement.lstrip()).startswith(_COUNTED):
                # PyMySQL makes one statement of the rows of an INSERT, and one of each row of others.
                statements = len(parameters) if executemany and not begins.startswith("INSERT") else 1
                with self._counting:
                    self._sent += statements

    def __call__(self) -> bool:
        now = self._clock()
        if now >= self._next_look and self._looking.acquire(blocking=False):
            try:
                self._look(now)
            finally:
                self._looking.release()
        return now < self._there_until

    def _look(self, now: float) -> None:
        self._next_look = now + LOOK_SECONDS
        before = self._sent
        try:
            counted = self._counted()
        except SQLAlchemyError:
            return  # whoever needs the database hears of it soon enough
        if self._looks and self._are_seen_since(self._looks[0], now, counted):
            self._there_until = now + STAY_SECONDS
        elif not self._looks or now - self._looks[-1].at > WINDOW_SECONDS:
            self._there_until = self._next_look  # nobody has asked for long: who came meanwhile isn't known yet
            self._looks.clear()
        self._looks.append(_Look(now, counted, before))

    def _are_seen_since(self, look: "_Look", now: float, counted: int) -> bool:
        # At least so many: ours that are on their way may be counted there already, or not yet.
        others = (counted - self._sent) - (look.counted - look.sent)
        return others >= OTHERS_PER_SECOND * max(WINDOW_SECONDS, now - look.at)

    def _counted(self) -> int:
        with self._engine.connect() as connection:
            rows = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({_COUNTERS})"))
            return sum(int(value) for _, value in rows)


class _Look(NamedTuple):
    """What the server had counted, and what we had sent it before that was asked."""

    at: float
    counted: int
    sent: int
