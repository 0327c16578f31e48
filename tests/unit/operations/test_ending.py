"""A process hears that it is to end, at whatever moment it is told."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from operations.ending import SIGNALS, Ending

LATER_SECONDS = 0.1


@pytest.fixture(autouse=True)
def signals_as_they_were() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.timeout(30)
def test_a_signal_before_each_instruction_of_the_wait_ends_it() -> None:
    """A handler that takes a lock waits for ever at one of them."""
    for nth in range(1, 1000):
        if not heard_before(nth):
            break
    assert nth > 5, "nothing was interrupted"


def heard_before(nth: int) -> bool:
    """Whether the wait has so many instructions before it blocks; it ends in any case."""
    ending = Ending()
    left = nth
    interrupted = False

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left, interrupted
        frame.f_trace_opcodes = True
        if event == "opcode" and later.is_alive():
            left -= 1
            if left == 0:
                interrupted = True
                signal.raise_signal(signal.SIGTERM)
        return step

    # Ends a wait that wasn't interrupted; what follows isn't the wait's beginning any more.
    later = threading.Timer(LATER_SECONDS, os.kill, (os.getpid(), signal.SIGTERM))
    later.start()
    before = sys.gettrace()
    sys.settrace(step)
    try:
        assert ending.wait() == []
    finally:
        sys.settrace(before)
    later.cancel()
    later.join()
    return interrupted


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_from_outside(number: signal.Signals) -> None:
    ending = Ending()
    threading.Timer(LATER_SECONDS, os.kill, (os.getpid(), number)).start()
    assert ending.wait() == []


def test_its_own_reasons_from_another_thread() -> None:
    ending = Ending()
    threading.Timer(LATER_SECONDS, ending.fail, ("detection_logs failed",)).start()
    reasons = ending.wait()
    ending.fail("later, and because of it")
    assert reasons == ["detection_logs failed"]


def test_other_signals_dont_end_it() -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        ending = Ending()
        signal.raise_signal(signal.SIGUSR1)
        ending.fail("the last")
        assert ending.wait() == ["the last"]
    finally:
        signal.signal(signal.SIGUSR1, before)
