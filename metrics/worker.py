"""What a worker is measured with."""

import threading

from actors.measures import WorkerInstruments
from metrics.instruments import Instruments

SAMPLE_SECONDS = 5.0


def for_worker(instruments: Instruments) -> WorkerInstruments:
    """Instruments for the worker in this process; from now on its actors' mailboxes are looked into every few seconds.

    That has a thread of its own, which ends with the process: it isn't the worker that is scraped.
    """

    def sample() -> None:
        never = threading.Event()
        while not never.wait(SAMPLE_SECONDS):
            instruments.sample()

    threading.Thread(target=sample, name="mailboxes", daemon=True).start()
    return WorkerInstruments(instruments.table, instruments.observe_engine, instruments.rests.inc)
