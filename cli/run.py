"""Worker and API in one process, for small boxes."""

import os
import signal
import threading

from actors.worker import run_worker
from api.serve import make_server
from cli.starting import announce, site_known
from config.settings import Settings
from metrics.box import open_box
from metrics.worker import for_worker


def run_both(settings: Settings, lookup_first: bool) -> int:
    """Until SIGTERM or SIGINT, or until one of them ends by itself, which makes the exit code 1.

    Both stop at the same time: one after the other, they would take longer than the 5 s after which honcho kills.

    Raises:
        SettingsError: as `api.serve.make_server` and `actors.worker.run_worker`.
    """
    announce("run", settings)
    box = open_box(settings, "run")
    server = make_server(settings, box)
    server_stop = threading.Thread(target=server.stop, name="api-stop", daemon=True)
    stopping, died = threading.Event(), threading.Event()

    def stop_server() -> None:
        stopping.set()
        server_stop.start()

    def ended() -> None:
        if not stopping.is_set():
            died.set()
            os.kill(os.getpid(), signal.SIGTERM)  # the worker's own way to stop

    server.start(ended)
    instruments = for_worker(box.instruments)
    code = run_worker(
        settings, lookup_first=lookup_first, stopping=stop_server, instruments=instruments, site_known=site_known
    )
    server_stop.join()
    return 1 if died.is_set() else code
