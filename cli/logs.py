"""Logs: one line for each event, for people on a terminal and as JSON elsewhere, on stderr."""

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import Processor

# Ours are heard from INFO on; the libraries' own (google, grpc, urllib3, alembic, uvicorn ...) from WARNING on.
OWN = ("actors", "api", "bigquery", "cli", "database", "delivery", "mapping", "migrations", "operations")


def configure(form: Literal["auto", "human", "json"], stream: TextIO = sys.stderr) -> None:
    """Send structlog's events and the standard library's records the same way.

    It goes through a handler of the standard library, since that survives a stream that is gone: an actor must not die
    of its log. Tracebacks come without local variables, which hold rows.
    """
    human = stream.isatty() if form == "auto" else form == "human"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(human, stream)],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OWN:
        logging.getLogger(package).setLevel(logging.INFO)
    google = logging.getLogger("google")
    google.setLevel(logging.WARNING)  # else google-api-core takes it for unconfigured, and cuts it off from the root
    google.propagate = True
    logging.captureWarnings(True)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _rendering(human: bool, stream: TextIO) -> list[Processor]:
    if human:
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
