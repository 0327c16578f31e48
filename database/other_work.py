"""Whether anybody but this process works on the database server: what it counts, less what we have sent it."""

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.exc import SQLAlchemyError

LOOK_SECONDS = 0.5  # a look makes the server add up its counters, some tenths of a millisecond
OTHERS_PER_SECOND = 10.0  # statements; less is hardly disturbed, and may be our own API
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
        self._lock = threading.Lock()
        self._sent = 0
        self._looked_at: float | None = None
        self._others = 0  # statements, at the last look
        self._there_until = clock() + LOOK_SECONDS

    def count(self, engine: Engine) -> None:
        """From now on the engine's statements are known to be ours."""

        @event.listens_for(engine, "before_cursor_execute")
        def add(_: object, __: object, statement: str, parameters: Any, ___: object, executemany: bool) -> None:
            if statement.startswith(_COUNTED):
                # PyMySQL makes one statement of the rows of an INSERT, and one of each row of others.
                statements = len(parameters) if executemany and not statement.startswith("INSERT") else 1
                with self._lock:
                    self._sent += statements

    def __call__(self) -> bool:
        now = self._clock()
        if self._looked_at is None or now - self._looked_at >= LOOK_SECONDS:
            self._look(now)
        return now < self._there_until

    def _look(self, now: float) -> None:
        with self._lock:
            before = self._looked_at
            if before is not None and now - before < LOOK_SECONDS:
                return  # another thread was faster
            self._looked_at = now
            sent = self._sent
        try:
            others = self._counted() - sent
        except SQLAlchemyError:
            return  # whoever needs the database hears of it soon enough
        ran, self._others = others - self._others, others
        if before is not None and ran >= OTHERS_PER_SECOND * (now - before):
            self._there_until = now + STAY_SECONDS

    def _counted(self) -> int:
        with self._engine.connect() as connection:
            rows = connection.execute(text(f"SHOW GLOBAL STATUS WHERE Variable_name IN ({_COUNTERS})"))
            return sum(int(value) for _, value in rows)
