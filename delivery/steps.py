"""Long work that leaves others room, in steps, for an actor: it may neither sleep nor wait.

Such work is a generator. It does one small thing at a time, and yields what it waits for before the next: a pause, or
an answer from a call that blocks. Whoever drives it may drop it at any yield.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TypeVar, cast

T = TypeVar("T")

LEAST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 60.0
REST = 10.0  # times as long as a step took
SLOWER = 4.0  # times more, at most, where a step took longer than is usual


@dataclass(frozen=True, slots=True)
class Pause:
    """Go on after so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Ask:
    """Go on with what the call returns, or with the error that it raises; it may block for long."""

    call: Callable[[], object]


Step = Pause | Ask
Steps = Generator[Step, object, T]


def ask(call: Callable[[], T]) -> Steps[T]:
    """`answer = yield from ask(call)`."""
    answer = yield Ask(call)
    return cast(T, answer)


def run(steps: Steps[T], wait: Callable[[float], None], before_each: Callable[[], None] = lambda: None) -> T:
    """Do all of it here and now, for who may wait. What the work raises, the caller sees.

    Args:
        wait: for so many seconds.
    """
    answer: object = None
    error: Exception | None = None
    while True:
        before_each()
        try:
            step = steps.send(answer) if error is None else steps.throw(error)
        except StopIteration as ended:
            return cast(T, ended.value)
        answer = error = None
        match step:
            case Pause(seconds):
                wait(seconds)
            case Ask(call):
                try:
                    answer = call()
                except Exception as raised:  # noqa: BLE001  raised where the answer is waited for
                    error = raised


class Gentle:
    """How long to leave the database to others after a step.

    Ten times as long as the step took, so that we take a tenth of what one connection can; longer where it took longer
    than it usually does, since then the database has other things to do.

    Args:
        clock: seconds since some fixed point.
        hurry: no rest at all, for who wants it done now, whatever others feel of it.
    """

    def __init__(self, clock: Callable[[], float], *, hurry: bool = False) -> None:
        self._clock = clock
        self._hurry = hurry
        self._usual: dict[str, float] = {}  # seconds, of each kind of step

    def start(self) -> float:
        """A step begins now."""
        return self._clock()

    def rest(self, started: float, kind: str) -> Pause:
        """What follows a step that has just ended; steps of one kind do about the same."""
        if self._hurry:
            return Pause(0.0)
        took = max(0.0, self._clock() - started)
        usual = self._usual.get(kind, took)
        self._usual[kind] = 0.9 * usual + 0.1 * took
        slower = min(SLOWER, max(1.0, took / usual)) if usual else 1.0
        return Pause(min(LONGEST_PAUSE_SECONDS, max(LEAST_PAUSE_SECONDS, REST * slower * took)))
