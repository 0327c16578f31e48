"""`actors.measures.Measures` that remember."""

from collections import Counter
from collections.abc import Callable, Sequence

from delivery.errors import ErrorClass
from delivery.ledger import BatchState
from delivery.settle import Outcome


class KeptMeasures:
    """What was told, added up."""

    def __init__(self) -> None:
        self.batches: list[tuple[BatchState, int, int]] = []
        self.appends: list[float] = []
        self.failures: list[ErrorClass] = []
        self.settled: Counter[Outcome | None] = Counter()
        self.ages: list[float] = []
        self.died: list[str] = []
        self.deleted: list[tuple[int, int]] = []
        self.watched: dict[str, Callable[[], int]] = {}

    def batch_ended(self, state: BatchState, rows: int, nbytes: int) -> None:
        self.batches.append((state, rows, nbytes))

    def append_took(self, seconds: float) -> None:
        self.appends.append(seconds)

    def failed_attempt(self, error_class: ErrorClass) -> None:
        self.failures.append(error_class)

    def rows_settled(self, outcome: Outcome | None, rows: int) -> None:
        self.settled[outcome] += rows

    def rows_arrived(self, ages: Sequence[float]) -> None:
        self.ages.extend(ages)

    def pipeline_failed(self, actor: str) -> None:
        self.died.append(actor)

    def retention_ran(self, deleted: int, refused: int) -> None:
        self.deleted.append((deleted, refused))

    def watch_mailbox(self, actor: str, waiting: Callable[[], int]) -> None:
        self.watched[actor] = waiting
