"""Worker and API in one process, for small boxes."""

import os
import signal
import threading

from actors.worker import run_worker
from api.serve import make_server
from config.settings import Settings


def run_both(settings: Settings, lookup_first: bool) -> int:
    """Until SIGTERM or SIGINT, or until one of them ends by itself, which makes the exit code 1.

    Raises:
        SettingsError: as `api.serve.make_server` and `actors.worker.run_worker`.
    """
    server = make_server(settings)
    stopping, died = threading.Event(), threading.Event()

    def ended() -> None:
        if not stopping.is_set():
            died.set()
            os.kill(os.getpid(), signal.SIGTERM)  # the worker's own way to stop

    server.start(ended)
    code = run_worker(settings, lookup_first=lookup_first)
    stopping.set()
    server.stop()
    return 1 if died.is_set() else code
