"""How many messages wait for each actor, looked at every few seconds: the processes that are scraped aren't these."""

import threading
from collections.abc import Callable, Iterable

SAMPLE_SECONDS = 5.0


def sample_mailboxes(samples: Iterable[Callable[[], None]], stopped: threading.Event) -> threading.Thread:
    """Call each from now on until `stopped`, on a thread of its own that doesn't keep the process from ending."""
    samples = tuple(samples)

    def run() -> None:
        while not stopped.wait(SAMPLE_SECONDS):
            for sample in samples:
                sample()

    thread = threading.Thread(target=run, name="mailboxes", daemon=True)
    thread.start()
    return thread
