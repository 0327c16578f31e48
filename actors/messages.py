"""Every message between the actors: reading this file and the `match` in each actor is reading the system.

Down the pipeline: RowsFound and ColumnsFound, BatchReady, BatchAppended, and RowsDecided for what isn't sent. Back up,
through TableOwner: RowsSettled once for every row found, and what the writer measured. Flush is a barrier: every stage
passes it on behind what came before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from delivery.destination import AppendResult
from delivery.errors import DestinationError
from delivery.finding import Found
from delivery.ledger import Lookups
from delivery.rows import Key, Outgoing
from delivery.settle import Outcome, RowRef
from delivery.source import ReadByColumns

# To an actor from its scheduler, or from itself.


@dataclass(frozen=True, slots=True)
class Tick:
    """It is time to look again."""


@dataclass(frozen=True, slots=True)
class GoOn:
    """An actor's own: there is more to do, now that others had their turn."""


@dataclass(frozen=True, slots=True)
class RetryDue:
    """A delay is over; its number tells a void one from the one that is waited for."""

    delay: int


@dataclass(frozen=True, slots=True)
class RetryNow:
    """Somebody waits for it: whatever is delayed after a failure is tried at once."""


# Down the pipeline.


@dataclass(frozen=True, slots=True)
class RowsFound:
    rows: tuple[Found, ...]


@dataclass(frozen=True, slots=True)
class ColumnsFound:
    """More rows to be sent, none of them suspect or with an item."""

    rows: ReadByColumns


@dataclass(frozen=True, slots=True)
class RowsDecided:
    """Rows that won't be sent, with what becomes of them; `reason` where they failed or are given up."""

    rows: tuple[RowRef, ...]
    outcome: Outcome
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class BatchReady:
    """A batch to be sent; `look_up` before that, since some of its rows are suspect."""

    outgoing: Outgoing
    look_up: bool = False


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a batch got there, for the log.

    Attributes:
        bytes: its encoded size.
        seconds: from its append's first byte to the answer; None: nobody heard the answer.
        lag: how many seconds the oldest of its rows had waited, by its source; None: it doesn't say.
    """

    bytes: int
    seconds: float | None
    lag: float | None


@dataclass(frozen=True, slots=True)
class BatchAppended:
    """BigQuery has this batch; flags and items don't say so yet. `arrival`: where this pipeline sent it."""

    batch_id: int
    rows: tuple[RowRef, ...]
    arrival: Arrival | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Flush:
    """Send everything that waits now, and say when it is done: the barrier of one command."""

    command_id: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Finish what is begun and begin nothing more: the barrier of a stop or a pause. What fails then isn't repeated."""


@dataclass(frozen=True, slots=True)
class RunRetention:
    """Delete now what is old enough, or with `dry_run` only tell what would go."""

    command_id: int
    dry_run: bool


# Answers of the destination, to BqWriter.


@dataclass(frozen=True, slots=True)
class StreamOpened:
    answer: str | DestinationError | None


@dataclass(frozen=True, slots=True)
class LookedUp:
    answer: frozenset[int] | DestinationError


@dataclass(frozen=True, slots=True)
class AppendDone:
    result: AppendResult
    seconds: float


# Back up the pipeline, to TableOwner and from it to whom it concerns.


@dataclass(frozen=True, slots=True)
class RowsSettled:
    """These rows are done with, whatever became of them; `sent` of them were sent, and `batch` is completed.

    `arrived`: it is this pipeline that sent them.
    """

    rows: tuple[RowRef, ...]
    sent: int = 0
    batch: int | None = None
    arrived: bool = False


@dataclass(frozen=True, slots=True)
class StreamMade:
    """There is a stream of this name since now; for TableOwner, who outlives it."""

    name: str


@dataclass(frozen=True, slots=True)
class WriterReady:
    """The writer is done with a batch."""


@dataclass(frozen=True, slots=True)
class AppendMeasured:
    """How an append went that succeeded."""

    rows: int
    nbytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class QuotaExceeded:
    """BigQuery asks for less."""


@dataclass(frozen=True, slots=True)
class LookupPassDone:
    """Every row that waited when the look-ups began was looked up and settled."""


@dataclass(frozen=True, slots=True)
class LookupsChanged:
    """What has to be looked up from now on."""

    lookups: Lookups


@dataclass(frozen=True, slots=True)
class Flushed:
    """A barrier has come through: all before it is settled."""

    command_id: int


@dataclass(frozen=True, slots=True)
class Drained:
    """Nothing is begun any more."""


@dataclass(frozen=True, slots=True)
class StepAnswered:
    """To RetentionActor: what its call in the background returned, or what it raised; of that step, else it is void."""

    step: int
    answer: object = None
    error: Exception | None = None


@dataclass(frozen=True, slots=True)
class RetentionDone:
    """What was deleted, or would be; `command_id` where an operator asked for it."""

    command_id: int | None
    report: Mapping[str, object]


class TableState(StrEnum):
    """How a table's pipeline fares."""

    STANDBY = "standby"  # another worker owns the table
    RECOVERING = "recovering"
    RUNNING = "running"
    WAITING = "waiting"  # for something that goes away by itself
    BLOCKED = "blocked"  # until somebody acts
    PAUSED = "paused"  # by an operator
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The table is in this state now, and why, in words for whoever looks."""

    state: TableState
    reason: str | None = None
    actor: str = ""  # who says so, of several that may each wait for something


@dataclass(frozen=True, slots=True)
class RecoveryNeeded:
    """The pipeline can't go on: what became of its batch has to be found out first.

    `next_rows`: how large the next batch may be at most (None: as before). `blocked`: nothing gets through until
    somebody acts. `batch`: for the log. `accused`: rows that failed alone, and may be themselves the reason.
    `look_up`: the database went back in time, so that every waiting row has to be looked up before it is sent.
    """

    reason: str
    next_rows: int | None = None
    blocked: bool = False
    batch: int | None = field(default=None, compare=False)
    accused: tuple[RowRef, ...] = ()
    look_up: bool = False


@dataclass(frozen=True, slots=True)
class HearAgain:
    """TableOwner's own: this row was left aside for long enough."""

    key: Key | None


@dataclass(frozen=True, slots=True)
class HearAll:
    """TableOwner's own: the pipeline has worked for a while, and no row of those that it found has failed."""


@dataclass(frozen=True, slots=True)
class LeaseGone:
    """The table is somebody else's now, or the database has forgotten that it is ours."""

    reason: str
    connection_id: int | None = None  # the connection whose locks are gone, where that is the reason


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """An actor died of an error that nobody foresaw."""

    actor: str
    error: BaseException


@dataclass(frozen=True, slots=True)
class FromPipeline:
    """A message to TableOwner from the pipeline of that generation; one of an older generation is void."""

    generation: int
    message: object


@dataclass(frozen=True, slots=True)
class Pause:
    """Finish what is begun, and send nothing until Resume: an operator wants it so."""


@dataclass(frozen=True, slots=True)
class Resume:
    """The end of a pause."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Finish what is begun, free the lease, and say so."""


# To the Monitor, from what it lets others do.


@dataclass(frozen=True, slots=True)
class AlertsSent:
    """What each channel made of its alert: a problem in words, or None."""

    problems: Mapping[int, str | None]


@dataclass(frozen=True, slots=True)
class HeartbeatSent:
    """BigQuery has heard of us, or (a problem) not."""

    problem: str | None
