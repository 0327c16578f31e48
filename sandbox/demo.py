"""`make demo`: a camera server, its MariaDB, an emulator of BigQuery and bq-sync, together on this machine.

With `--rows N` it ends by itself when N rows have arrived and been compared: exit code 0 if all are equal, else 1.
"""

import argparse
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import yaml
from google.api_core.exceptions import GoogleAPIError
from requests.exceptions import RequestException
from sqlalchemy.exc import DBAPIError

from config.files import CHECKOUT_FILE
from config.settings import load
from database.engine import connect
from sandbox.camera_tables import create_tables
from sandbox.child import Child, ChildError, free_port
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from sandbox.progress import Arrived, Progress

CHECKOUT = CHECKOUT_FILE.parents[1]
PROGRAMS = Path(sys.executable).parent
DATABASE = "is22"

RATE = 20.0  # rows a second
SECONDS_FOR_ROWS = 20.0  # --rows: the camera makes them in about this time, if RATE isn't faster
REPORT_SECONDS = 3.0
FIRST_ROW_SECONDS = 0.5  # between looks for the first row
STEADY_SECONDS = 20.0  # bq-sync that ends sooner than this after its start isn't started anew
STALLED_SECONDS = 60.0  # --rows: without progress for so long, it is compared as it is


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description="bq-sync with all that it needs, on this machine.")
    parser.add_argument("--rows", type=int, help="end when so many rows have arrived, and compare them")
    parser.add_argument("--port", type=int, help="port of the API (default: a free one)")
    arguments = parser.parse_args()
    if arguments.rows is not None and arguments.rows < 1:
        parser.error("--rows (ROWS=) has to be 1 or more")

    began = time.monotonic()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    for name in [name for name in os.environ if name.startswith(("BQ_", "BIGQUERY_"))]:
        del os.environ[name]  # the demo is its own configuration

    directory = Path(tempfile.mkdtemp(prefix="bq-sync-demo-"))
    try:
        with ExitStack() as parts:
            code = _run(parts, directory, arguments.rows, arguments.port, stopped, began)
            print("stopping ...", flush=True)
    except ChildError as error:
        print(f"\n{error}\n\nAll logs are in {directory}", file=sys.stderr)
        return 1
    if code:
        print(f"All logs are in {directory}", file=sys.stderr)
    else:
        shutil.rmtree(directory, ignore_errors=True)
    return code


def _run(
    parts: ExitStack, directory: Path, rows: int | None, port: int | None, stopped: threading.Event, began: float
) -> int:
    print("starting MariaDB and the BigQuery emulator ...", flush=True)
    database = MariaDB(directory / "mariadb")
    emulator = Emulator(directory / "emulator")
    parts.callback(database.stop)
    parts.callback(emulator.stop)
    _together(database.start, emulator.start)

    environment = {
        "BQ_SYNC_CONFIG": str(_write_configuration(directory, emulator, port or free_port())),
        "BQ_SYNC_DATABASE_URL": database.url(DATABASE),
        "BQ_SYNC_METRICS_DIRECTORY": str(directory / "metrics"),
        **emulator.environment(),
    }
    settings = load(environment)
    database.create_database(DATABASE)
    engine = connect(database.url(DATABASE))
    parts.callback(engine.dispose)
    create_tables(engine)
    _together(
        lambda: _bq_sync(directory, environment, "migrate", "--history", "send"),
        lambda: _bq_sync(directory, environment, "init-bigquery"),
    )

    rate = max(RATE, rows / SECONDS_FOR_ROWS) if rows else RATE
    command = [sys.executable, "-m", "sandbox.camera", "--url", database.url(DATABASE), "--rate", str(rate)]
    camera = Child("the camera server", [*command, *(["--rows", str(rows)] if rows else [])], directory / "camera.log")
    honcho = Child(
        "bq-sync",
        [PROGRAMS / "honcho", "start", "--no-colour"],
        directory / "bq-sync.log",
        environment=environment | {"PYTHONUNBUFFERED": "1"},  # so that its log ends with the latest
        directory=CHECKOUT,
    )
    for child in (honcho, camera):
        parts.callback(child.terminate)
        child.start()

    print(f"dashboard: http://{settings.api_host}:{settings.api_port}/ (API: /api/bq-sync/status)", flush=True)
    print(f"logs: {directory}", flush=True)
    print(f"commands, in another terminal: . {_write_environment(directory, environment)}", flush=True)
    print("    then bq-sync status, say; or kill its worker: honcho ends both processes then, and the demo starts")
    print("    them anew, as systemd would", flush=True)
    client = emulator.client()
    parts.callback(client.close)
    _watch(Progress(engine, client, settings), camera, honcho, rows, stopped, began)
    if rows is None or stopped.is_set():
        return 0
    comparison = compare(engine, client, settings)
    print(comparison.report(), flush=True)
    return 0 if comparison.equal else 1


def _watch(
    progress: Progress, camera: Child, honcho: Child, rows: int | None, stopped: threading.Event, began: float
) -> None:
    """Report until stopped or, with `rows`, until nothing is left to be done or nothing gets on.

    bq-sync that ended, since somebody killed one of its processes, is started anew; with `rows` it has to last.

    Raises:
        ChildError: the camera ended by itself; or bq-sync, with `rows` or just after its start.
    """
    reported = changed = started = time.monotonic()
    last: tuple[int, int, int] | None = None
    first_seen = False
    while not stopped.wait(REPORT_SECONDS if first_seen else FIRST_ROW_SECONDS):
        if honcho.wait(0) is not None:
            if rows is not None or time.monotonic() - started < STEADY_SECONDS:
                raise honcho.failure("ended by itself")
            print("bq-sync ended: honcho ends all of it when one process ends; starting it anew ...", flush=True)
            honcho.start()
            started = time.monotonic()
        camera_code = camera.wait(0)
        if camera_code is not None and (rows is None or camera_code):
            raise camera.failure(f"ended by itself with exit code {camera_code}")
        try:
            made, waiting, arrived = progress.made(), progress.waiting(), progress.arrived()
        except (DBAPIError, GoogleAPIError, RequestException) as error:
            print(f"can't look just now: {type(error).__name__}", flush=True)
            continue
        now = time.monotonic()
        if arrived.rows and not first_seen:
            first_seen = True
            print(f"the first rows are in BigQuery, {now - began:.1f} s after the start", flush=True)
        if now - reported >= REPORT_SECONDS - 0.5:
            reported = now
            _report(made, arrived)
        if (made, waiting, arrived.rows) != last:
            last, changed = (made, waiting, arrived.rows), now
        drained = camera_code is not None and waiting == 0
        if rows is not None and (drained or now - changed > STALLED_SECONDS):
            return


def _report(made: int, arrived: Arrived) -> None:
    age = "none" if arrived.newest is None else f"{(datetime.now(UTC) - arrived.newest).total_seconds():.1f} s old"
    print(f"{made:>7} rows made, {arrived.rows:>7} in BigQuery, the newest {age}", flush=True)


def _write_configuration(directory: Path, emulator: Emulator, api_port: int) -> Path:
    """The shipped configuration, with what the demo needs otherwise."""
    document = yaml.safe_load(CHECKOUT_FILE.read_text(encoding="utf-8"))
    section = document["bq_sync"]
    del section["credentials_path"]
    section |= {
        "enabled": True,
        "project_id": emulator.project,
        "interval_seconds": 1,
        "site_id": "demo",
        "api_port": api_port,
    }
    path = directory / "bq_sync.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=True, sort_keys=False), encoding="utf-8")
    return path


def _write_environment(directory: Path, environment: Mapping[str, str]) -> Path:
    """A file for a shell to source, which has `bq-sync` and its settings then."""
    path = directory / "env"
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    path.write_text("\n".join([*lines, f'export PATH={shlex.quote(str(PROGRAMS))}:"$PATH"', ""]), encoding="utf-8")
    return path


def _bq_sync(directory: Path, environment: dict[str, str], *arguments: str) -> None:
    done = subprocess.run(
        [PROGRAMS / "bq-sync", *arguments],
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        start_new_session=True,  # Ctrl-C stops the demo, when this is done
    )
    (directory / f"{arguments[0]}.log").write_text(done.stdout + done.stderr, encoding="utf-8")
    if done.returncode:
        raise ChildError(f"bq-sync {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


def _together(*steps: Callable[[], None]) -> None:
    with ThreadPoolExecutor(len(steps)) as pool:
        for future in [pool.submit(step) for step in steps]:
            future.result()


if __name__ == "__main__":
    sys.exit(main())
