"""Logs: one line for each event, for people on a terminal and as JSON elsewhere, on stderr."""

import logging
import os
import sys
import threading
import traceback
from collections.abc import Iterator
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from cli.log_throttle import Summary, Throttle

# Ours are heard from INFO on; the libraries' own (google, grpc, urllib3, alembic, uvicorn ...) from WARNING on.
OWN = ("actors", "api", "bigquery", "cli", "database", "delivery", "mapping", "metrics", "migrations", "operations")

log = structlog.get_logger(__name__)

_everywhere: dict[str, str] = {}


def bind_everywhere(**values: str) -> None:
    """Let every line of this process carry these values from now on, whichever thread it comes from."""
    _everywhere.update(values)


def configure(form: Literal["auto", "human", "json"], stream: TextIO = sys.stderr) -> None:
    """Send structlog's events and the standard library's records the same way.

    It goes through a handler of the standard library, since that survives a stream that is gone: an actor must not die
    of its log. What ends the process or a thread is sent the same way, rather than printed by Python itself.
    What repeats is printed once a minute.
    """
    human = stream.isatty() if form == "auto" else form == "human"
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_everywhere,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    handler = logging.StreamHandler(stream)
    handler.addFilter(Throttle())
    handler.addFilter(Summary())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_rendering(human, stream)],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OWN:
        logging.getLogger(package).setLevel(logging.INFO)
    logging.getLogger("pykka").setLevel(logging.CRITICAL)  # an actor's death is logged by actors.parts, once
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
    sys.excepthook = lambda _, error, __: log.critical("ended by an unforeseen error", exc_info=error)
    threading.excepthook = lambda failed: log.critical("a thread ended by an unforeseen error", exc_info=failed[:3])


def _add_everywhere(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**_everywhere, **event}


def _rendering(human: bool, stream: TextIO) -> list[Processor]:
    if human:
        colours = stream.isatty() and not os.environ.get("NO_COLOR")
        return [structlog.dev.ConsoleRenderer(colors=colours, exception_formatter=_write_error)]
    return [
        structlog.processors.ExceptionRenderer(_without_values),
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]


def _write_error(stream: TextIO, exc_info: ExcInfo) -> None:
    stream.write("\n" + _without_values(exc_info))


def _without_values(exc_info: ExcInfo) -> str:
    """Where an error and those behind it happened, and their types: local variables hold rows, messages quote them."""
    return "\nwhich led to:\n".join(reversed([_where(error) for error in _and_those_behind(exc_info[1])]))


def _where(error: BaseException) -> str:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return "".join([*traceback.format_tb(error.__traceback__), name])


def _and_those_behind(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
