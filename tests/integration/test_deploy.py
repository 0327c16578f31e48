"""What deploy/ installs, as it runs on a box: the program outside the checkout, its unit, its user, its rights."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from sqlalchemy import Engine, text

from config.settings import load
from sandbox.camera import Camera
from sandbox.child import Child, free_port
from sandbox.compare import compare
from sandbox.emulator import Emulator
from sandbox.mariadb import MariaDB
from tests.integration.checking import environment, prepare

pytestmark = pytest.mark.integration

CHECKOUT = Path(__file__).parents[2]
UNIT = "bq-sync@.service"
OWN_SETTINGS = "# somebody's own\n"
SECONDS = 30.0
NOBODY = 65534


class Box:
    """A directory that deploy/install.sh has installed below."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / "opt/bq-sync"
        self.program = self.home / "bin/bq-sync"
        self.settings = root / "etc/bq-sync"

    def install(self, python: Path) -> None:
        """Without the network: what bq-sync needs stands in the tests' own environment, and is taken from there."""
        subprocess.run([python, "-m", "venv", "--without-pip", self.home], check=True)
        (site_packages(self.home) / "tests.pth").write_text(f"{site_packages(Path(sys.prefix))}\n")
        alone = {"PIP_NO_INDEX": "1", "PIP_NO_DEPS": "1", "PIP_NO_BUILD_ISOLATION": "0"}  # 0: as --no-build-isolation
        told = {"DESTDIR": str(self.root), "PYTHON": str(python)}
        done = subprocess.run(
            [CHECKOUT / "deploy/install.sh"], env=os.environ | alone | told, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def python(self, code: str) -> str:
        command: list[str | Path] = [self.home / "bin/python", "-c", code]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=True)
        return str(done.stdout.strip())


def site_packages(environment: Path) -> Path:
    (found,) = environment.glob("lib/python*/site-packages")
    return found


def as_nobody(*command: str | Path) -> list[str | Path]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", *command]


def may_run(python: Path) -> bool:
    """Whether any user may run this Python with the tests' packages; one below /root is root's alone."""
    code = f"import sys; sys.path.append({str(site_packages(Path(sys.prefix)))!r}); import yaml"
    command = as_nobody("env", python, "-c", code)  # env: what setpriv starts itself is still started by root
    return subprocess.run(command, cwd="/", capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def others_python() -> Path | None:
    """A Python of the tests' version that a service's user may run; None where there is none, or we aren't root."""
    own = Path(sys.base_prefix) / f"bin/python3.{sys.version_info.minor}"
    for python in (own, Path(f"/usr/bin/python3.{sys.version_info.minor}")):
        if os.geteuid() == 0 and shutil.which("setpriv") and python.exists() and may_run(python):
            return python
    return None


@pytest.fixture(scope="module")
def box(others_python: Path | None) -> Iterator[Box]:
    # Not below pytest's own directory, which only its user may enter.
    with tempfile.TemporaryDirectory(prefix="bq-sync-box-") as directory:
        root = Path(directory)
        root.chmod(0o755)
        (root / "etc/bq-sync").mkdir(parents=True)
        (root / "etc/bq-sync/bq_sync.yaml").write_text(OWN_SETTINGS)
        box = Box(root)
        box.install(others_python or Path(sys.executable))
        yield box


def test_what_is_installed_is_whole_and_stands_by_itself(box: Box) -> None:
    installed = site_packages(box.home)
    assert sorted(str(name) for name in needed_files() if not (installed / name).exists()) == []
    assert box.python("import api; print(api.__file__)").startswith(str(box.home))
    assert box.python("from config.files import find_file; print(find_file({}))") == "/etc/bq-sync/bq_sync.yaml"
    for arguments in (["--version"], ["check", "--help"]):
        subprocess.run([box.program, *arguments], cwd="/", check=True, capture_output=True)
    assert (box.settings / "bq_sync.yaml").read_text() == OWN_SETTINGS
    assert (box.settings / "bq-sync.env").stat().st_mode & 0o777 == 0o600


def needed_files() -> Iterator[Path]:
    """Every file of every package, but of those that only a checkout has a use for."""
    for_the_checkout = {CHECKOUT / name for name in ("bench", "sandbox", "tests")}
    packages = {path.parent for path in CHECKOUT.glob("*/__init__.py")} - for_the_checkout
    for package in packages | {CHECKOUT / "enqueuer/bq_sync_enqueuer"}:
        for file in package.rglob("*"):
            if file.is_file() and file.suffix != ".pyc":
                yield file.relative_to(package.parent)


class Service:
    """A command of the unit as systemd would start it: its own user, and no variables but the unit's."""

    def __init__(self, box: Box, command: str, url: str, settings: dict[str, str], nobody: bool, log: Path) -> None:
        runtime = box.root / "run"
        runtime.mkdir()
        if nobody:
            os.chown(runtime, NOBODY, NOBODY)
        unit = (box.root / "etc/systemd/system" / UNIT).read_text()
        (start,) = re.findall(r"^ExecStart=(.+)$", unit, re.MULTILINE)
        words = start.replace("/opt/bq-sync", str(box.home)).replace("%i", command).split()
        port = free_port()
        variables = settings | {
            **dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE)),
            "BQ_SYNC_CONFIG": str(CHECKOUT / "config/bq_sync.yaml"),
            "BQ_SYNC_DATABASE_URL": url,
            "BQ_SYNC_API_PORT": str(port),
            "BQ_SYNC_INTERVAL_SECONDS": "0.2",
            "RUNTIME_DIRECTORY": str(runtime),
        }
        bare = ["env", "-i", *(f"{name}={value}" for name, value in variables.items())]
        self.variables = variables
        self.runtime = runtime
        self.child = Child("bq-sync", [*(as_nobody() if nobody else []), *bare, *words], log, directory=Path("/"))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS)

    def asks(self, method: str, path: str, body: dict[str, object] | None = None) -> dict[str, object]:
        """The answer of a request that succeeds."""
        answer = self.client.request(method, f"/api/bq-sync{path}", json=body)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}\n{self.child.log_tail()}"
        return dict(answer.json())

    def serves(self) -> bool:
        try:
            return self.client.get("/readyz").is_success
        except httpx.TransportError:
            return False

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not holds():
            assert self.child.running, f"it ended\n{self.child.log_tail()}"
            assert time.monotonic() < deadline, f"after {SECONDS:g} s still not: {what}\n{self.child.log_tail()}"
            time.sleep(0.05)


def documented_grants(database: str, user: str) -> list[str]:
    """The GRANTs that docs/deploy.md shows for everything but deleting, for this database and user."""
    (block,) = re.findall(r"```sql\n(.*?)```", (CHECKOUT / "docs/deploy.md").read_text(), re.DOTALL)
    grants = [line for line in block.split(";\n") if line.strip()]
    assert all(grant.startswith("GRANT ") for grant in grants)
    return [grant.replace(" is22.", f" {database}.").replace("'bq_sync'@", f"'{user}'@") for grant in grants]


@pytest.fixture
def least_url(mariadb: MariaDB, database_url: str) -> Iterator[Callable[[], str]]:
    """Makes the user of docs/deploy.md, once the tables are there; the URL."""
    database = database_url.rpartition("/")[2]
    user = f"u_{database[-12:]}"

    def make() -> str:
        mariadb.execute(f"CREATE USER '{user}'@'127.0.0.1' IDENTIFIED BY 'pw'", *documented_grants(database, user))
        return mariadb.url(database, user=user, password="pw")

    yield make
    mariadb.execute(f"DROP USER IF EXISTS '{user}'@'127.0.0.1'")


def test_the_unit_runs_with_the_documented_grants(
    box: Box,
    others_python: Path | None,
    engine: Engine,
    database_url: str,
    least_url: Callable[[], str],
    emulator: Emulator,
    shipped_dataset: str,
    tmp_path: Path,
) -> None:
    settings = environment(emulator, shipped_dataset, database_url)
    prepare(engine, load(settings))
    Camera(engine).insert("detection_logs", 30)
    with engine.begin() as connection:
        bad = "INSERT INTO bq_sync_queue (table_name, record_id, payload) VALUES ('is21_logs', '1', '{\"no\": 1}')"
        connection.execute(text(bad))
    service = Service(box, "run", least_url(), settings, others_python is not None, tmp_path / "log")
    with service.client:
        service.child.start()
        try:
            service.wait_until(service.serves, "it serves")
            operate(service)
            checked = subprocess.run(
                [box.program, "check", "--json"], env=service.variables, capture_output=True, text=True, check=False
            )
            assert checked.returncode == 0, checked.stdout + checked.stderr
            metrics = service.client.get("/metrics").text
            assert 'bq_sync_process_up{process="run-0"} 1.0' in metrics
        finally:
            code = service.child.terminate()
    assert code == 0, service.child.log_tail()
    with closing(emulator.client()) as client:
        assert compare(engine, client, load(settings)).tables["detection_logs"].problems == {}


def operate(service: Service) -> None:
    """Everything that operators ask for, and what it needs of the database."""
    service.wait_until(lambda: bool(service.asks("GET", "/failed")["failed"]), "the bad row has failed")
    failed = service.asks("GET", "/failed")["failed"]
    assert isinstance(failed, list)
    assert service.asks("POST", "/retry", {"ids": [failed[0]["id"]]})["retriedCount"] == 1
    service.wait_until(lambda: bool(service.asks("GET", "/failed")["failed"]), "it has failed again")
    assert service.asks("DELETE", "/failed", {"all": True})["clearedCount"] == 1
    assert service.asks("POST", "/flush")["ok"] is True
    assert service.asks("POST", "/pause", {"tables": ["is21_logs"]})["tables"] == {"is21_logs": "paused"}
    assert service.asks("POST", "/resume", {"tables": ["is21_logs"]})["tables"] == {"is21_logs": "resumed"}
    assert service.asks("GET", "/activity")
    assert service.asks("GET", "/status")["queueStats"]
