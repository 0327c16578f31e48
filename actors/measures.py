"""What a table's pipeline tells of its work, for whoever measures it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import Engine

from delivery.errors import ErrorClass
from delivery.ledger import BatchState
from delivery.settle import Outcome


class Measures(Protocol):
    """Of one table. Every call is cheap, may come from any thread, and never raises."""

    def batch_ended(self, state: BatchState, rows: int, nbytes: int) -> None:
        """A batch is appended, refused or released.

        `nbytes` is its encoded size; 0 where recovery decided it, or a look-up found its rows in BigQuery.
        """
        ...

    def append_took(self, seconds: float) -> None:
        """From an append's first byte to its answer, whatever it was."""
        ...

    def failed_attempt(self, error_class: ErrorClass) -> None:
        """BigQuery refused, or didn't answer; it is tried again, or the rows are failed."""
        ...

    def rows_settled(self, outcome: Outcome | None, rows: int) -> None:
        """What became of found rows is written down. None: they were sent."""
        ...

    def rows_arrived(self, ages: Sequence[float]) -> None:
        """Rows are in BigQuery: how many seconds they are old by their source (item's creation, else the age column).

        Of a large batch some hundred, evenly spread (`delivery.rows.TIMED_ROWS`). Negative where clocks differ.
        """
        ...

    def pipeline_failed(self, actor: str) -> None:
        """An actor died of an error that nobody foresaw, and the pipeline is started anew."""
        ...

    def retention_ran(self, deleted: int, refused: int) -> None:
        """So many old rows were deleted, and so many had to stay since BigQuery didn't confirm them."""
        ...

    def watch_mailbox(self, actor: str, waiting: Callable[[], int]) -> None:
        """From now on `waiting` says how many messages wait for that actor; it takes the place of one before it."""
        ...


class NotMeasured:
    """Measures nothing."""

    def batch_ended(self, state: BatchState, rows: int, nbytes: int) -> None: ...

    def append_took(self, seconds: float) -> None: ...

    def failed_attempt(self, error_class: ErrorClass) -> None: ...

    def rows_settled(self, outcome: Outcome | None, rows: int) -> None: ...

    def rows_arrived(self, ages: Sequence[float]) -> None: ...

    def pipeline_failed(self, actor: str) -> None: ...

    def retention_ran(self, deleted: int, refused: int) -> None: ...

    def watch_mailbox(self, actor: str, waiting: Callable[[], int]) -> None: ...


@dataclass(frozen=True, slots=True)
class WorkerInstruments:
    """What a worker is measured with.

    Attributes:
        of_table: makes the measures of a table; called once for each.
        observe_engine: is given every engine of the worker, and what it is for (`write`, `read`, `locks`, `monitor`),
            before anything is asked of it.
        rested: is told how many seconds an actor waits to leave the database to others.
    """

    of_table: Callable[[str], Measures] = lambda _: NotMeasured()
    observe_engine: Callable[[Engine, str], None] = lambda *_: None
    rested: Callable[[float], None] = lambda _: None
