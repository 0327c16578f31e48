"""What this process measures, and what it can see of the other processes of its box."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from prometheus_client import CollectorRegistry, Metric

from config.settings import Settings
from metrics.directory import choose_directory
from metrics.instruments import SIGNATURE, Instruments, sizes
from metrics.shared import share

API_ROUTES = 40  # at most; room for them is made in the files beforehand


class Processes(Protocol):
    """Where the processes' figures are."""

    def collect(self) -> Iterable[Metric]:
        """What they measured, added up."""
        ...

    def processes(self) -> Mapping[str, int | None]:
        """Each by name, with its id; None for one that is gone."""
        ...


class OwnProcess:
    """This process alone, where its figures can't be put together with those of others."""

    def __init__(self, kind: str) -> None:
        self.registry = CollectorRegistry()
        self._kind = kind

    def collect(self) -> Iterable[Metric]:
        return self.registry.collect()

    def processes(self) -> Mapping[str, int | None]:
        return {f"{self._kind}-0": os.getpid()}


@dataclass(frozen=True, slots=True)
class Box:
    """`is_shared`: other processes' figures are seen too."""

    instruments: Instruments
    processes: Processes
    is_shared: bool


def own_process(kind: str) -> Box:
    """For a process whose figures aren't put together with those of others."""
    own = OwnProcess(kind)
    return Box(Instruments(own.registry), own, is_shared=False)


def open_box(settings: Settings, kind: str) -> Box:
    """Begin to measure in this process, a `worker`, an `api` or a `run`. Once in a process; never fails."""
    room = sizes(tables=0 if kind == "api" else len(settings.tables), routes=0 if kind == "worker" else API_ROUTES)
    shared = share(choose_directory(settings), kind, room, SIGNATURE)
    box = own_process(kind) if shared is None else Box(Instruments(), shared, is_shared=True)
    box.instruments.starts.labels(kind).inc()
    return box
