"""How the processes of a box share what they measure: prometheus_client's multiprocess mode, made to last.

Each process writes to memory-mapped files in a slot of its own (see `metrics.slots`), and a scrape of the API adds up
the files of all slots. Counters of processes that are gone stay in the sum, so that a restart loses nothing; the files
follow the first write, so kill -9 loses nothing either.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import structlog
from prometheus_client import Metric, values
from prometheus_client.multiprocess import MultiProcessCollector

from metrics.directory import DirectoryError, open_directory
from metrics.files import allocate, files_of, readable, remove, set_aside_if_broken
from metrics.slots import NoSlotError, Slot, sign_slot, slots_in, take_slot

log = structlog.get_logger(__name__)


class Shared:
    """This process's part of the metrics directory, held until the process ends.

    Args:
        kind: `worker`, `api` or `run`.
        sizes: of the files, see `metrics.files.allocate`.
        signature: of what will be written, see `metrics.slots.Slot.written_by`.

    Raises:
        DirectoryError, NoSlotError, OSError
    """

    def __init__(self, directory: Path, kind: str, sizes: Mapping[str, int], signature: str) -> None:
        self.directory = directory
        self._signature = signature
        self._held = [open_directory(directory)]
        former, opened = take_slot(directory, kind)
        self._held.append(opened)
        self.slot = former.name
        if former.written_by != signature:
            remove(directory, self.slot)
        for path in files_of(directory, self.slot):
            set_aside_if_broken(path)
        remove(directory, self.slot, "gauge_live*")
        allocate(directory, self.slot, sizes)
        sign_slot(opened, signature)
        # Both are how prometheus_client is told: for every instrument that is made from here on in this process.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)
        values.ValueClass = values.MultiProcessValue(lambda: self.slot)  # type: ignore[no-untyped-call]  # untyped there

    def collect(self) -> Iterable[Metric]:
        """What all processes measured, those that are gone included."""
        paths = [path for slot, _ in self._tidied() for path in files_of(self.directory, slot.name)]
        merged: Iterable[Metric] = MultiProcessCollector.merge(readable(paths))  # type: ignore[no-untyped-call]  # untyped there
        return sorted(merged, key=lambda metric: metric.name)

    def processes(self) -> Mapping[str, int | None]:
        """Each slot that there is, with the id of its process; None where no process has it."""
        return {slot.name: slot.pid if taken else None for slot, taken in slots_in(self.directory)}

    def _tidied(self) -> Iterator[tuple[Slot, bool]]:
        """Every slot; of those that nobody has, what mustn't be added up is removed first."""
        for slot, taken in slots_in(self.directory):
            if not taken:
                remove(self.directory, slot.name, "*" if slot.written_by != self._signature else "gauge_live*")
                for path in files_of(self.directory, slot.name):
                    set_aside_if_broken(path)
            yield slot, taken


def share(directory: Path, kind: str, sizes: Mapping[str, int], signature: str) -> Shared | None:
    """As `Shared`; None where that can't be, with one warning: this process then shows what itself measured."""
    try:
        return Shared(directory, kind, sizes, signature)
    except (DirectoryError, NoSlotError, OSError) as error:
        log.warning("metrics aren't shared with other processes", reason=str(error))
        return None
