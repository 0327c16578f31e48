"""What the database costs: each statement of an engine, timed."""

import time
from typing import Any

from prometheus_client import Counter, Histogram
from sqlalchemy import Engine, event
from sqlalchemy.engine import ExceptionContext

BEGAN = "bq_sync_statement_began"


def measure_statements(engine: Engine, seconds: Histogram, errors: Counter) -> None:
    """Time each statement of the engine, and count what fails, connecting included.

    Commits and rollbacks are no statements to SQLAlchemy, and not in it.
    """

    @event.listens_for(engine, "before_cursor_execute")
    def began(connection: Any, *_: object) -> None:
        connection.info[BEGAN] = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def ended(connection: Any, *_: object) -> None:
        if (at := connection.info.pop(BEGAN, None)) is not None:
            seconds.observe(time.perf_counter() - at)

    @event.listens_for(engine, "handle_error")
    def failed(_: ExceptionContext) -> None:
        errors.inc()
